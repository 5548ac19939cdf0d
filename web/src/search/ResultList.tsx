/** The found traces, one line each. */
import { useEffect, useState } from 'preact/hooks';
import type { TraceSummary } from '../api/types';
import { formatDuration } from '../format/duration';
import { formatCount, plural } from '../format/number';
import { formatFull, formatInstant } from '../format/time';
import { ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { tracePath } from '../routes';
import { isShortcut, singleKeysOn } from '../shell/shortcuts';
import type { Sort } from '../state/searchQuery';
import { serviceColour } from '../state/serviceColour';
import { useRows } from '../virtual/useRows';

const ROW_HEIGHT = 34;
/** More services than this are counted, not drawn. */
const MAX_DOTS = 6;

function statusClass(status: number): string {
  if (status >= 500) return 'badge badge-error';
  if (status >= 400) return 'badge badge-warn';
  return 'badge';
}

function ServiceDots({ trace }: { trace: TraceSummary }) {
  const rest = trace.services.length - MAX_DOTS;
  const title = trace.services.map((service) => `${service.name}: ${service.spanCount}`).join('\n');
  return (
    <span class="dots" title={title}>
      {trace.services.slice(0, MAX_DOTS).map((service) => (
        <span
          key={service.name}
          class="service-dot"
          style={{ background: serviceColour(service.name) }}
        />
      ))}
      {rest > 0 && <span class="muted">+{rest}</span>}
      <span class="visually-hidden">{plural(trace.services.length, 'service')}</span>
    </span>
  );
}

function Row({ trace, longest }: { trace: TraceSummary; longest: number }) {
  const share = longest > 0 ? Math.max(trace.durationMicros / longest, 0.004) : 0;
  return (
    <>
      <span class="cell-time" title={formatFull(trace.startMicros)}>
        {formatInstant(trace.startMicros)}
      </span>
      <span class="cell-status">
        {trace.httpStatus !== null && (
          <span class={statusClass(trace.httpStatus)}>{trace.httpStatus}</span>
        )}
      </span>
      <span class="cell-name">
        <ServiceName name={trace.rootService} />
        <span class="operation" title={trace.rootOperation}>
          {trace.rootOperation}
        </span>
      </span>
      <ServiceDots trace={trace} />
      <span class="cell-number">
        {formatCount(trace.spanCount)}{' '}
        <span class="muted">{trace.spanCount === 1 ? 'span' : 'spans'}</span>
      </span>
      <span class="cell-errors">
        {trace.errorCount > 0 && (
          <>
            <ErrorIcon /> {formatCount(trace.errorCount)}
          </>
        )}
      </span>
      <span class="cell-duration">
        <span class="duration-bar" aria-hidden="true">
          <span
            style={{
              width: `${share * 100}%`,
              background: serviceColour(trace.rootService),
            }}
          />
        </span>
        <span>{formatDuration(trace.durationMicros)}</span>
      </span>
    </>
  );
}

interface Props {
  traces: TraceSummary[];
  /** Arrived while the list was live, so they are marked for a moment. */
  fresh: ReadonlySet<string>;
  sort: Sort;
  onSort: (sort: Sort) => void;
  /** Whether the list is away from its top, so that rows should stay where they are. */
  onScrolled: (scrolled: boolean) => void;
}

export function ResultList({ traces, fresh, sort, onSort, onScrolled }: Props) {
  const rows = useRows(traces.length, ROW_HEIGHT);
  const [active, setActive] = useState(0);
  const current = Math.min(active, traces.length - 1);
  const longest = traces.reduce((most, trace) => Math.max(most, trace.durationMicros), 0);

  const focusRow = (row: number) => {
    const target = Math.max(0, Math.min(row, traces.length - 1));
    setActive(target);
    rows.reveal(target);
    requestAnimationFrame(() => {
      const link = rows.ref.current?.querySelector(`[data-row="${target}"]`);
      if (link instanceof HTMLElement) link.focus({ preventScroll: true });
    });
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
      } else if (inList && event.key === 'Home') {
        focusRow(0);
      } else if (inList && event.key === 'End') {
        focusRow(traces.length - 1);
      } else {
        return;
      }
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });

  const header = (label: string, value: Sort, className: string) => (
    <button
      type="button"
      class={`sort ${className}`}
      aria-pressed={sort === value}
      onClick={() => onSort(value)}
    >
      {label}
      <span aria-hidden="true">{sort === value ? ' ↓' : ''}</span>
    </button>
  );

  return (
    <section class="results" aria-label="Traces">
      <div class="result-row result-head">
        {header('Newest', 'newest', 'cell-time')}
        <span class="cell-status">Status</span>
        <span class="cell-name">Service and operation</span>
        <span>Services</span>
        <span class="cell-number">Size</span>
        <span class="cell-errors">Errors</span>
        {header('Longest', 'longest', 'cell-duration')}
      </div>
      <div
        class="result-scroll"
        ref={rows.ref}
        onScroll={() => {
          rows.onScroll();
          onScrolled(!rows.atTop());
        }}
      >
        <ul class="result-body" style={{ height: `${rows.totalHeight}px` }}>
          {traces.slice(rows.first, rows.end).map((trace, offset) => {
            const row = rows.first + offset;
            return (
              <li
                key={trace.traceId}
                aria-setsize={traces.length}
                aria-posinset={row + 1}
                style={{ transform: `translateY(${row * ROW_HEIGHT}px)` }}
              >
                <a
                  class={`result-row ${fresh.has(trace.traceId) ? 'is-fresh' : ''}`}
                  href={tracePath(trace.traceId)}
                  data-row={row}
                  data-trace={trace.traceId}
                  tabIndex={row === current ? 0 : -1}
                  onFocus={() => setActive(row)}
                >
                  <Row trace={trace} longest={longest} />
                </a>
              </li>
            );
          })}
        </ul>
      </div>
    </section>
  );
}
