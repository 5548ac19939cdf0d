/** Answers the native API's questions from fixtures, simply: no index, a scan per question. */
import type {
  Attribute,
  ColumnarTrace,
  LogRecord,
  OperationStats,
  RedAnswer,
  ServicesAnswer,
  SpanDetail,
  TraceSummary,
} from '../../src/api/types';
import type { Fixture, FixtureLog, FixtureSpan } from './fixtures';

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUSES = ['UNSET', 'OK', 'ERROR'] as const;
const URL_KEYS = [
  'http.host',
  'http.url',
  'http.target',
  'http.route',
  'url.full',
  'url.path',
  'server.address',
];
const UNIT_MICROS: Record<string, number> = {
  ns: 1e-3,
  us: 1,
  µs: 1,
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  h: 3600e6,
};

function durationMicros(text: string | null): number | null {
  if (text === null || text === '') return null;
  let total = 0;
  for (const [, value, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(value) * (UNIT_MICROS[unit ?? ''] ?? 0);
  }
  return total;
}

function percentile(sorted: number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

function attributes(of: FixtureSpan['attributes']): Attribute[] {
  return Object.entries(of).map(([key, value]) => ({
    key,
    type: typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'bool' : 'string',
    value: typeof value === 'number' ? String(value) : value,
  }));
}

function tagsOf(span: FixtureSpan): Record<string, string> {
  return {
    ...Object.fromEntries(
      Object.entries(span.attributes).map(([key, value]) => [key, String(value)]),
    ),
    'service.name': span.service,
    error: String(span.status === 2),
    'span.kind': (KINDS[span.kind] ?? '').toLowerCase(),
  };
}

function urlMatches(pattern: string, span: FixtureSpan): boolean {
  const tags = tagsOf(span);
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  const glob = new RegExp(`^${escaped}$`);
  return URL_KEYS.some((key) => {
    const value = tags[key];
    return (
      value !== undefined && (pattern.includes('*') ? glob.test(value) : value.includes(pattern))
    );
  });
}

function wantedTags(query: URLSearchParams): [string, string][] {
  const wanted: [string, string][] = query.getAll('tag').map((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon), text.slice(colon + 1)];
  });
  const json: unknown = JSON.parse(query.get('tags') ?? '{}');
  if (typeof json === 'object' && json !== null) {
    for (const [key, value] of Object.entries(json)) wanted.push([key, String(value)]);
  }
  return wanted;
}

function spanMatches(span: FixtureSpan, query: URLSearchParams): boolean {
  const service = query.get('service');
  const operation = query.get('operation');
  const url = query.get('url');
  const tags = tagsOf(span);
  return (
    (service === null || span.service === service) &&
    (operation === null || span.name === operation) &&
    (url === null || urlMatches(url, span)) &&
    wantedTags(query).every(([key, value]) => tags[key] === value)
  );
}

function summary(spans: FixtureSpan[]): TraceSummary {
  const root = spans.find((span) => span.parentId === null) ?? spans[0];
  if (root === undefined) throw new Error('a trace without spans');
  const start = Math.min(...spans.map((span) => span.startMicros));
  const end = Math.max(...spans.map((span) => span.startMicros + span.durationMicros));
  const names = [...new Set(spans.map((span) => span.service))];
  const status = root.attributes['http.status_code'];
  return {
    traceId: root.traceId,
    rootService: root.service,
    rootOperation: root.name,
    startMicros: start,
    durationMicros: end - start,
    spanCount: spans.length,
    errorCount: spans.filter((span) => span.status === 2).length,
    services: names.map((name) => {
      const own = spans.filter((span) => span.service === name);
      return { name, spanCount: own.length, errorCount: own.filter((s) => s.status === 2).length };
    }),
    httpStatus: typeof status === 'number' ? status : null,
  };
}

function logRecord(log: FixtureLog): LogRecord {
  return { ...log, attributes: attributes({ 'code.lineno': 31 }) };
}

export class Model {
  private readonly traces = new Map<string, FixtureSpan[]>();
  private logRecords: FixtureLog[] = [];

  /** Takes data in and returns the traces that it touched, as the live stream tells them. */
  add(fixture: Fixture): TraceSummary[] {
    const touched = new Set<string>();
    for (const span of fixture.spans) {
      const spans = this.traces.get(span.traceId) ?? [];
      spans.push(span);
      this.traces.set(span.traceId, spans);
      touched.add(span.traceId);
    }
    this.logRecords.push(...fixture.logs);
    return [...touched].map((id) => summary(this.traces.get(id) ?? []));
  }

