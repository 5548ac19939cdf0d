import { expect, it } from 'vitest';
import type { LogRecord } from '../api/types';
import {
  logApiParameters,
  logPath,
  MAX_LOGS,
  matchesLog,
  parseLogQuery,
  prependLogs,
} from './logQuery';
import { severityLabel, severityOf } from './severity';

function log(timeMicros: number, body = 'hello', severityNumber = 9): LogRecord {
  return {
    timeMicros,
    severityText: '',
    severityNumber,
    body,
    traceId: null,
    spanId: null,
    service: 'web',
    attributes: [],
  };
}

it('keeps its filter in the URL', () => {
  const text = 'text=data+base&service=web&severityMin=17&lookback=5m';
  expect(logPath(parseLogQuery(text))).toBe(`/logs?${text}`);
  expect(logPath(parseLogQuery(''))).toBe('/logs');
  expect(logPath(parseLogQuery('severityMin=99&lookback=x'))).toBe('/logs');
  expect(logApiParameters(parseLogQuery('text=a&lookback=5m'), 400e6).toString()).toBe(
    'text=a&start=100000000&end=400000000&limit=500',
  );
});

it('checks live records against the filter', () => {
  const query = parseLogQuery('text=LOCK&service=web&severityMin=17');
  expect(matchesLog(query, log(1, 'database is locked', 17))).toBe(true);
  expect(matchesLog(query, log(1, 'database is locked', 13))).toBe(false);
  expect(matchesLog(query, log(1, 'fine', 17))).toBe(false);
  expect(matchesLog(query, { ...log(1, 'locked', 17), service: 'db' })).toBe(false);
});

it('keeps the newest records first, and a bounded number', () => {
  expect(prependLogs([log(2)], [log(1), log(3)]).map((entry) => entry.timeMicros)).toEqual([
    3, 2, 1,
  ]);
  const again = prependLogs([log(2, 'a')], [log(2, 'a'), log(2, 'b')]);
  expect(again.map((entry) => entry.body)).toEqual(['b', 'a']);
  const many = Array.from({ length: MAX_LOGS }, (_, index) => log(index));
  const merged = prependLogs(many, [log(MAX_LOGS)]);
  expect([merged.length, merged[0]?.timeMicros]).toEqual([MAX_LOGS, MAX_LOGS]);
});

it('names severities', () => {
  expect([0, 1, 4, 5, 9, 13, 17, 24, 99].map(severityOf)).toEqual([
    'none',
    'trace',
    'trace',
    'debug',
    'info',
    'warn',
    'error',
    'fatal',
    'fatal',
  ]);
  expect(severityLabel(log(1))).toBe('INFO');
  expect(severityLabel({ ...log(1), severityText: 'notice' })).toBe('notice');
  expect(severityLabel(log(1, '', 0))).toBe('');
});
