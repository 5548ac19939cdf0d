import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../api/types';
import { rank } from './completion';
import { countNew, mergeTraces, sortTraces } from './results';
import { nearestDot, scatterLayout } from './scatterLayout';

function trace(traceId: string, startMicros: number, durationMicros = 10): TraceSummary {
  return {
    traceId,
    rootService: 'web',
    rootOperation: 'GET /',
    startMicros,
    durationMicros,
    spanCount: 1,
    errorCount: 0,
    services: [],
    httpStatus: null,
  };
}

const ids = (traces: TraceSummary[]) => traces.map((entry) => entry.traceId).join('');

describe('live results', () => {
  it('puts new traces first, each once, within the limit', () => {
    const known = [trace('b', 2), trace('a', 1)];
    expect(ids(mergeTraces(known, [trace('c', 3)], 10))).toBe('cba');
    expect(ids(mergeTraces(known, [trace('c', 3)], 2))).toBe('cb');
    const grown = mergeTraces(known, [trace('a', 1, 99)], 10);
    expect([ids(grown), grown[1]?.durationMicros]).toEqual(['ba', 99]);
  });

  it('counts only what is not shown yet', () => {
    expect(countNew([trace('a', 1)], [trace('a', 1), trace('b', 2), trace('b', 2)])).toBe(1);
  });

  it('sorts by either column', () => {
    const traces = [trace('a', 1, 5), trace('b', 2, 1), trace('c', 3, 9)];
    expect([ids(sortTraces(traces, 'newest')), ids(sortTraces(traces, 'longest'))]).toEqual([
      'cba',
      'cab',
    ]);
  });
});

describe('scatter', () => {
  const area = { left: 50, top: 10, width: 1000, height: 100 };

  it('places traces by start and duration', () => {
    const traces = [trace('a', 0, 1000), trace('b', 50, 2000), trace('c', 100, 1500)];
    const { dots } = scatterLayout(traces, 0, 100, area);
    expect(dots.map((dot) => dot.x)).toEqual([50, 550, 1050]);
    const [a, b, c] = dots.map((dot) => dot.y);
    expect(b).toBeLessThan(c ?? 0);
    expect(c).toBeLessThan(a ?? 0);
    expect(dots.every((dot) => dot.y >= 10 && dot.y <= 110)).toBe(true);
  });

  it('turns logarithmic when durations are far apart', () => {
    const traces = [10, 1000, 100_000].map((duration, i) => trace(String(i), i, duration));
    const { dots, yTicks } = scatterLayout(traces, 0, 2, area);
    const [a = 0, b = 0, c = 0] = dots.map((dot) => dot.y);
    expect(a - b).toBeCloseTo(b - c, 5);
    expect(yTicks.map((tick) => tick.micros)).toEqual([10, 100, 1000, 10_000, 100_000]);
  });

  it('bears zero durations and no traces', () => {
    expect(scatterLayout([], 0, 0, area)).toEqual({ dots: [], yTicks: [] });
    const { dots } = scatterLayout([trace('a', 5, 0)], 5, 5, area);
    expect(dots.every((dot) => Number.isFinite(dot.x) && Number.isFinite(dot.y))).toBe(true);
  });

  it('finds the dot near the pointer', () => {
    const { dots } = scatterLayout([trace('a', 0, 1000), trace('b', 100, 1000)], 0, 100, area);
    const first = dots[0];
    expect(nearestDot(dots, (first?.x ?? 0) + 5, first?.y ?? 0, 8)?.trace.traceId).toBe('a');
    expect(nearestDot(dots, 500, 0, 8)).toBeNull();
  });
});

it('ranks completions that start with the text first', () => {
  expect(rank(['http.host', 'net.host', 'host', 'other'], 'host')).toEqual([
    'http.host',
    'net.host',
  ]);
  expect(rank(['a.host', 'host.name'], 'HOST')).toEqual(['host.name', 'a.host']);
});
