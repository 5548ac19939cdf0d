/** The UI in a real browser: what a user does from a search to an answer. */
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  bigTrace,
  type Fixture,
  freshRequest,
  HOSTILE_NAME,
  HOSTILE_VALUE,
  hostileTrace,
  traffic,
} from '../mock/fixtures';
import { openStage, type Stage, type Visit } from './stage';

/** Spans of the virtualised trace. */
const MANY = 10_000;
/** A live trace has to show within this time of its arrival (product contract). */
const LIVE_MS = 1000;

let stage: Stage;
let data: Fixture;
let big: Fixture;
let hostile: Fixture;
let visits: Visit[] = [];

beforeAll(async () => {
  stage = await openStage();
  data = traffic(160, Date.now() * 1000, 10 * 60e6);
  big = bigTrace(MANY);
  hostile = hostileTrace();
  for (const fixture of [data, big, hostile]) await stage.ingest(fixture);
});

afterAll(() => stage.close());

beforeEach(() => {
  visits = [];
});

/** Whatever a test looked at: no console error, no exception, no policy violation, no markup run. */
afterEach(async () => {
  for (const { page, context, problems } of visits) {
    if (!page.isClosed()) expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
    await context.close();
    expect(problems).toEqual([]);
  }
});

async function open(...parameters: Parameters<Stage['open']>): Promise<Visit> {
  const visit = await stage.open(...parameters);
  visits.push(visit);
  return visit;
}

/** Waits until the list holds several traces, all of operations with this text. */
async function only(page: Page, text: string): Promise<void> {
  await page.waitForFunction((wanted) => {
    const names = [...document.querySelectorAll('[data-trace] .operation')];
    return names.length > 3 && names.every((name) => name.textContent?.includes(wanted));
  }, text);
}

function traceId(fixture: Fixture): string {
  return fixture.spans[0]?.traceId ?? '';
}

describe('from a search to a span', () => {
  it('filters by service, operation, tags and URL, and keeps it all in the address', async () => {
    const { page } = await open('/search');
    await page.waitForSelector('[data-trace]');
    await page.selectOption('#search-service', 'todo');
    await page.waitForURL(/service=todo/);
    await page.selectOption('#search-operation', 'POST /add');
    await page.waitForURL(/operation=POST/);
    await page.fill('#search-tags', 'http.host=localhost:5000');
    await page.press('#search-tags', 'Enter');
    await page.waitForURL(/tags=%7B%22http.host%22%3A%22localhost%3A5000%22%7D/);
    await only(page, 'POST /add');

    await page.goto(`${stage.base}/search`);
    await page.waitForSelector('[data-trace]');
    await page.keyboard.press('u');
    await page.keyboard.type('/api/*');
    await page.keyboard.press('Enter');
    await page.waitForURL(/url=%2Fapi%2F\*/);
    await only(page, '/api/orders');
  });

  it('completes keys and values of tags', async () => {
    const { page } = await open('/search');
    await page.waitForSelector('[data-trace]');
    await page.keyboard.press('/');
    await page.keyboard.type('http.ho');
    await page.waitForSelector('[role=option]');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    expect(await page.inputValue('#search-tags')).toBe('http.host=');
    await page.keyboard.type('localh');
    await page.waitForSelector('[role=option]:has-text("localhost:5000")');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    expect(await page.inputValue('#search-tags')).toBe('http.host=localhost:5000 ');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.waitForURL(/tags=/);
  });

  it('says what is wrong with a tag', async () => {
    const { page } = await open('/search');
    await page.waitForSelector('[data-trace]');
    await page.fill('#search-tags', 'error');
    await page.press('#search-tags', 'Enter');
    await page.waitForSelector('#tag-error:has-text("write error=value")');
    expect(new URL(page.url()).search).toBe('');
  });

  it('opens a trace from the scatter, and a span from the waterfall', async () => {
    const id = data.spans.find((span) => span.service === 'gateway')?.traceId;
    const { page } = await open(`/search?traceID=${id}`);
    await page.waitForSelector(`[data-trace="${id}"]`);
    const canvas = await page.waitForSelector('.scatter canvas');
    const box = await canvas.boundingBox();
    if (box === null) throw new Error('the scatter has no size');
    // The only dot is somewhere: the pointer turns into a hand above it.
    let hit = false;
    for (let x = 62; x < 100 && !hit; x += 6) {
      for (let y = 6; y < 130 && !hit; y += 6) {
        await page.mouse.move(box.x + x, box.y + y);
        hit = await canvas.evaluate((element) => element.classList.contains('on-dot'));
      }
    }
    expect(hit).toBe(true);
    await page.mouse.down();
    await page.mouse.up();
    await page.waitForURL(new RegExp(`/trace/${id}`));
    await page.waitForSelector('.span-row');
    expect(await page.locator('.span-row').count()).toBe(5);
    await page.click('.span-row:has-text("SELECT orders")');
    await page.waitForURL(/span=[0-9a-f]{16}/);
    await page.waitForSelector('.attribute:has-text("db.system")');
    const filter = page.locator('.attribute:has-text("db.system") a');
    expect(await filter.getAttribute('href')).toBe(
      '/search?tags=%7B%22db.system%22%3A%22sqlite%22%7D',
    );
    await page.reload();
    await page.waitForSelector('.attribute:has-text("db.system")');
  });

  it('shows the logs of a trace and leads from a log record to its span', async () => {
    const id = traceId(data);
    const { page } = await open(`/trace/${id}`);
    await page.click('[role=tab]:has-text("Logs")');
    await page.waitForSelector('.log-message');
    await page.click('.log-link a');
    await page.waitForURL(/span=/);
    await page.waitForSelector('.span-panel .attribute');

    await page.goto(`${stage.base}/logs?severityMin=17`);
    await page.waitForSelector('.log-message');
    const words = await page.locator('.log-severity').allTextContents();
    expect(new Set(words)).toEqual(new Set(['ERROR']));
  });

  it('finds a trace by a pasted traceparent', async () => {
    const id = traceId(data);
    const { page } = await open('/');
    await page.fill('.trace-jump input', 'nonsense');
    await page.press('.trace-jump input', 'Enter');
    await page.waitForSelector('#trace-jump-error');
    await page.fill('.trace-jump input', `00-${id}-00f067aa0ba902b7-01`);
    await page.press('.trace-jump input', 'Enter');
    await page.waitForSelector('.span-row');
    expect(new URL(page.url()).pathname).toBe(`/trace/${id}`);
  });
});

