/** One search, and its two spellings: the page's URL (Jaeger's parameters) and the API's. */
import type { Tag } from './tagQuery';
import { bounds, DEFAULT_LOOKBACK, lookbackMicros, type TimeRange } from './timeRange';

export type Sort = 'newest' | 'longest';

export interface SearchQuery {
  service: string | null;
  operation: string | null;
  tags: Tag[];
  range: TimeRange;
  limit: number;
  /** Go duration such as `1.2ms`; empty for none. */
  minDuration: string;
  maxDuration: string;
  traceIds: string[];
  /** URL, host, path or glob; empty for none. */
  url: string;
  errors: boolean;
  sort: Sort;
}

export const DEFAULT_LIMIT = 100;
/** The largest limit that Jaeger's UI allows, and the API's own. */
export const MAX_LIMIT = 1500;

/** What Jaeger's UI writes for "no filter". */
const ALL_SERVICES = '__all_services__';
const ALL_OPERATIONS = new Set(['all', '__all_operations__']);

export function emptyQuery(): SearchQuery {
  return {
    service: null,
    operation: null,
    tags: [],
    range: { kind: 'relative', lookback: DEFAULT_LOOKBACK },
    limit: DEFAULT_LIMIT,
    minDuration: '',
    maxDuration: '',
    traceIds: [],
    url: '',
    errors: false,
    sort: 'newest',
  };
}

function readTags(parameters: URLSearchParams): Tag[] {
  const tags: Tag[] = [];
  for (const json of parameters.getAll('tags')) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(json);
    } catch {
      continue;
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) continue;
    for (const [key, value] of Object.entries(parsed)) {
      tags.push({ key, value: typeof value === 'string' ? value : JSON.stringify(value) });
    }
  }
  for (const text of parameters.getAll('tag')) {
    const colon = text.indexOf(':');
    if (colon > 0) tags.push({ key: text.slice(0, colon), value: text.slice(colon + 1) });
  }
  return tags;
}

function readRange(parameters: URLSearchParams): TimeRange {
  const startMicros = Number(parameters.get('start') ?? Number.NaN);
  const endMicros = Number(parameters.get('end') ?? Number.NaN);
  // A link from Jaeger's UI has all three; it shows what was found then, so the fixed range wins.
  if (startMicros > 0 && endMicros > startMicros) return { kind: 'fixed', startMicros, endMicros };
  const lookback = parameters.get('lookback') ?? DEFAULT_LOOKBACK;
  return {
    kind: 'relative',
    lookback: lookbackMicros(lookback) === null ? DEFAULT_LOOKBACK : lookback,
  };
}

function readLimit(text: string | null): number {
  const limit = Number(text ?? DEFAULT_LIMIT);
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, MAX_LIMIT) : DEFAULT_LIMIT;
}

export function parseSearch(queryString: string): SearchQuery {
  const parameters = new URLSearchParams(queryString);
  const service = parameters.get('service');
  const operation = parameters.get('operation');
  return {
    service: service && service !== ALL_SERVICES ? service : null,
    operation: operation && !ALL_OPERATIONS.has(operation) ? operation : null,
    tags: readTags(parameters),
    range: readRange(parameters),
    limit: readLimit(parameters.get('limit')),
    minDuration: parameters.get('minDuration') ?? '',
    maxDuration: parameters.get('maxDuration') ?? '',
    traceIds: parameters.getAll('traceID').filter((id) => /^[0-9a-fA-F]{1,32}$/.test(id)),
    url: parameters.get('url') ?? '',
    errors: parameters.get('errors') === 'true',
    sort: parameters.get('sort') === 'longest' ? 'longest' : 'newest',
  };
}

/** `tags={...}` can hold a key once; when one repeats, the legacy spelling keeps them all. */
function writeTags(parameters: URLSearchParams, tags: readonly Tag[]): void {
  if (tags.length === 0) return;
  const keys = new Set(tags.map((tag) => tag.key));
  if (keys.size === tags.length) {
    const object = Object.fromEntries(tags.map((tag) => [tag.key, tag.value]));
    parameters.set('tags', JSON.stringify(object));
  } else {
    for (const tag of tags) parameters.append('tag', `${tag.key}:${tag.value}`);
  }
}

function writeFilters(parameters: URLSearchParams, query: SearchQuery): void {
  if (query.service !== null) parameters.set('service', query.service);
  if (query.operation !== null) parameters.set('operation', query.operation);
  writeTags(parameters, query.tags);
  if (query.url !== '') parameters.set('url', query.url);
  if (query.errors) parameters.set('errors', 'true');
  if (query.minDuration !== '') parameters.set('minDuration', query.minDuration);
  if (query.maxDuration !== '') parameters.set('maxDuration', query.maxDuration);
}

/** The page's query string; defaults are left out. */
export function formatSearch(query: SearchQuery): string {
  const parameters = new URLSearchParams();
  writeFilters(parameters, query);
  if (query.range.kind === 'fixed') {
    parameters.set('lookback', 'custom');
    parameters.set('start', String(Math.round(query.range.startMicros)));
    parameters.set('end', String(Math.round(query.range.endMicros)));
  } else if (query.range.lookback !== DEFAULT_LOOKBACK) {
    parameters.set('lookback', query.range.lookback);
  }
  if (query.limit !== DEFAULT_LIMIT) parameters.set('limit', String(query.limit));
  for (const id of query.traceIds) parameters.append('traceID', id);
  if (query.sort !== 'newest') parameters.set('sort', query.sort);
  return parameters.toString();
}

export function searchPath(query: Partial<SearchQuery>): string {
  const text = formatSearch({ ...emptyQuery(), ...query });
  return text === '' ? '/search' : `/search?${text}`;
}

/** The filter alone, for the live stream, which has no time range. */
export function filterParameters(query: SearchQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  writeFilters(parameters, query);
  return parameters;
}

/** Filter and time range, for the charts. */
export function rangeParameters(query: SearchQuery, now: number): URLSearchParams {
  const parameters = filterParameters(query);
  const { startMicros, endMicros } = bounds(query.range, now);
  parameters.set('start', String(Math.round(startMicros)));
  parameters.set('end', String(Math.round(endMicros)));
  return parameters;
}

export function apiParameters(query: SearchQuery, now: number): URLSearchParams {
  const parameters = rangeParameters(query, now);
  parameters.set('limit', String(query.limit));
  return parameters;
}

const GO_DURATION =
  /^(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/;

export function isGoDuration(text: string): boolean {
  return GO_DURATION.test(text);
}

/** How many filters are set, so that an empty result can offer to drop them. */
export function filterCount(query: SearchQuery): number {
  return [...filterParameters(query).keys()].length;
}