  private matching(query: URLSearchParams): FixtureSpan[][] {
    const min = durationMicros(query.get('minDuration'));
    const max = durationMicros(query.get('maxDuration'));
    const start = Number(query.get('start') ?? 0);
    const end = Number(query.get('end') ?? Number.POSITIVE_INFINITY);
    return [...this.traces.values()].filter((spans) => {
      const root = spans[0];
      if (root === undefined || root.startMicros < start || root.startMicros > end) return false;
      if (query.get('errors') === 'true' && !spans.some((span) => span.status === 2)) return false;
      return spans.some(
        (span) =>
          spanMatches(span, query) &&
          (min === null || span.durationMicros >= min) &&
          (max === null || span.durationMicros <= max),
      );
    });
  }

  matches(traceId: string, query: URLSearchParams): boolean {
    return this.matching(query).some((spans) => spans[0]?.traceId === traceId);
  }

  search(query: URLSearchParams): { traces: TraceSummary[]; truncated: boolean } {
    const limit = Number(query.get('limit') ?? 20);
    const found = this.matching(query)
      .map(summary)
      .sort((a, b) => b.startMicros - a.startMicros);
    return { traces: found.slice(0, limit), truncated: found.length > limit };
  }

  services(): ServicesAnswer {
    const all = [...this.traces.values()].flat();
    const names = [...new Set(all.map((span) => span.service))].sort();
    return {
      services: names.map((name) => {
        const own = all.filter((span) => span.service === name);
        const groups = groupBy(own, (span) => `${span.name}\u0000${span.kind}`);
        const operations: OperationStats[] = [...groups.values()].map((spans) => {
          const sorted = spans.map((span) => span.durationMicros).sort((a, b) => a - b);
          return {
            name: spans[0]?.name ?? '',
            spanKind: KINDS[spans[0]?.kind ?? 0] ?? '',
            count: spans.length,
            errorCount: spans.filter((span) => span.status === 2).length,
            p50Micros: percentile(sorted, 0.5),
            p95Micros: percentile(sorted, 0.95),
          };
        });
        return {
          name,
          spanCount: own.length,
          errorCount: own.filter((span) => span.status === 2).length,
          lastSeenMicros: Math.max(...own.map((span) => span.startMicros + span.durationMicros)),
          operations,
        };
      }),
    };
  }

  trace(traceId: string): ColumnarTrace | null {
    const spans = this.traces.get(traceId);
    if (spans === undefined) return null;
    const { startMicros, durationMicros: total } = summary(spans);
    const children = groupBy(spans, (span) => span.parentId ?? '');
    const services = [...new Set(spans.map((span) => span.service))];
    const names = [...new Set(spans.map((span) => span.name))];
    const serviceIndex = new Map(services.map((name, index) => [name, index]));
    const nameIndex = new Map(names.map((name, index) => [name, index]));
    const known = new Set(spans.map((span) => span.spanId));
    const columns: ColumnarTrace['spans'] = {
      id: [],
      parent: [],
      depth: [],
      start: [],
      duration: [],
      service: [],
      name: [],
      kind: [],
      status: [],
      logCount: [],
      eventCount: [],
    };
    const logCounts = new Map<string, number>();
    for (const log of this.logRecords) {
      if (log.traceId !== traceId || log.spanId === null) continue;
      logCounts.set(log.spanId, (logCounts.get(log.spanId) ?? 0) + 1);
    }
    const visit = (span: FixtureSpan, parent: number, depth: number) => {
      const index = columns.id.length;
      columns.id.push(span.spanId);
      columns.parent.push(parent);
      columns.depth.push(depth);
      columns.start.push(span.startMicros - startMicros);
      columns.duration.push(span.durationMicros);
      columns.service.push(serviceIndex.get(span.service) ?? 0);
      columns.name.push(nameIndex.get(span.name) ?? 0);
      columns.kind.push(span.kind);
      columns.status.push(span.status);
      columns.logCount.push(logCounts.get(span.spanId) ?? 0);
      columns.eventCount.push(span.events.length);
      const below = [...(children.get(span.spanId) ?? [])];
      below.sort((a, b) => a.startMicros - b.startMicros);
      for (const child of below) visit(child, index, depth + 1);
    };
    const roots = spans.filter((span) => span.parentId === null || !known.has(span.parentId));
    for (const root of roots) visit(root, -1, 0);
    return {
      traceId,
      startMicros,
      durationMicros: total,
      services,
      names,
      spans: columns,
      missingParents: roots.filter((span) => span.parentId !== null).length,
    };
  }