describe('live', () => {
  it('shows a new trace at the top within a second', async () => {
    const { page } = await open('/search?service=todo');
    await page.waitForSelector('.live-open');
    await page.waitForSelector('[data-trace]');
    const fresh = freshRequest();
    const before = performance.now();
    await stage.ingest(fresh);
    await page.waitForSelector(`[data-trace="${traceId(fresh)}"]`, { timeout: 5 * LIVE_MS });
    expect(performance.now() - before).toBeLessThan(LIVE_MS);
    const first = page.locator('[data-trace]').first();
    expect(await first.getAttribute('data-trace')).toBe(traceId(fresh));
  });

  it('holds still under the pointer, counts what waits, and lets it in', async () => {
    const { page } = await open('/search?service=todo');
    await page.waitForSelector('.live-open');
    await page.waitForSelector('[data-trace]');
    const top = await page.locator('[data-trace]').first().getAttribute('data-trace');
    await page.hover('[data-trace]');
    const fresh = freshRequest('POST /add');
    await stage.ingest(fresh);
    await page.waitForSelector('.pill:has-text("1 new")');
    expect(await page.locator('[data-trace]').first().getAttribute('data-trace')).toBe(top);
    await page.click('.pill');
    await page.waitForSelector(`[data-trace="${traceId(fresh)}"]`);
  });

  it('stays as it is while paused', async () => {
    const { page } = await open('/search?service=todo');
    await page.waitForSelector('.live-open');
    await page.keyboard.press('.');
    await page.waitForSelector('.live-off');
    const paused = freshRequest();
    await stage.ingest(paused);
    // A second page, which is live, has it; this one must not.
    const other = await open('/search?service=todo');
    await other.page.waitForSelector(`[data-trace="${traceId(paused)}"]`);
    expect(await page.locator(`[data-trace="${traceId(paused)}"]`).count()).toBe(0);
    await page.keyboard.press('.');
    await page.waitForSelector(`[data-trace="${traceId(paused)}"]`);
    await page.waitForSelector('.live-open');
    const after = freshRequest('POST /add');
    await stage.ingest(after);
    await page.waitForSelector(`[data-trace="${traceId(after)}"]`);
  });

  it('reads what it missed when the stream broke', async (context) => {
    const { mock } = stage;
    if (mock === null) return context.skip('needs the mock');
    const visit = await open('/search?service=todo');
    await visit.page.waitForSelector('.live-open');
    await visit.page.waitForSelector('[data-trace]');
    mock.failing = true;
    mock.dropStreams();
    await visit.page.waitForSelector('.live-broken');
    const missed = freshRequest();
    mock.add(missed);
    mock.failing = false;
    await visit.page.waitForSelector(`[data-trace="${traceId(missed)}"]`);
    await visit.page.waitForSelector('.live-open');
    // The browser notes the breaks that this test makes.
    visit.problems.length = 0;
    return undefined;
  });

  it('opens a trace whose first span comes later', async () => {
    const later = freshRequest();
    const visit = await open(`/trace/${traceId(later)}`);
    await visit.page.waitForSelector('.state:has-text("This trace is not here")');
    await visit.page.waitForSelector('.live-open');
    await stage.ingest(later);
    await visit.page.waitForSelector('.span-row');
    // The browser itself notes the 404 that this test asks for.
    expect(visit.problems.filter((problem) => !problem.includes('404'))).toEqual([]);
    visit.problems.length = 0;
  });
});

