/** Counts, rates and shares for people. */

const GROUPED = new Intl.NumberFormat(undefined);

export function formatCount(count: number): string {
  if (count < 100_000) return GROUPED.format(Math.round(count));
  if (count < 1e6) return `${Math.floor(count / 1e3)}k`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)}M`;
  return `${(count / 1e9).toFixed(1)}G`;
}

/** Per second, with as many digits as are worth reading. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '–';
  if (perSecond === 0) return '0';
  if (perSecond < 0.01) return '<0.01';
  if (perSecond < 10) return perSecond.toFixed(2).replace(/\.?0+$/, '');
  if (perSecond < 100) return perSecond.toFixed(1).replace(/\.0$/, '');
  return formatCount(perSecond);
}

/** A share of 1 as a percentage; never rounds something to nothing, nor less than all to all. */
export function formatPercent(share: number): string {
  if (!Number.isFinite(share) || share === 0) return '0 %';
  const percent = share * 100;
  if (percent < 0.1) return '<0.1 %';
  if (percent < 10) return `${percent.toFixed(1).replace(/\.0$/, '')} %`;
  if (percent > 99 && percent < 100) return '>99 %';
  return `${percent.toFixed(0)} %`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${units[unit] ?? ''}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
