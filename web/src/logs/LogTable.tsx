/** Log records, one line each, with the chosen one in full beside them. */
import { useEffect, useState } from 'preact/hooks';
import type { LogRecord } from '../api/types';
import { formatFull, formatInstant } from '../format/time';
import { Attributes } from '../parts/Attributes';
import { CloseIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { tracePath } from '../routes';
import { isShortcut, singleKeysOn } from '../shell/shortcuts';
import { useRows } from '../virtual/useRows';
import { severityLabel, severityOf } from './severity';

const ROW_HEIGHT = 26;
/** A line holds no more than this; the whole body is in the details. */
const MAX_LINE = 600;

interface Props {
  logs: LogRecord[];
  /** The trace is known, so rows lead to their spans. */
  inTrace?: boolean;
  onScrolled?: (scrolled: boolean) => void;
}

function LogDetails({ log, onClose }: { log: LogRecord; onClose: () => void }) {
  return (
    <aside class="span-panel" aria-label="Log record">
      <header class="panel-head">
        <div class="panel-title">
          <ServiceName name={log.service} />
          <h2>{severityLabel(log) || 'Log record'}</h2>
        </div>
        <button type="button" class="icon-button" onClick={onClose} aria-label="Close details">
          <CloseIcon />
        </button>
      </header>
      <div class="panel-body">
        <p class="muted">{formatFull(log.timeMicros)}</p>
        <pre class="log-full">{log.body}</pre>
        {log.traceId !== null && (
          <a class="button" href={tracePath(log.traceId, log.spanId)}>
            Open its trace
          </a>
        )}
        <section class="panel-section">
          <h3>Attributes</h3>
          <Attributes attributes={log.attributes} />
        </section>
      </div>
    </aside>
  );
}

export function LogTable({ logs, inTrace = false, onScrolled }: Props) {
  const rows = useRows(logs.length, ROW_HEIGHT);
  const [active, setActive] = useState(0);
  const [open, setOpen] = useState<LogRecord | null>(null);
  const current = Math.min(active, logs.length - 1);

  const focusRow = (row: number) => {
    const target = Math.max(0, Math.min(row, logs.length - 1));
    setActive(target);
    rows.reveal(target);
    requestAnimationFrame(() => {
      const element = rows.ref.current?.querySelector(`[data-row="${target}"]`);
      if (element instanceof HTMLElement) element.focus({ preventScroll: true });
    });
    if (open !== null) setOpen(logs[target] ?? null);
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!isShortcut(event)) return;
      const inList = rows.ref.current?.contains(document.activeElement) ?? false;
      const letter = singleKeysOn() || inList;
      if ((letter && event.key === 'j') || (inList && event.key === 'ArrowDown')) {
        focusRow(inList ? current + 1 : current);
      } else if ((letter && event.key === 'k') || (inList && event.key === 'ArrowUp')) {
        focusRow(current - 1);
      } else if (event.key === 'Escape' && open !== null) {
        setOpen(null);
      } else {
        return;
      }
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });

  return (
    <div class={`trace-split log-split ${open === null ? '' : 'has-panel'}`}>
      <section class="log-table" aria-label="Log records">
        <div class="log-row log-head" aria-hidden="true">
          <span>Time</span>
          <span>Severity</span>
          {!inTrace && <span>Service</span>}
          <span>Message</span>
          <span>{inTrace ? 'Span' : 'Trace'}</span>
        </div>
        <div
          ref={rows.ref}
          class={`log-scroll ${inTrace ? 'in-trace' : ''}`}
          onScroll={() => {
            rows.onScroll();
            onScrolled?.(!rows.atTop());
          }}
        >
          <ul class="log-rows" style={{ height: `${rows.totalHeight}px` }}>
            {logs.slice(rows.first, rows.end).map((log, offset) => {
              const row = rows.first + offset;
              return (
                <li
                  key={row}
                  aria-setsize={logs.length}
                  aria-posinset={row + 1}
                  class={`log-row severity-${severityOf(log.severityNumber)} ${log === open ? 'is-selected' : ''}`}
                  style={{ transform: `translateY(${row * ROW_HEIGHT}px)` }}
                >
                  <span class="mono" title={formatFull(log.timeMicros)}>
                    {formatInstant(log.timeMicros)}
                  </span>
                  <span class="log-severity">{severityLabel(log)}</span>
                  {!inTrace && <ServiceName name={log.service} />}
                  <button
                    type="button"
                    class="log-message mono"
                    data-row={row}
                    tabIndex={row === current ? 0 : -1}
                    aria-expanded={log === open}
                    onFocus={() => setActive(row)}
                    onClick={() => setOpen(log === open ? null : log)}
                  >
                    {log.body.slice(0, MAX_LINE)}
                  </button>
                  <span class="log-link">
                    {log.traceId !== null && (
                      <a class="mono" href={tracePath(log.traceId, log.spanId)}>
                        {inTrace ? (log.spanId ?? '').slice(0, 8) : log.traceId.slice(0, 8)}
                      </a>
                    )}
                  </span>
                </li>
              );
            })}
          </ul>
        </div>
      </section>
      {open !== null && <LogDetails log={open} onClose={() => setOpen(null)} />}
    </div>
  );
}
