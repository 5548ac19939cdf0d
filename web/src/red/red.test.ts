import { expect, it } from 'vitest';
import type { RedPoint } from '../api/types';
import { lonePoints, redSeries } from './redSeries';

function point(timeMicros: number, count: number, errors = 0): RedPoint {
  const micros = count > 0 ? 1000 : null;
  return { timeMicros, count, errors, p50Micros: micros, p95Micros: micros, p99Micros: micros };
}

it('turns counts into rates, shares and totals', () => {
  const points = [point(0, 20, 5), point(10e6, 0), point(20e6, 30)];
  const series = redSeries({ stepMicros: 10e6, startMicros: 0, points }, 30e6);
  expect(series.times).toEqual([0, 10, 20]);
  expect(series.requestRate).toEqual([2, 0, 3]);
  expect(series.errorRate).toEqual([0.5, 0, 0]);
  expect(series.errorPercent).toEqual([25, null, 0]);
  expect(series.p95).toEqual([1000, null, 1000]);
  expect([series.totalRequests, series.totalErrors, series.lastBusy]).toEqual([50, 5, 2]);
  expect(series.latestRate).toBe(30 / 20);
});

it('measures a bucket that has only begun by the time that it had', () => {
  const answer = { stepMicros: 10e6, startMicros: 0, points: [point(0, 10), point(10e6, 5)] };
  expect(redSeries(answer, 15e6).requestRate).toEqual([1, 1]);
  expect(redSeries(answer, 15e6).latestRate).toBe(1);
  // But not by a sliver of time: one request in 10 ms is not 100/s.
  expect(redSeries(answer, 10.01e6).requestRate[1]).toBe(2);
});

it('has nothing to say about nothing', () => {
  const series = redSeries({ stepMicros: 1e6, startMicros: 0, points: [] }, 0);
  expect([series.latestRate, series.lastBusy, series.times]).toEqual([0, null, []]);
});

it('finds values that stand alone', () => {
  expect(lonePoints([null, 5, null, 1, 2, null, 7])).toEqual([1, 6]);
  expect(lonePoints([5])).toEqual([0]);
  expect(lonePoints([0, 1, 2])).toEqual([]);
  expect(lonePoints([])).toEqual([]);
});