describe('foreign text', () => {
  it('stays text on every screen', async () => {
    const id = traceId(hostile);
    const { page } = await open('/search?errors=true&limit=1500');
    await page.waitForSelector(`[data-trace="${id}"]`);
    const row = page.locator(`[data-trace="${id}"]`);
    expect(await row.locator('.operation').textContent()).toBe(HOSTILE_NAME);

    await page.goto(`${stage.base}/trace/${id}?span=${hostile.spans[0]?.spanId}`);
    await page.waitForSelector('.attribute');
    const panel = (await page.locator('.span-panel').textContent()) ?? '';
    expect(panel).toContain(HOSTILE_NAME);
    expect(panel).toContain(HOSTILE_VALUE);
    expect(await page.locator('#app script, #app img, #app svg[onload]').count()).toBe(0);

    await page.goto(`${stage.base}/logs?severityMin=17`);
    await page.waitForSelector(`.log-message:has-text("hacked=1")`);

    const service = encodeURIComponent(hostile.spans[0]?.service ?? '');
    await page.goto(`${stage.base}/?kind=all&service=${service}`);
    await page.waitForSelector('.route-name:has-text("hacked=1")');
    expect(await page.locator('#app script, #app img').count()).toBe(0);
  });

  it('stays text in the address', async () => {
    const text = encodeURIComponent(HOSTILE_VALUE);
    const { page } = await open(
      `/search?service=${text}&operation=${text}&url=${text}&tag=a:${text}`,
    );
    await page.waitForSelector('.state:has-text("No traces")');
    await page.goto(`${stage.base}/%3Cscript%3E`);
    await page.waitForSelector('.state:has-text("There is no such page")');
  });
});

describe('keyboard', () => {
  it('goes from the list into a trace and through its spans', async () => {
    const { page } = await open('/search?service=gateway');
    await page.waitForSelector('[data-trace]');
    await page.keyboard.press('j');
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-row') === '0');
    await page.keyboard.press('j');
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-row') === '1');
    await page.keyboard.press('k');
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-row') === '0');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.span-row');
    const cursor = () => page.locator('.is-cursor .span-label').textContent();
    expect(await cursor()).toContain('GET /api/orders/{id}');
    const rows = await page.locator('.span-row').count();
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => document.querySelectorAll('.span-row').length === 1);
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((n) => document.querySelectorAll('.span-row').length === n, rows);
    await page.keyboard.press('j');
    expect(await cursor()).toContain('authorize');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.span-panel h2:has-text("authorize")');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.span-panel', { state: 'detached' });
    await page.keyboard.press('/');
    await page.keyboard.type('inventory');
    await page.waitForSelector('.is-match');
    await page.keyboard.press('Enter');
    expect(await cursor()).toContain('inventory');
    expect(page.url()).toContain('uiFind=inventory');
  });

  it('has help, and goes between pages by chords', async () => {
    const { page } = await open('/');
    await page.waitForSelector('.routes');
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.waitForURL(/\/logs$/);
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.waitForURL(/\/search$/);
    await page.goBack();
    await page.waitForURL(/\/logs$/);
  });
});

