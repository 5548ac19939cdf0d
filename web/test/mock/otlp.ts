/** Fixtures as OTLP/JSON, to send them to a real server. */
import type { Fixture, FixtureLog, FixtureSpan } from './fixtures';

type AnyValue = { stringValue: string } | { intValue: string } | { boolValue: boolean };

function value(of: string | number | boolean): AnyValue {
  if (typeof of === 'number') return { intValue: String(Math.round(of)) };
  if (typeof of === 'boolean') return { boolValue: of };
  return { stringValue: of };
}

function attributes(of: Record<string, string | number | boolean>) {
  return Object.entries(of).map(([key, entry]) => ({ key, value: value(entry) }));
}

/** Nanoseconds as a decimal string, as OTLP/JSON wants 64-bit integers. */
function nanos(micros: number): string {
  return String(BigInt(Math.round(micros)) * 1000n);
}

function otlpSpan(span: FixtureSpan) {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentId === null ? {} : { parentSpanId: span.parentId }),
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: nanos(span.startMicros),
    endTimeUnixNano: nanos(span.startMicros + span.durationMicros),
    status: { code: span.status, message: span.statusMessage },
    attributes: attributes(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      timeUnixNano: nanos(span.startMicros + event.offsetMicros),
      attributes: attributes(event.attributes),
    })),
    links: span.links,
  };
}

function otlpLog(log: FixtureLog) {
  return {
    timeUnixNano: nanos(log.timeMicros),
    severityText: log.severityText,
    severityNumber: log.severityNumber,
    body: { stringValue: log.body },
    ...(log.traceId === null ? {} : { traceId: log.traceId }),
    ...(log.spanId === null ? {} : { spanId: log.spanId }),
  };
}

function byService<T extends { service: string }>(items: T[]): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(item.service);
    if (group === undefined) groups.set(item.service, [item]);
    else group.push(item);
  }
  return [...groups];
}

const SCOPE = { name: 'carafe.test', version: '1' };

async function post(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
}

export async function sendOtlp(base: string, fixture: Fixture): Promise<void> {
  const resource = (service: string) => ({ attributes: attributes({ 'service.name': service }) });
  if (fixture.spans.length > 0) {
    await post(`${base}/v1/traces`, {
      resourceSpans: byService(fixture.spans).map(([service, spans]) => ({
        resource: resource(service),
        scopeSpans: [{ scope: SCOPE, spans: spans.map(otlpSpan) }],
      })),
    });
  }
  if (fixture.logs.length > 0) {
    await post(`${base}/v1/logs`, {
      resourceLogs: byService(fixture.logs).map(([service, logs]) => ({
        resource: resource(service),
        scopeLogs: [{ scope: SCOPE, logRecords: logs.map(otlpLog) }],
      })),
    });
  }
}
