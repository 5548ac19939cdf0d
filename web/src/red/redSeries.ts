/** From the server's buckets to what the strip draws and says. */
import type { RedAnswer } from '../api/types';

export interface RedSeries {
  /** Start of each bucket, seconds since the epoch. */
  times: number[];
  requestRate: number[];
  errorRate: number[];
  /** Share of requests that failed, 0 to 100; null where there were none. */
  errorPercent: (number | null)[];
  p50: (number | null)[];
  p95: (number | null)[];
  p99: (number | null)[];
  totalRequests: number;
  totalErrors: number;
  /** Requests per second at the end of the range: over its last two buckets. */
  latestRate: number;
  /** Index of the newest bucket with a request; null when there is none. */
  lastBusy: number | null;
}

/** Indices of values without a neighbour: a line would not show them, so they are drawn as points. */
export function lonePoints(values: ArrayLike<number | null | undefined>): number[] {
  const lone: number[] = [];
  const has = (index: number) => values[index] !== null && values[index] !== undefined;
  for (let i = 0; i < values.length; i++) {
    if (has(i) && !has(i - 1) && !has(i + 1)) lone.push(i);
  }
  return lone;
}

/** A bucket that has only begun counts as at least this share, or one request would look like many. */
const MIN_BUCKET_SHARE = 0.25;

/** The last bucket has seldom run its time, so the one before it steadies the rate. */
function latestRate(answer: RedAnswer, endMicros: number): number {
  const last = answer.points.slice(-2);
  const from = last[0]?.timeMicros;
  if (from === undefined || endMicros <= from) return 0;
  const count = last.reduce((sum, point) => sum + point.count, 0);
  return count / ((endMicros - from) / 1e6);
}

export function redSeries(answer: RedAnswer, endMicros: number): RedSeries {
  const { points, stepMicros } = answer;
  const rate = (count: number, timeMicros: number) => {
    const elapsed = Math.min(stepMicros, endMicros - timeMicros);
    return count / (Math.max(elapsed, stepMicros * MIN_BUCKET_SHARE) / 1e6);
  };
  let totalRequests = 0;
  let totalErrors = 0;
  let lastBusy: number | null = null;
  points.forEach((point, index) => {
    totalRequests += point.count;
    totalErrors += point.errors;
    if (point.count > 0) lastBusy = index;
  });
  return {
    times: points.map((point) => point.timeMicros / 1e6),
    requestRate: points.map((point) => rate(point.count, point.timeMicros)),
    errorRate: points.map((point) => rate(point.errors, point.timeMicros)),
    errorPercent: points.map((point) =>
      point.count > 0 ? (point.errors / point.count) * 100 : null,
    ),
    p50: points.map((point) => point.p50Micros),
    p95: points.map((point) => point.p95Micros),
    p99: points.map((point) => point.p99Micros),
    totalRequests,
    totalErrors,
    latestRate: latestRate(answer, endMicros),
    lastBusy,
  };
}