describe('a trace of ten thousand spans', () => {
  it('keeps few rows in the page and answers scrolling and keys', async () => {
    const { page } = await open(`/trace/${traceId(big)}`);
    await page.waitForSelector('.span-row');
    const grid = page.locator('#waterfall');
    expect(await grid.getAttribute('aria-rowcount')).toBe(String(MANY));
    expect(await page.locator('.span-row').count()).toBeLessThan(80);
    await page.keyboard.press('End');
    await page.waitForSelector(`.span-row[aria-rowindex="${MANY}"]`);
    expect(await page.locator('.span-row').count()).toBeLessThan(80);
    await page.keyboard.press('[');
    await page.waitForFunction(() => document.querySelectorAll('.span-row').length === 1);
    await page.keyboard.press(']');
    await page.waitForFunction(
      (n) => document.querySelector('#waterfall')?.getAttribute('aria-rowcount') === String(n),
      MANY,
    );
    await page.keyboard.press('e');
    await page.waitForSelector('.is-cursor .icon-error');
  });
});

describe('looks', () => {
  it('follows the system, then the choice, before the first paint', async () => {
    const { page } = await open('/search', { theme: 'dark' });
    await page.waitForSelector('[data-trace]');
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    expect(await theme()).toBe('dark');
    await page.keyboard.press('t');
    expect(await theme()).toBe('light');
    await page.reload();
    expect(await theme()).toBe('light');
  });

  it.each(['light', 'dark'] as const)('breaks no accessibility rule in %s', async (theme) => {
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    const failed = data.spans.find((span) => span.status === 2);
    const screens: [string, string][] = [
      ['/', '.routes'],
      ['/search', '[data-trace]'],
      [`/trace/${failed?.traceId}?span=${failed?.spanId}`, '.span-panel .attribute'],
      ['/logs', '.log-message'],
    ];
    for (const [path, ready] of screens) {
      const { page } = await open(path, { theme });
      await page.waitForSelector(ready);
      // Through the debugger, because the content policy rightly forbids a script tag.
      const source = await (await import('node:fs/promises')).readFile(axe, 'utf8');
      await page.evaluate(source);
      const violations: string[] = await page.evaluate(async () => {
        const { axe: checker } = window as unknown as {
          axe: {
            run: () => Promise<{
              violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
            }>;
          };
        };
        const result = await checker.run();
        return result.violations.flatMap((violation) =>
          violation.nodes
            .slice(0, 2)
            .map((node) => `${violation.id}: ${node.html} ${node.failureSummary}`),
        );
      });
      expect(violations, path).toEqual([]);
    }
  });

  it('has no sideways scrolling on a narrow screen', async () => {
    for (const path of ['/', '/search', `/trace/${traceId(data)}`, '/logs']) {
      const { page } = await open(path, { width: 640, height: 800 });
      await page.waitForSelector('.routes, [data-trace], .span-row, .log-message');
      expect(
        await page.evaluate(() => document.documentElement.scrollWidth),
        path,
      ).toBeLessThanOrEqual(640);
    }
  });
});

describe('a server in trouble', () => {
  it('says so, keeps what it has, and recovers', async (context) => {
    const { mock } = stage;
    if (mock === null) return context.skip('needs the mock');
    const visit = await open('/search');
    await visit.page.waitForSelector('[data-trace]');
    mock.failing = true;
    await visit.page.click('button[type=submit]');
    await visit.page.waitForSelector('.notice-error:has-text("the store is restarting")');
    expect(await visit.page.locator('[data-trace]').count()).toBeGreaterThan(0);
    await visit.page.reload();
    await visit.page.waitForSelector('.state:has-text("Error 503")');
    mock.failing = false;
    await visit.page.click('.state button');
    await visit.page.waitForSelector('[data-trace]');
    // The browser notes the 503s that this test asks for.
    expect(visit.problems.filter((problem) => !problem.includes('503'))).toEqual([]);
    visit.problems.length = 0;
    return undefined;
  });

  it('shows how to start when there is no data', async () => {
    const { MockServer } = await import('../mock/server');
    const empty = new MockServer();
    const base = await empty.start();
    const { page } = await open('/');
    await page.goto(base);
    await page.waitForSelector('.command:has-text("carafe run -- flask run -p 5000")');
    await page.waitForSelector('.live-open');
    empty.add(freshRequest());
    await page.waitForSelector('.routes');
    await page.close();
    await empty.stop();
  });
});
