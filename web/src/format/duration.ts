/** Durations for people: three significant digits and the unit that fits. */

function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return trim(value.toFixed(1));
  return trim(value.toFixed(2));
}

function trim(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** `1.2 ms` from microseconds; an en dash when there is none. */
export function formatDuration(micros: number | null | undefined): string {
  if (micros === null || micros === undefined || !Number.isFinite(micros)) return '–';
  const size = Math.abs(micros);
  if (size === 0) return '0';
  if (size < 1) return `${Math.round(micros * 1000)} ns`;
  if (size < 999.5) return `${digits(micros)} µs`;
  if (size < 999_500) return `${digits(micros / 1e3)} ms`;
  if (size < 60e6) return `${digits(micros / 1e6)} s`;
  if (size < 3600e6) {
    const seconds = Math.round(micros / 1e6);
    return `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, '0')}s`;
  }
  const minutes = Math.round(micros / 60e6);
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}

/** Step of a ruler: the 1-2-5 number that gives at most `most` ticks over `span`. */
export function niceStep(span: number, most: number): number {
  if (!(span > 0) || most < 1) return 1;
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough - 1e-12) ?? 10;
  return factor * power;
}

export function ticks(from: number, to: number, most: number): number[] {
  const step = niceStep(to - from, most);
  const result: number[] = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to + step * 1e-9; tick += step) {
    result.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  }
  return result;
}
