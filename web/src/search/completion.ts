/** Completions of the tag field: keys, then the values of a key. */
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api/client';
import type { TagToken } from '../state/tagQuery';

const MAX_SHOWN = 12;
const DEBOUNCE_MS = 120;

/** Those that start with what was typed come before those that only contain it. */
export function rank(candidates: readonly string[], typed: string): string[] {
  const needle = typed.toLowerCase();
  const starts: string[] = [];
  const contains: string[] = [];
  for (const candidate of candidates) {
    const text = candidate.toLowerCase();
    if (text === needle) continue;
    if (text.startsWith(needle)) starts.push(candidate);
    else if (text.includes(needle)) contains.push(candidate);
  }
  return [...starts, ...contains].slice(0, MAX_SHOWN);
}

/** What can stand at the caret; empty while nothing is asked for (null token). */
export function useCompletions(token: TagToken | null, service: string | null): string[] {
  const [candidates, setCandidates] = useState<{ source: string; values: string[] }>({
    source: '',
    values: [],
  });
  const part = token?.part ?? null;
  const key = token?.part === 'value' ? token.key : '';
  const source = part === null ? '' : `${part} ${key} ${service ?? ''}`;

  useEffect(() => {
    if (part === null || (part === 'value' && key === '')) return;
    const abort = new AbortController();
    const timer = window.setTimeout(() => {
      const request =
        part === 'key'
          ? api.tagKeys(service, abort.signal)
          : api.tagValues(key, service, abort.signal);
      // Completion is a courtesy: without an answer the field still takes what is typed.
      request.then((values) => setCandidates({ source, values })).catch(() => undefined);
    }, DEBOUNCE_MS);
    return () => {
      window.clearTimeout(timer);
      abort.abort();
    };
  }, [source]);

  if (token === null || candidates.source !== source) return [];
  return rank(candidates.values, token.typed);
}
