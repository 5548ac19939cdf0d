/** Spans and logs as the tests think of them: served by the mock, or sent to a real server. */

export interface FixtureEvent {
  name: string;
  offsetMicros: number;
  attributes: Record<string, string>;
}

export interface FixtureSpan {
  traceId: string;
  spanId: string;
  parentId: string | null;
  service: string;
  name: string;
  /** OTLP span kind, 1 (internal) to 5 (consumer). */
  kind: number;
  startMicros: number;
  durationMicros: number;
  /** OTLP status code. */
  status: 0 | 1 | 2;
  statusMessage: string;
  attributes: Record<string, string | number | boolean>;
  events: FixtureEvent[];
  links: { traceId: string; spanId: string }[];
}

export interface FixtureLog {
  timeMicros: number;
  severityText: string;
  severityNumber: number;
  body: string;
  service: string;
  traceId: string | null;
  spanId: string | null;
}

export interface Fixture {
  spans: FixtureSpan[];
  logs: FixtureLog[];
}

/** Numbers that look random and are the same in every run (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function hex(next: () => number, digits: number): string {
  let text = '';
  while (text.length < digits) text += Math.floor(next() * 16).toString(16);
  return text;
}

let families = 0;

/** Ids from the clock as well as the seed, so that two runs against one server do not collide. */
export function ids(seed: number): { trace: () => string; span: () => string } {
  const next = random((seed + 7919 * families++) ^ (Date.now() & 0x7fffffff));
  return { trace: () => hex(next, 32), span: () => hex(next, 16) };
}

interface Child {
  service: string;
  name: string;
  kind: number;
  from: number;
  share: number;
  attributes?: FixtureSpan['attributes'];
}

interface RequestShape {
  service: string;
  name: string;
  route: string;
  method: string;
  host: string;
  baseMicros: number;
  failing: number;
  children: Child[];
}

const SHAPES: RequestShape[] = [
  {
    service: 'todo',
    name: 'GET /',
    route: '/',
    method: 'GET',
    host: 'localhost:5000',
    baseMicros: 4200,
    failing: 0.01,
    children: [{ service: 'todo', name: 'SELECT todo', kind: 3, from: 0.2, share: 0.45 }],
  },
  {
    service: 'todo',
    name: 'POST /add',
    route: '/add',
    method: 'POST',
    host: 'localhost:5000',
    baseMicros: 9800,
    failing: 0.08,
    children: [
      { service: 'todo', name: 'INSERT todo', kind: 3, from: 0.15, share: 0.4 },
      { service: 'todo', name: 'COMMIT', kind: 3, from: 0.58, share: 0.3 },
    ],
  },
  {
    service: 'gateway',
    name: 'GET /api/orders/{id}',
    route: '/api/orders/{id}',
    method: 'GET',
    host: 'shop.example',
    baseMicros: 38_000,
    failing: 0.04,
    children: [
      { service: 'gateway', name: 'authorize', kind: 1, from: 0.03, share: 0.12 },
      { service: 'orders', name: 'GET /orders/{id}', kind: 2, from: 0.18, share: 0.7 },
      { service: 'orders-db', name: 'SELECT orders', kind: 3, from: 0.24, share: 0.22 },
      { service: 'inventory', name: 'inventory.Stock/Get', kind: 2, from: 0.5, share: 0.3 },
    ],
  },
];

function request(
  shape: RequestShape,
  startMicros: number,
  seed: number,
  id: ReturnType<typeof ids>,
): Fixture {
  const next = random(seed);
  const tail = next() < 0.06 ? 6 : 1;
  const durationMicros = shape.baseMicros * (0.6 + next() * 0.9) * tail;
  const failed = next() < shape.failing;
  const traceId = id.trace();
  const rootId = id.span();
  const status = failed ? 500 : 200;
  const root: FixtureSpan = {
    traceId,
    spanId: rootId,
    parentId: null,
    service: shape.service,
    name: shape.name,
    kind: 2,
    startMicros,
    durationMicros,
    status: failed ? 2 : 0,
    statusMessage: failed ? 'OperationalError: database is locked' : '',
    attributes: {
      'http.method': shape.method,
      'http.host': shape.host,
      'http.route': shape.route,
      'http.target': shape.route.replace('{id}', String(Math.floor(next() * 900) + 100)),
      'http.status_code': status,
      'http.flavor': '1.1',
      'net.peer.ip': '127.0.0.1',
    },
    events: failed
      ? [
          {
            name: 'exception',
            offsetMicros: durationMicros * 0.8,
            attributes: {
              'exception.type': 'OperationalError',
              'exception.message': 'database is locked',
              'exception.stacktrace':
                'Traceback (most recent call last):\n  File "app.py", line 31, in add\n    db.session.commit()\nOperationalError: database is locked',
            },
          },
        ]
      : [],
    links: [],
  };
  const spans = [root];
  let parent = rootId;
  for (const child of shape.children) {
    const spanId = id.span();
    const nested = child.service !== shape.service;
    spans.push({
      traceId,
      spanId,
      parentId: nested ? parent : rootId,
      service: child.service,
      name: child.name,
      kind: child.kind,
      startMicros: startMicros + durationMicros * child.from,
      durationMicros: durationMicros * child.share * (0.9 + next() * 0.1),
      status: failed && child === shape.children.at(-1) ? 2 : 0,
      statusMessage: '',
      attributes: child.kind === 3 ? { 'db.system': 'sqlite', 'db.statement': child.name } : {},
      events: [],
      links: [],
    });
    if (nested && child.kind === 2) parent = spanId;
  }
  const log: FixtureLog = {
    timeMicros: startMicros + durationMicros * 0.9,
    severityText: failed ? 'ERROR' : 'INFO',
    severityNumber: failed ? 17 : 9,
    body: `127.0.0.1 - "${shape.method} ${String(root.attributes['http.target'])} HTTP/1.1" ${status}`,
    service: shape.service,
    traceId,
    spanId: rootId,
  };
  return { spans, logs: [log] };
}

