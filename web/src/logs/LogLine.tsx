import type { LogRecord } from '../api/types';
import { formatFull, formatInstant } from '../format/time';
import { severityLabel, severityOf } from './severity';

/** A record in one or a few lines of text. */
export function LogLine({ log }: { log: LogRecord }) {
  return (
    <p class={`log-line severity-${severityOf(log.severityNumber)}`}>
      <span class="muted" title={formatFull(log.timeMicros)}>
        {formatInstant(log.timeMicros)}
      </span>{' '}
      <b>{severityLabel(log)}</b> <span class="log-body">{log.body}</span>
    </p>
  );
}
