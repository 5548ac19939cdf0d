/** The tag field's language, logfmt: `http.host=localhost:5000 error=true note="two words"`. */

export interface Tag {
  key: string;
  value: string;
}

export type TagParse = { ok: true; tags: Tag[] } | { ok: false; error: string; at: number };

export const MAX_TAGS = 32;

const BARE = /[^\s="]/;

/** Reads a quoted value that starts at `from` (the quote); null when it is not closed. */
function readQuoted(text: string, from: number): { value: string; next: number } | null {
  let value = '';
  for (let i = from + 1; i < text.length; i++) {
    const char = text[i] ?? '';
    if (char === '"') return { value, next: i + 1 };
    if (char === '\\' && i + 1 < text.length) {
      i++;
      value += text[i] ?? '';
    } else {
      value += char;
    }
  }
  return null;
}

export function parseTags(text: string): TagParse {
  const tags: Tag[] = [];
  let i = 0;
  while (i < text.length) {
    if (/\s/.test(text[i] ?? '')) {
      i++;
      continue;
    }
    const start = i;
    while (i < text.length && BARE.test(text[i] ?? '')) i++;
    const key = text.slice(start, i);
    if (key === '') return { ok: false, error: 'expected a key before "="', at: start };
    if (text[i] !== '=') {
      return { ok: false, error: `"${key}" has no value: write ${key}=value`, at: start };
    }
    i++;
    let value = '';
    if (text[i] === '"') {
      const quoted = readQuoted(text, i);
      if (quoted === null) return { ok: false, error: `the quote of ${key} is not closed`, at: i };
      value = quoted.value;
      i = quoted.next;
    } else {
      const from = i;
      while (i < text.length && !/\s/.test(text[i] ?? '')) i++;
      value = text.slice(from, i);
    }
    tags.push({ key, value });
    if (tags.length > MAX_TAGS) {
      return { ok: false, error: `at most ${MAX_TAGS} tags`, at: start };
    }
  }
  return { ok: true, tags };
}

export function formatTag(tag: Tag): string {
  const bare = tag.value !== '' && !/[\s"\\]/.test(tag.value);
  const value = bare ? tag.value : `"${tag.value.replace(/["\\]/g, '\\$&')}"`;
  return `${tag.key}=${value}`;
}

export function formatTags(tags: readonly Tag[]): string {
  return tags.map(formatTag).join(' ');
}

/** The word under the caret, for completion. */
export interface TagToken {
  part: 'key' | 'value';
  key: string;
  /** What is typed so far of the part. */
  typed: string;
  /** Range of the text that a completion replaces. */
  from: number;
  to: number;
}

export function tokenAt(text: string, caret: number): TagToken {
  let from = caret;
  let inQuotes = false;
  // Spaces inside quotes do not separate, so the scan has to come from the left.
  let start = 0;
  for (let i = 0; i < caret; i++) {
    const char = text[i];
    if (char === '\\' && inQuotes) i++;
    else if (char === '"') inQuotes = !inQuotes;
    else if (!inQuotes && /\s/.test(char ?? '')) start = i + 1;
  }
  from = start;
  const word = text.slice(from, caret);
  let to = caret;
  while (to < text.length && !/\s/.test(text[to] ?? '')) to++;
  const equals = word.indexOf('=');
  if (equals < 0) {
    const nextEquals = text.slice(from, to).indexOf('=');
    return {
      part: 'key',
      key: word,
      typed: word,
      from,
      to: nextEquals < 0 ? to : from + nextEquals,
    };
  }
  const typed = word.slice(equals + 1).replace(/^"/, '');
  return { part: 'value', key: word.slice(0, equals), typed, from: from + equals + 1, to };
}