/** Requests spread over the minutes before `endMicros`, busier towards the end. */
export function traffic(count: number, endMicros: number, overMicros: number): Fixture {
  const id = ids(7);
  const next = random(42);
  const all: Fixture = { spans: [], logs: [] };
  for (let i = 0; i < count; i++) {
    const pick = next();
    const shape = SHAPES[pick < 0.5 ? 0 : pick < 0.72 ? 1 : 2];
    if (shape === undefined) continue;
    const start = endMicros - overMicros * next() ** 1.4 - 300_000;
    const one = request(shape, start, i + 1, id);
    all.spans.push(...one.spans);
    all.logs.push(...one.logs);
  }
  return all;
}

/** One more request to the To-Do app, as if it had just ended. */
export function freshRequest(name = 'GET /'): Fixture {
  const shape = SHAPES.find((candidate) => candidate.name === name);
  if (shape === undefined) throw new Error(`no shape ${name}`);
  const id = ids(99);
  return request({ ...shape, failing: 0 }, Date.now() * 1000 - shape.baseMicros * 2, 5, id);
}

export const HOSTILE_NAME = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">';
export const HOSTILE_VALUE = '"><svg onload="window.hacked=1"><b>bold</b>';

/** A trace whose every string tries to be markup. */
export function hostileTrace(): Fixture {
  const id = ids(13);
  const traceId = id.trace();
  const spanId = id.span();
  const startMicros = Date.now() * 1000 - 60e6;
  const span: FixtureSpan = {
    traceId,
    spanId,
    parentId: null,
    service: `svc ${HOSTILE_NAME}`,
    name: HOSTILE_NAME,
    kind: 2,
    startMicros,
    durationMicros: 5000,
    status: 2,
    statusMessage: HOSTILE_VALUE,
    attributes: { 'http.route': HOSTILE_VALUE, [HOSTILE_NAME]: HOSTILE_VALUE },
    events: [{ name: HOSTILE_NAME, offsetMicros: 10, attributes: { key: HOSTILE_VALUE } }],
    links: [],
  };
  const log: FixtureLog = {
    timeMicros: startMicros,
    severityText: 'ERROR',
    severityNumber: 17,
    body: HOSTILE_NAME,
    service: span.service,
    traceId,
    spanId,
  };
  return { spans: [span], logs: [log] };
}

/** A tree of `count` spans, up to 40 deep, for the virtualised waterfall. */
export function bigTrace(count: number): Fixture {
  const id = ids(21);
  const next = random(3);
  const traceId = id.trace();
  const endMicros = Date.now() * 1000 - 30e6;
  const total = 8e6;
  const spans: FixtureSpan[] = [];
  const open: { span: FixtureSpan; depth: number }[] = [];
  for (let i = 0; i < count; i++) {
    const up = open[Math.floor(open.length * (0.35 + 0.65 * next()))] ?? open.at(-1);
    const parent = up !== undefined && up.depth < 40 ? up : open[0];
    const from = parent?.span.startMicros ?? endMicros - total;
    const room = parent?.span.durationMicros ?? total;
    const offset = parent === undefined ? 0 : next() * 0.7;
    const span: FixtureSpan = {
      traceId,
      spanId: id.span(),
      parentId: parent?.span.spanId ?? null,
      service: ['gateway', 'orders', 'orders-db', 'inventory', 'billing'][i % 5] ?? 'gateway',
      name: `step ${i}`,
      kind: i === 0 ? 2 : 1,
      startMicros: from + room * offset,
      durationMicros: parent === undefined ? total : Math.max(room * (1 - offset) * next(), 1),
      status: i % 997 === 3 ? 2 : 0,
      statusMessage: '',
      attributes: { index: i },
      events: [],
      links: [],
    };
    spans.push(span);
    open.push({ span, depth: (parent?.depth ?? -1) + 1 });
    if (open.length > 200) open.splice(1, 1);
  }
  return { spans, logs: [] };
}
