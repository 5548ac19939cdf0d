import { describe, expect, it } from 'vitest';
import { formatDuration, niceStep, ticks } from './duration';
import { formatBytes, formatCount, formatPercent, formatRate, plural } from './number';
import { formatAgo, formatInstant, fromLocalInput, timeTicks, toLocalInput } from './time';

it.each([
  [null, '–'],
  [Number.NaN, '–'],
  [0, '0'],
  [0.25, '250 ns'],
  [1, '1 µs'],
  [12.34, '12.3 µs'],
  [999.4, '999 µs'],
  [999.6, '1 ms'],
  [4200, '4.2 ms'],
  [123_456, '123 ms'],
  [999_600, '1 s'],
  [1_500_000, '1.5 s'],
  [61e6, '1m 01s'],
  [3_660e6, '1h 01m'],
])('formatDuration(%s)', (micros, text) => {
  expect(formatDuration(micros)).toBe(text);
});

it.each([
  [0, '0'],
  [0.001, '<0.01'],
  [0.5, '0.5'],
  [12.34, '12.3'],
  [1234, formatCount(1234)],
  [Number.NaN, '–'],
])('formatRate(%s)', (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

it.each([
  [0, '0 %'],
  [0.0001, '<0.1 %'],
  [0.0123, '1.2 %'],
  [0.5, '50 %'],
  [0.999, '>99 %'],
  [1, '100 %'],
])('formatPercent(%s)', (share, text) => {
  expect(formatPercent(share)).toBe(text);
});

it('shortens large numbers', () => {
  expect([formatCount(123_456), formatCount(1_230_000), formatCount(2e9)]).toEqual([
    '123k',
    '1.2M',
    '2.0G',
  ]);
  expect([formatBytes(512), formatBytes(1536), formatBytes(256 * 1024 ** 2)]).toEqual([
    '512 B',
    '1.5 KiB',
    '256 MiB',
  ]);
  expect([plural(1, 'span'), plural(2, 'span')]).toEqual(['1 span', '2 spans']);
});

describe('ticks', () => {
  it('steps by 1, 2 or 5', () => {
    expect([niceStep(10, 5), niceStep(95, 10), niceStep(0.7, 4), niceStep(0, 3)]).toEqual([
      2, 10, 0.2, 1,
    ]);
    expect(ticks(0, 1000, 4)).toEqual([0, 500, 1000]);
    expect(ticks(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
  });

  it('falls on round times', () => {
    const start = new Date(2026, 0, 5, 13, 58, 20).getTime() * 1000;
    const marks = timeTicks(start, start + 3600e6, 6);
    expect(marks.map((mark) => new Date(mark.micros / 1000).getMinutes())).toEqual([
      0, 10, 20, 30, 40, 50,
    ]);
    expect(marks[0]?.label).toMatch(/14:00/);
    expect(timeTicks(start, start, 5)).toEqual([]);
    expect(timeTicks(start, start + 40 * 86_400e6, 4).length).toBeLessThanOrEqual(4);
  });
});

describe('instants', () => {
  const noon = new Date(2026, 0, 5, 12, 0, 0);
  const micros = noon.getTime() * 1000 + 7654;

  it('has the day only when it is another one', () => {
    expect(formatInstant(micros, noon.getTime())).toBe('12:00:00.007');
    expect(formatInstant(micros, noon.getTime() + 86_400_000)).toMatch(/5.*12:00:00\.007$/);
  });

  it('goes through an input and back', () => {
    expect(fromLocalInput(toLocalInput(noon.getTime() * 1000))).toBe(noon.getTime() * 1000);
    expect(fromLocalInput('never')).toBeNull();
  });

  it('says how long ago', () => {
    const now = noon.getTime();
    const ago = (seconds: number) => formatAgo((now / 1000 - seconds) * 1e6, now);
    expect([ago(-5), ago(1), ago(42), ago(240), ago(7300), ago(200_000)]).toEqual([
      'just now',
      'just now',
      '42 s ago',
      '4 min ago',
      '2 h ago',
      '2 d ago',
    ]);
  });
});
