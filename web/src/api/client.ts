/** Reads Carafe's own API; every answer is checked for its top-level shape before it is trusted. */
import type {
  ColumnarTrace,
  LogsAnswer,
  RedAnswer,
  SearchAnswer,
  ServicesAnswer,
  SpanDetail,
  StatusAnswer,
} from './types';

export const API_BASE = '/api/carafe/v1';

/** A request that got no usable answer; `status` is 0 when no server answered at all. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the server says went wrong, or the bare status when it does not say. */
function errorMessage(body: unknown, status: number): string {
  if (isRecord(body) && isRecord(body.error) && typeof body.error.message === 'string') {
    return body.error.message;
  }
  return `the server answered with status ${status}`;
}

async function getJson(path: string, signal: AbortSignal | undefined): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      headers: { accept: 'application/json' },
      signal: signal ?? null,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(
      0,
      'Carafe does not answer. Is `carafe up` (or `carafe run`) still running?',
    );
  }
  let body: unknown;
  try {
    body = await response.json();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    body = undefined;
  }
  if (!response.ok) throw new ApiError(response.status, errorMessage(body, response.status));
  return body;
}

type Shape = Record<string, 'array' | 'number' | 'string' | 'object'>;

function hasShape(value: unknown, shape: Shape): boolean {
  if (!isRecord(value)) return false;
  return Object.entries(shape).every(([key, kind]) => {
    const field = value[key];
    if (kind === 'array') return Array.isArray(field);
    if (kind === 'object') return isRecord(field);
    return typeof field === kind;
  });
}

async function get<T>(path: string, shape: Shape, signal?: AbortSignal): Promise<T> {
  const body = await getJson(API_BASE + path, signal);
  if (!hasShape(body, shape)) {
    throw new ApiError(200, `unexpected answer from ${path.split('?')[0]}: is the server older?`);
  }
  return body as T;
}

function query(parameters: URLSearchParams): string {
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

const TRACE_SHAPE: Shape = {
  traceId: 'string',
  services: 'array',
  names: 'array',
  spans: 'object',
  startMicros: 'number',
  durationMicros: 'number',
};

export const api = {
  services: (signal?: AbortSignal) =>
    get<ServicesAnswer>('/services', { services: 'array' }, signal),

  search: (parameters: URLSearchParams, signal?: AbortSignal) =>
    get<SearchAnswer>(`/search${query(parameters)}`, { traces: 'array' }, signal),

  trace: (traceId: string, signal?: AbortSignal) =>
    get<ColumnarTrace>(`/traces/${encodeURIComponent(traceId)}`, TRACE_SHAPE, signal),

  span: (traceId: string, spanId: string, signal?: AbortSignal) =>
    get<SpanDetail>(
      `/traces/${encodeURIComponent(traceId)}/spans/${encodeURIComponent(spanId)}`,
      { spanId: 'string', attributes: 'array', resource: 'array', events: 'array', links: 'array' },
      signal,
    ),

  traceLogs: (traceId: string, signal?: AbortSignal) =>
    get<Pick<LogsAnswer, 'logs'>>(
      `/traces/${encodeURIComponent(traceId)}/logs`,
      { logs: 'array' },
      signal,
    ),

  logs: (parameters: URLSearchParams, signal?: AbortSignal) =>
    get<LogsAnswer>(`/logs${query(parameters)}`, { logs: 'array' }, signal),

  red: (parameters: URLSearchParams, signal?: AbortSignal) =>
    get<RedAnswer>(`/red${query(parameters)}`, { points: 'array', stepMicros: 'number' }, signal),

  tagKeys: async (service: string | null, signal?: AbortSignal) => {
    const parameters = new URLSearchParams(service === null ? {} : { service });
    const answer = await get<{ keys: string[] }>(
      `/tags${query(parameters)}`,
      { keys: 'array' },
      signal,
    );
    return answer.keys;
  },

  tagValues: async (key: string, service: string | null, signal?: AbortSignal) => {
    const parameters = new URLSearchParams(service === null ? {} : { service });
    const answer = await get<{ values: string[] }>(
      `/tags/${encodeURIComponent(key)}/values${query(parameters)}`,
      { values: 'array' },
      signal,
    );
    return answer.values;
  },

  status: (signal?: AbortSignal) =>
    get<StatusAnswer>('/status', { version: 'string', store: 'object' }, signal),
};

/** Jaeger's own JSON of a trace, for download. */
export function jaegerTraceUrl(traceId: string): string {
  return `/api/traces/${encodeURIComponent(traceId)}?prettyPrint=true`;
}
