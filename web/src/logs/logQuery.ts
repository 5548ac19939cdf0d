/** The log page's filter and its URL. */

import type { LogRecord } from '../api/types';
import { bounds, DEFAULT_LOOKBACK, lookbackMicros } from '../state/timeRange';

export interface LogQuery {
  text: string;
  service: string | null;
  /** OpenTelemetry severity number; 0 for all. */
  severityMin: number;
  lookback: string;
}

export const LOG_LIMIT = 500;
/** How many records the page keeps while it follows the stream. */
export const MAX_LOGS = 5000;

export function parseLogQuery(queryString: string): LogQuery {
  const parameters = new URLSearchParams(queryString);
  const severityMin = Number(parameters.get('severityMin') ?? 0);
  const lookback = parameters.get('lookback') ?? DEFAULT_LOOKBACK;
  return {
    text: parameters.get('text') ?? '',
    service: parameters.get('service') || null,
    severityMin:
      Number.isInteger(severityMin) && severityMin >= 1 && severityMin <= 24 ? severityMin : 0,
    lookback: lookbackMicros(lookback) === null ? DEFAULT_LOOKBACK : lookback,
  };
}

function writeFilter(query: LogQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  if (query.text !== '') parameters.set('text', query.text);
  if (query.service !== null) parameters.set('service', query.service);
  if (query.severityMin > 0) parameters.set('severityMin', String(query.severityMin));
  return parameters;
}

export function logPath(query: LogQuery): string {
  const parameters = writeFilter(query);
  if (query.lookback !== DEFAULT_LOOKBACK) parameters.set('lookback', query.lookback);
  const text = parameters.toString();
  return text === '' ? '/logs' : `/logs?${text}`;
}

export function logApiParameters(query: LogQuery, now: number): URLSearchParams {
  const parameters = writeFilter(query);
  const { startMicros, endMicros } = bounds({ kind: 'relative', lookback: query.lookback }, now);
  parameters.set('start', String(Math.round(startMicros)));
  parameters.set('end', String(Math.round(endMicros)));
  parameters.set('limit', String(LOG_LIMIT));
  return parameters;
}

/** The stream knows only traces' filters in full, so the page checks each record again. */
export function matchesLog(query: LogQuery, log: LogRecord): boolean {
  return (
    (query.service === null || log.service === query.service) &&
    log.severityNumber >= query.severityMin &&
    (query.text === '' || log.body.toLowerCase().includes(query.text.toLowerCase()))
  );
}

/** Log records have no id; this is what tells two apart. */
function identity(log: LogRecord): string {
  return JSON.stringify([log.timeMicros, log.service, log.spanId, log.severityNumber, log.body]);
}

/**
 * Newest first, at most `MAX_LOGS`. What is known already comes again when a broken stream
 * resumes, and is left out.
 */
export function prependLogs(known: LogRecord[], incoming: LogRecord[]): LogRecord[] {
  const seen = new Set(known.map(identity));
  const merged = [...incoming.filter((log) => !seen.has(identity(log))), ...known];
  merged.sort((a, b) => b.timeMicros - a.timeMicros);
  return merged.slice(0, MAX_LOGS);
}
