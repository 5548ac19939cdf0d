/** Which page a path shows. */

export type Route =
  | { page: 'home' }
  | { page: 'search' }
  | { page: 'logs' }
  | { page: 'trace'; traceId: string }
  | { page: 'unknown'; path: string };

const TRACE_ID = /^[0-9a-f]{1,32}$/;
/** W3C Trace Context: version-traceid-parentid-flags. */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/;

export function parseRoute(path: string): Route {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path;
  if (clean === '/' || clean === '') return { page: 'home' };
  if (clean === '/search') return { page: 'search' };
  if (clean === '/logs') return { page: 'logs' };
  const match = /^\/trace\/([^/]+)$/.exec(clean);
  const traceId = match?.[1]?.toLowerCase();
  if (traceId !== undefined && TRACE_ID.test(traceId)) return { page: 'trace', traceId };
  return { page: 'unknown', path };
}

export function tracePath(traceId: string, spanId?: string | null): string {
  return `/trace/${traceId}${spanId ? `?span=${spanId}` : ''}`;
}

/**
 * What people paste when they look for a trace: an id, a `traceparent` header, or a link to a
 * trace in this UI or in Jaeger's or Zipkin's. Null when there is no trace id in it.
 */
export function traceIdIn(text: string): string | null {
  const clean = text.trim().toLowerCase();
  if (TRACE_ID.test(clean)) return clean;
  const parent = TRACEPARENT.exec(clean.replace(/^traceparent:\s*/, ''));
  if (parent?.[1] !== undefined) return parent[1];
  const link = /\/traces?\/([0-9a-f]{1,32})(?![0-9a-f])/.exec(clean);
  return link?.[1] ?? null;
}
