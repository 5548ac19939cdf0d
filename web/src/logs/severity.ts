/** OpenTelemetry severity numbers: 1-4 trace, 5-8 debug, 9-12 info, 13-16 warn, 17-20 error, 21-24 fatal. */
import type { LogRecord } from '../api/types';

export type Severity = 'none' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

const BY_RANGE: Severity[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The lowest number of each severity that can be asked for. */
export const SEVERITY_FLOORS: { severity: Severity; min: number }[] = [
  { severity: 'debug', min: 5 },
  { severity: 'info', min: 9 },
  { severity: 'warn', min: 13 },
  { severity: 'error', min: 17 },
  { severity: 'fatal', min: 21 },
];

export function severityOf(number: number): Severity {
  if (!(number >= 1)) return 'none';
  return BY_RANGE[Math.min(Math.floor((number - 1) / 4), BY_RANGE.length - 1)] ?? 'none';
}

/** What to print: the source's own word, else the name of the number, else nothing. */
export function severityLabel(log: LogRecord): string {
  if (log.severityText !== '') return log.severityText;
  const severity = severityOf(log.severityNumber);
  return severity === 'none' ? '' : severity.toUpperCase();
}
