/** Pictures of every screen in both themes, for eyes and for the docs: `SHOTS=folder npm run e2e`. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bigTrace, hostileTrace, traffic } from '../mock/fixtures';
import { openStage, type Stage } from './stage';

const folder = process.env.SHOTS;

describe.skipIf(folder === undefined)('screenshots', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());

  it('takes them', async () => {
    const shoot = async (name: string, path: string, ready: string, extra = '') => {
      for (const theme of ['light', 'dark'] as const) {
        const { page, context, problems } = await stage.open(path, { theme });
        await page.waitForSelector(ready);
        if (extra !== '') await page.click(extra);
        await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null);
        // The charts draw on the frame after their data.
        await page.evaluate(
          () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
        );
        await page.screenshot({ path: join(folder ?? '', `${name}-${theme}.png`) });
        expect(problems).toEqual([]);
        await context.close();
      }
    };
    if (stage.mock !== null) await shoot('empty', '/', '.getting-started');
    const fixture = traffic(420, Date.now() * 1000, 14 * 60e6);
    await stage.ingest(fixture);
    const failed = fixture.spans.find((span) => span.status === 2 && span.service === 'todo');
    const deep = fixture.spans.find((span) => span.service === 'gateway');
    await shoot('home', '/', '.routes tbody tr');
    await shoot('search', '/search', '.result-body li');
    await shoot(
      'nothing',
      '/search?service=todo&tags=%7B%22http.host%22%3A%22elsewhere%22%7D',
      '.state',
    );
    await shoot('trace', `/trace/${deep?.traceId}`, '.span-row');
    await shoot('span', `/trace/${failed?.traceId}?span=${failed?.spanId}`, '.attribute');
    await shoot('trace-logs', `/trace/${deep?.traceId}?tab=logs`, '.log-rows li');
    await shoot('logs', '/logs', '.log-rows li', '.log-message');
    await stage.ingest(bigTrace(10_000));
    await stage.ingest(hostileTrace());
    await shoot('overflow', '/search?limit=1500', '.result-body li');
  });
});