  span(traceId: string, spanId: string): SpanDetail | null {
    const span = this.traces.get(traceId)?.find((candidate) => candidate.spanId === spanId);
    if (span === undefined) return null;
    return {
      spanId,
      parentSpanId: span.parentId,
      name: span.name,
      kind: KINDS[span.kind] ?? '',
      service: span.service,
      startMicros: span.startMicros,
      durationMicros: span.durationMicros,
      status: { code: STATUSES[span.status], message: span.statusMessage },
      traceState: '',
      scope: { name: 'carafe.test', version: '1' },
      attributes: attributes(span.attributes),
      resource: attributes({ 'service.name': span.service, 'process.pid': 4242 }),
      events: span.events.map((event) => ({
        name: event.name,
        timeMicros: span.startMicros + event.offsetMicros,
        attributes: attributes(event.attributes),
      })),
      links: span.links.map((link) => ({ ...link, attributes: [] })),
    };
  }

  traceLogs(traceId: string): LogRecord[] {
    return this.logRecords.filter((log) => log.traceId === traceId).map(logRecord);
  }

  logs(query: URLSearchParams): { logs: LogRecord[]; truncated: boolean } {
    const text = query.get('text')?.toLowerCase() ?? '';
    const service = query.get('service');
    const severity = Number(query.get('severityMin') ?? 0);
    const limit = Number(query.get('limit') ?? 100);
    const found = this.logRecords
      .filter(
        (log) =>
          log.body.toLowerCase().includes(text) &&
          (service === null || log.service === service) &&
          log.severityNumber >= severity,
      )
      .sort((a, b) => b.timeMicros - a.timeMicros);
    return { logs: found.slice(0, limit).map(logRecord), truncated: found.length > limit };
  }

  red(query: URLSearchParams): RedAnswer {
    const start = Number(query.get('start'));
    const end = Number(query.get('end'));
    const stepMicros = Math.max(1e6, Math.ceil((end - start) / 60 / 1e6) * 1e6);
    const startMicros = Math.floor(start / stepMicros) * stepMicros;
    const buckets = new Map<number, FixtureSpan[]>();
    for (const spans of this.traces.values()) {
      for (const span of spans) {
        const entry = span.kind === 2 || span.kind === 5 || span.parentId === null;
        if (!entry || span.startMicros < start || span.startMicros > end) continue;
        if (!spanMatches(span, query)) continue;
        const bucket = Math.floor((span.startMicros - startMicros) / stepMicros);
        buckets.set(bucket, [...(buckets.get(bucket) ?? []), span]);
      }
    }
    const points = [];
    for (let bucket = 0; startMicros + bucket * stepMicros < end; bucket++) {
      const spans = buckets.get(bucket) ?? [];
      const sorted = spans.map((span) => span.durationMicros).sort((a, b) => a - b);
      points.push({
        timeMicros: startMicros + bucket * stepMicros,
        count: spans.length,
        errors: spans.filter((span) => span.status === 2).length,
        p50Micros: percentile(sorted, 0.5),
        p95Micros: percentile(sorted, 0.95),
        p99Micros: percentile(sorted, 0.99),
      });
    }
    return { stepMicros, startMicros, points };
  }

  tagKeys(): string[] {
    const all = [...this.traces.values()].flat();
    return [...new Set(all.flatMap((span) => Object.keys(tagsOf(span))))].sort();
  }

  tagValues(key: string): string[] {
    const counts = new Map<string, number>();
    for (const span of [...this.traces.values()].flat()) {
      const value = tagsOf(span)[key];
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  }

  status() {
    const spans = [...this.traces.values()].reduce((sum, list) => sum + list.length, 0);
    return {
      version: '0.0.0-mock',
      uptimeSeconds: 900,
      startMicros: Date.now() * 1000 - 900e6,
      store: {
        kind: 'memory',
        spans,
        traces: this.traces.size,
        logs: this.logRecords.length,
        points: 0,
        bytes: spans * 900,
        maxBytes: 256 * 1024 * 1024,
        evictedTraces: 0,
      },
    };
  }
}
