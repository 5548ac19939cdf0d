/** Time ranges as Jaeger's URLs write them: relative (`lookback=1h`) or fixed (`start`, `end` in µs). */

export type TimeRange =
  | { kind: 'relative'; lookback: string }
  | { kind: 'fixed'; startMicros: number; endMicros: number };

export const DEFAULT_LOOKBACK = '1h';

export const LOOKBACKS = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d'] as const;

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Microseconds of a lookback such as `5m`; null when it is none. */
export function lookbackMicros(lookback: string): number | null {
  const match = /^(\d{1,6})([smhdw])$/.exec(lookback);
  if (match === null) return null;
  const unit = UNIT_SECONDS[match[2] ?? ''] ?? 0;
  const micros = Number(match[1]) * unit * 1e6;
  return micros > 0 ? micros : null;
}

export interface Bounds {
  startMicros: number;
  endMicros: number;
}

export function bounds(range: TimeRange, nowMicros: number): Bounds {
  if (range.kind === 'fixed') {
    return { startMicros: range.startMicros, endMicros: range.endMicros };
  }
  const back = lookbackMicros(range.lookback) ?? 3600e6;
  return { startMicros: nowMicros - back, endMicros: nowMicros };
}

/** "last hour" in words, for headings and empty states. */
export function describeRange(range: TimeRange): string {
  if (range.kind === 'fixed') return 'the chosen time range';
  const match = /^(\d+)([smhdw])$/.exec(range.lookback);
  const names: Record<string, string> = {
    s: 'second',
    m: 'minute',
    h: 'hour',
    d: 'day',
    w: 'week',
  };
  const count = match?.[1] ?? '1';
  const unit = names[match?.[2] ?? 'h'] ?? 'hour';
  return count === '1' ? `the last ${unit}` : `the last ${count} ${unit}s`;
}

/** The next wider lookback to offer when nothing was found; null at the widest. */
export function widerLookback(lookback: string): string | null {
  const here = lookbackMicros(lookback) ?? 0;
  return LOOKBACKS.find((candidate) => (lookbackMicros(candidate) ?? 0) > here) ?? null;
}

export function nowMicros(): number {
  return Date.now() * 1000;
}
