/** Where each trace sits in the duration scatter. */
import type { TraceSummary } from '../api/types';
import { ticks } from '../format/duration';

export interface Dot {
  x: number;
  y: number;
  radius: number;
  trace: TraceSummary;
}

export interface ScatterLayout {
  dots: Dot[];
  /** Durations in µs and their heights. */
  yTicks: { micros: number; y: number }[];
}

export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Durations this far apart are told apart better on a logarithmic scale. */
const LOG_FROM_RATIO = 50;
const MIN_RADIUS = 3;
const MAX_RADIUS = 8;

function yScale(low: number, high: number, area: Area): (micros: number) => number {
  const bottom = area.top + area.height;
  if (high / low >= LOG_FROM_RATIO) {
    const from = Math.log10(low);
    const span = Math.max(Math.log10(high) - from, 1e-9);
    return (micros) => bottom - ((Math.log10(Math.max(micros, low)) - from) / span) * area.height;
  }
  return (micros) => bottom - (micros / high) * area.height;
}

function yTicks(low: number, high: number): number[] {
  if (high / low < LOG_FROM_RATIO) return ticks(0, high, 4);
  const result: number[] = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) {
    result.push(10 ** power);
  }
  return result;
}

export function scatterLayout(
  traces: readonly TraceSummary[],
  startMicros: number,
  endMicros: number,
  area: Area,
): ScatterLayout {
  if (traces.length === 0) return { dots: [], yTicks: [] };
  let low = Number.POSITIVE_INFINITY;
  let high = 1;
  let mostSpans = 1;
  for (const trace of traces) {
    low = Math.min(low, Math.max(trace.durationMicros, 1));
    high = Math.max(high, trace.durationMicros);
    mostSpans = Math.max(mostSpans, trace.spanCount);
  }
  // Air above the slowest and below the fastest dot.
  high *= 1.15;
  low /= 1.3;
  const toY = yScale(low, high, area);
  const span = Math.max(endMicros - startMicros, 1);
  const dots = traces.map((trace) => ({
    x: area.left + ((trace.startMicros - startMicros) / span) * area.width,
    y: toY(Math.max(trace.durationMicros, 1)),
    radius: MIN_RADIUS + (MAX_RADIUS - MIN_RADIUS) * Math.sqrt((trace.spanCount - 1) / mostSpans),
    trace,
  }));
  return { dots, yTicks: yTicks(low, high).map((micros) => ({ micros, y: toY(micros) })) };
}

/** The dot under the pointer, or the nearest within reach. */
export function nearestDot(dots: readonly Dot[], x: number, y: number, reach: number): Dot | null {
  let best: Dot | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const dot of dots) {
    const distance = Math.hypot(dot.x - x, dot.y - y) - dot.radius;
    if (distance < bestDistance) {
      best = dot;
      bestDistance = distance;
    }
  }
  return bestDistance <= reach ? best : null;
}
