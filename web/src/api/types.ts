/** Wire types of Carafe's own HTTP API (`/api/carafe/v1`); times are named by their unit. */

export interface OperationStats {
  name: string;
  spanKind: string;
  count: number;
  errorCount: number;
  p50Micros: number | null;
  p95Micros: number | null;
}

export interface ServiceStats {
  name: string;
  spanCount: number;
  errorCount: number;
  lastSeenMicros: number;
  operations: OperationStats[];
}

export interface ServicesAnswer {
  services: ServiceStats[];
}

export interface TraceService {
  name: string;
  spanCount: number;
  errorCount: number;
}

export interface TraceSummary {
  traceId: string;
  rootService: string;
  rootOperation: string;
  startMicros: number;
  durationMicros: number;
  spanCount: number;
  errorCount: number;
  services: TraceService[];
  httpStatus: number | null;
}

export interface SearchAnswer {
  traces: TraceSummary[];
  truncated: boolean;
  /** What to ask for as `after` to go on; null on the last page. */
  next: string | null;
}

/** One array per field, spans in depth-first order; `service` and `name` index the dictionaries. */
export interface SpanColumns {
  id: string[];
  parent: number[];
  depth: number[];
  /** Microseconds after the trace's start. */
  start: number[];
  /** Microseconds. */
  duration: number[];
  service: number[];
  name: number[];
  /** OTLP span kind, 0 (unspecified) to 5 (consumer). */
  kind: number[];
  /** OTLP status code: 0 unset, 1 ok, 2 error. */
  status: number[];
  logCount: number[];
  eventCount: number[];
}

export interface ColumnarTrace {
  traceId: string;
  startMicros: number;
  durationMicros: number;
  services: string[];
  names: string[];
  spans: SpanColumns;
  missingParents: number;
}

export type AttributeType = 'string' | 'int' | 'double' | 'bool' | 'array' | 'kvlist' | 'bytes';

export interface Attribute {
  key: string;
  type: AttributeType;
  /** Integers come as strings, because JSON numbers lose precision beyond 2^53. */
  value: unknown;
}

export interface SpanEvent {
  name: string;
  timeMicros: number;
  attributes: Attribute[];
}

export interface SpanLink {
  traceId: string;
  spanId: string;
  attributes: Attribute[];
}

export interface SpanDetail {
  spanId: string;
  parentSpanId: string | null;
  name: string;
  kind: string;
  service: string;
  startMicros: number;
  durationMicros: number;
  status: { code: 'UNSET' | 'OK' | 'ERROR'; message: string };
  traceState: string;
  scope: { name: string; version: string };
  attributes: Attribute[];
  resource: Attribute[];
  events: SpanEvent[];
  links: SpanLink[];
}

export interface LogRecord {
  timeMicros: number;
  severityText: string;
  severityNumber: number;
  body: string;
  traceId: string | null;
  spanId: string | null;
  service: string;
  attributes: Attribute[];
}

export interface LogsAnswer {
  logs: LogRecord[];
  truncated: boolean;
  /** What to ask for as `after` to go on; null on the last page. */
  next: string | null;
}

export interface RedPoint {
  timeMicros: number;
  count: number;
  errors: number;
  p50Micros: number | null;
  p95Micros: number | null;
  p99Micros: number | null;
}

export interface RedAnswer {
  stepMicros: number;
  startMicros: number;
  points: RedPoint[];
}

export interface LiveStats {
  spans: number;
  logs: number;
  points: number;
  dropped: number;
}

export interface StatusAnswer {
  version: string;
  uptimeSeconds: number;
  startMicros: number;
  store: {
    kind: string;
    spans: number;
    traces: number;
    logs: number;
    points: number;
    bytes: number;
    maxBytes: number;
    evictedTraces: number;
  };
}
