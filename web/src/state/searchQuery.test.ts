import { describe, expect, it } from 'vitest';
import {
  apiParameters,
  emptyQuery,
  filterCount,
  formatSearch,
  isGoDuration,
  parseSearch,
  type SearchQuery,
} from './searchQuery';

/** What each parameter of Jaeger's search URL becomes, and how it is written again. */
const GOLDEN: [string, Partial<SearchQuery>, string][] = [
  ['', {}, ''],
  ['service=todo', { service: 'todo' }, 'service=todo'],
  ['service=__all_services__', {}, ''],
  ['service=todo&operation=all', { service: 'todo' }, 'service=todo'],
  ['service=todo&operation=__all_operations__', { service: 'todo' }, 'service=todo'],
  [
    'service=todo&operation=GET+%2F',
    { service: 'todo', operation: 'GET /' },
    'service=todo&operation=GET+%2F',
  ],
  [
    'tags=%7B%22http.host%22%3A%22localhost%3A5000%22%2C%22error%22%3A%22true%22%7D',
    {
      tags: [
        { key: 'http.host', value: 'localhost:5000' },
        { key: 'error', value: 'true' },
      ],
    },
    'tags=%7B%22http.host%22%3A%22localhost%3A5000%22%2C%22error%22%3A%22true%22%7D',
  ],
  [
    'tags=%7B%22http.status_code%22%3A500%7D',
    { tags: [{ key: 'http.status_code', value: '500' }] },
    'tags=%7B%22http.status_code%22%3A%22500%22%7D',
  ],
  ['tags=not-json', {}, ''],
  ['tags=%5B1%5D', {}, ''],
  [
    'tag=http.host:localhost:5000',
    { tags: [{ key: 'http.host', value: 'localhost:5000' }] },
    'tags=%7B%22http.host%22%3A%22localhost%3A5000%22%7D',
  ],
  [
    'tag=a:1&tag=a:2',
    {
      tags: [
        { key: 'a', value: '1' },
        { key: 'a', value: '2' },
      ],
    },
    'tag=a%3A1&tag=a%3A2',
  ],
  ['tag=nocolon', {}, ''],
  ['lookback=5m', { range: { kind: 'relative', lookback: '5m' } }, 'lookback=5m'],
  ['lookback=4w', { range: { kind: 'relative', lookback: '4w' } }, 'lookback=4w'],
  ['lookback=1h', {}, ''],
  ['lookback=soon', {}, ''],
  [
    'lookback=custom&start=1700000000000000&end=1700003600000000',
    { range: { kind: 'fixed', startMicros: 1700000000000000, endMicros: 1700003600000000 } },
    'lookback=custom&start=1700000000000000&end=1700003600000000',
  ],
  [
    'lookback=1h&start=1700000000000000&end=1700003600000000',
    { range: { kind: 'fixed', startMicros: 1700000000000000, endMicros: 1700003600000000 } },
    'lookback=custom&start=1700000000000000&end=1700003600000000',
  ],
  ['start=5&end=4', {}, ''],
  ['limit=20', { limit: 20 }, 'limit=20'],
  ['limit=99999', { limit: 1500 }, 'limit=1500'],
  ['limit=-1', {}, ''],
  [
    'minDuration=1.2ms&maxDuration=3s',
    { minDuration: '1.2ms', maxDuration: '3s' },
    'minDuration=1.2ms&maxDuration=3s',
  ],
  ['traceID=ab12&traceID=cd34', { traceIds: ['ab12', 'cd34'] }, 'traceID=ab12&traceID=cd34'],
  ['traceID=%3Cscript%3E', {}, ''],
  ['url=%2Fapi%2F*&errors=true', { url: '/api/*', errors: true }, 'url=%2Fapi%2F*&errors=true'],
  ['sort=longest', { sort: 'longest' }, 'sort=longest'],
  ['view=ddg&uiEmbed=v0', {}, ''],
];

describe('search URL', () => {
  it.each(GOLDEN)('%s', (text, expected, written) => {
    const query = parseSearch(text);
    expect(query).toEqual({ ...emptyQuery(), ...expected });
    expect(formatSearch(query)).toBe(written);
    expect(parseSearch(formatSearch(query))).toEqual(query);
  });

  it('asks the API for what the page shows', () => {
    const now = 1_700_003_600_000_000;
    const query = parseSearch('service=todo&url=%2Fadd&lookback=5m&limit=20&sort=longest');
    expect(apiParameters(query, now).toString()).toBe(
      `service=todo&url=%2Fadd&start=${now - 300e6}&end=${now}&limit=20`,
    );
  });

  it('counts filters, but not range and limit', () => {
    expect(filterCount(parseSearch('lookback=5m&limit=7'))).toBe(0);
    expect(filterCount(parseSearch('service=a&tag=a:1&errors=true'))).toBe(3);
  });
});

describe('Go durations', () => {
  it.each(['1.2ms', '100us', '5µs', '3s', '1h30m', '.5s', '10ns'])('%s is one', (text) => {
    expect(isGoDuration(text)).toBe(true);
  });
  it.each(['', '12', 'ms', '1 ms', '-1s', '1d', '1.2.3s'])('%j is none', (text) => {
    expect(isGoDuration(text)).toBe(false);
  });
});
