/** A server that speaks the native API over HTTP and serves the built UI as Carafe does. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Fixture } from './fixtures';
import { Model } from './model';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const API = '/api/carafe/v1';
/** As crates/ui sends it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function missing(response: ServerResponse, message: string): void {
  json(response, { error: { code: 404, message } }, 404);
}

export class MockServer {
  readonly model = new Model();
  private readonly server: Server;
  private readonly streams = new Map<ServerResponse, URLSearchParams>();
  private eventId = 0;
  /** Makes the API answer 503, for the error states. */
  failing = false;

  constructor() {
    this.server = createServer((request, response) => void this.handle(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const stream of this.streams.keys()) stream.end();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Takes data in and tells those who listen. */
  add(fixture: Fixture): void {
    const touched = this.model.add(fixture);
    for (const [stream, filter] of this.streams) {
      const traces = touched.filter((trace) => this.model.matches(trace.traceId, filter));
      if (traces.length > 0) this.send(stream, 'traces', { traces });
      const logs = fixture.logs.map((log) => ({ ...log, attributes: [] }));
      if (logs.length > 0) this.send(stream, 'logs', { logs });
    }
  }

  /** Breaks every live stream, as a restart does. */
  dropStreams(): void {
    for (const stream of this.streams.keys()) stream.destroy();
  }

  private send(stream: ServerResponse, event: string, data: unknown): void {
    this.eventId++;
    stream.write(`id: ${this.eventId}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://mock');
    if (url.pathname.startsWith('/api/')) this.answer(url, response);
    else await this.file(url.pathname, response);
  }

  private answer(url: URL, response: ServerResponse): void {
    const { searchParams: query, pathname } = url;
    if (this.failing) {
      json(response, { error: { code: 503, message: 'the store is restarting' } }, 503);
      return;
    }
    const parts = pathname
      .slice(API.length + 1)
      .split('/')
      .map(decodeURIComponent);
    const [head, id = '', part, last = ''] = parts;
    if (/^\/api\/traces\/\w+$/.test(pathname)) {
      json(response, { data: [{ traceID: pathname.split('/').at(-1) }] });
    } else if (head === 'live') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
      response.write('retry: 200\n\n');
      this.streams.set(response, query);
      response.on('close', () => this.streams.delete(response));
    } else if (head === 'services') json(response, this.model.services());
    else if (head === 'search') json(response, this.model.search(query));
    else if (head === 'red') json(response, this.model.red(query));
    else if (head === 'logs') json(response, this.model.logs(query));
    else if (head === 'status') json(response, this.model.status());
    else if (head === 'tags' && part === 'values')
      json(response, { values: this.model.tagValues(id) });
    else if (head === 'tags') json(response, { keys: this.model.tagKeys() });
    else if (head === 'traces') this.answerTrace(id, part, last, response);
    else missing(response, `no such API: ${pathname}`);
  }

  private answerTrace(
    id: string,
    part: string | undefined,
    last: string,
    response: ServerResponse,
  ): void {
    const answer =
      part === 'spans'
        ? this.model.span(id, last)
        : part === 'logs'
          ? { logs: this.model.traceLogs(id) }
          : this.model.trace(id);
    if (answer === null) missing(response, `trace ${id} is not in the store`);
    else json(response, answer);
  }

  private async file(path: string, response: ServerResponse): Promise<void> {
    const asset = extname(path) === '' ? '/index.html' : normalize(path);
    const headers = {
      'content-type': TYPES[extname(asset)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
    };
    try {
      const body = await readFile(join(DIST, asset));
      response.writeHead(200, headers);
      response.end(body);
    } catch {
      response.writeHead(404, headers);
      response.end('not found');
    }
  }
}
