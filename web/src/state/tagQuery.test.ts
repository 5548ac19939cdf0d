import { describe, expect, it } from 'vitest';
import { formatTags, MAX_TAGS, parseTags, type Tag, tokenAt } from './tagQuery';

function tags(text: string): Tag[] {
  const parsed = parseTags(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.tags;
}

describe('parseTags', () => {
  it('reads several, with quotes, colons and equals signs in values', () => {
    expect(
      tags('http.host=localhost:5000  error=true q="two words" e=a=b empty= s="\\"x\\" \\\\"'),
    ).toEqual([
      { key: 'http.host', value: 'localhost:5000' },
      { key: 'error', value: 'true' },
      { key: 'q', value: 'two words' },
      { key: 'e', value: 'a=b' },
      { key: 'empty', value: '' },
      { key: 's', value: '"x" \\' },
    ]);
    expect(tags('  ')).toEqual([]);
  });

  it.each([
    ['error', '"error" has no value: write error=value', 0],
    ['a=1 =2', 'expected a key before "="', 4],
    ['a=1 b="x', 'the quote of b is not closed', 6],
    ['"a"=1', 'expected a key before "="', 0],
  ])('says what is wrong with %s', (text, error, at) => {
    expect(parseTags(text)).toEqual({ ok: false, error, at });
  });

  it('takes a bounded number', () => {
    const many = Array.from({ length: MAX_TAGS + 1 }, (_, index) => `k${index}=v`);
    expect(parseTags(many.slice(1).join(' ')).ok).toBe(true);
    expect(parseTags(many.join(' ')).ok).toBe(false);
  });

  it('reads again what it writes', () => {
    const all: Tag[] = ['', ' ', '"', '\\', 'a"b c', 'plain', 'a=b', '<b>', 'ünï'].map((value) => ({
      key: 'k.1',
      value,
    }));
    expect(tags(formatTags(all))).toEqual(all);
  });
});

describe('tokenAt', () => {
  it.each([
    ['', 0, { part: 'key', key: '', typed: '', from: 0, to: 0 }],
    ['http.h', 6, { part: 'key', key: 'http.h', typed: 'http.h', from: 0, to: 6 }],
    ['a=1 ht', 6, { part: 'key', key: 'ht', typed: 'ht', from: 4, to: 6 }],
    ['http.host=lo', 12, { part: 'value', key: 'http.host', typed: 'lo', from: 10, to: 12 }],
    ['http.host=', 10, { part: 'value', key: 'http.host', typed: '', from: 10, to: 10 }],
    ['ht=lo b=2', 2, { part: 'key', key: 'ht', typed: 'ht', from: 0, to: 2 }],
    ['a="b c', 6, { part: 'value', key: 'a', typed: 'b c', from: 2, to: 6 }],
  ])('%j at %i', (text, caret, expected) => {
    expect(tokenAt(text, caret)).toEqual(expected);
  });
});
