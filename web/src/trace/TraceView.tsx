/** A trace that was found: header, overview, spans, details, logs. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../api/client';
import type { ColumnarTrace } from '../api/types';
import { formatCount } from '../format/number';
import { LogTable } from '../logs/LogTable';
import { Empty, Failure, Loading } from '../parts/states';
import { address, setParameters } from '../router';
import { useResource } from '../state/useResource';
import { criticalPath } from './criticalPath';
import { useKeys } from './keys';
import { findSpans, formatView, pan, parseView, selfTime, type View, zoom } from './layout';
import { Minimap } from './Minimap';
import { SpanPanel } from './SpanPanel';
import { TraceHeader, traceFacts } from './TraceHeader';
import { useWaterfall } from './useWaterfall';
import { Waterfall } from './Waterfall';

const ZOOM_STEP = 0.7;
const PAN_STEP = 0.2;
const PAGE_ROWS = 20;

function middle(view: View): number {
  return (view.from + view.to) / 2;
}

export function TraceView({ trace }: { trace: ColumnarTrace }) {
  const parameters = new URLSearchParams(address.value.query);
  const { spans } = trace;
  const selectedId = parameters.get('span');
  const find = parameters.get('uiFind') ?? '';
  const tab = parameters.get('tab') === 'logs' ? 'logs' : 'spans';
  const view = parseView(parameters.get('view'));

  const selectedIndex = selectedId === null ? -1 : spans.id.indexOf(selectedId);
  const selected = selectedIndex >= 0 ? selectedIndex : null;
  const state = useWaterfall(trace, selected ?? 0);
  const facts = useMemo(() => traceFacts(trace), [trace]);
  const [showPath, setShowPath] = useState(true);
  const path = useMemo(() => (showPath ? criticalPath(spans) : null), [spans, showPath]);
  const found = useMemo(() => findSpans(trace, find), [trace, find]);
  const matches = useMemo(() => (find.trim() === '' ? null : new Set(found)), [found, find]);
  const logs = useResource(`logs ${trace.traceId} ${spans.id.length}`, (signal) =>
    api.traceLogs(trace.traceId, signal),
  );
  const allLogs = logs.data?.logs ?? [];
  const searchField = useRef<HTMLInputElement>(null);

  // A link or the log list can name a span that is hidden or far away.
  useEffect(() => {
    if (selected === null) return;
    state.expandTo(selected);
    state.setCursor(selected);
  }, [selected]);

  const setView = (next: View) => setParameters({ view: formatView(next) });
  const open = (span: number) => {
    state.setCursor(span);
    setParameters({ span: spans.id[span] ?? null });
  };
  const close = () => {
    setParameters({ span: null });
    document.getElementById('waterfall')?.focus();
  };
  const goTo = (span: number | undefined) => {
    if (span === undefined) return;
    state.expandTo(span);
    state.setCursor(span);
    if (selected !== null) setParameters({ span: spans.id[span] ?? null });
  };
  const nextMatch = (backwards: boolean) => {
    const { cursor } = state;
    if (backwards) goTo(found.findLast((span) => span < cursor) ?? found.at(-1));
    else goTo(found.find((span) => span > cursor) ?? found[0]);
  };
  const nextError = () => {
    const after = spans.status.findIndex((status, span) => status === 2 && span > state.cursor);
    const first = spans.status.indexOf(2);
    goTo(after >= 0 ? after : first >= 0 ? first : undefined);
  };
  const left = () => {
    const { cursor, ends, collapsed } = state;
    const hasChildren = (ends[cursor] ?? 0) > cursor + 1;
    if (hasChildren && !collapsed.has(cursor)) state.setCollapsed(cursor, true);
    else if ((spans.parent[cursor] ?? -1) >= 0) state.setCursor(spans.parent[cursor] ?? 0);
  };
  const right = () => {
    const { cursor, ends, collapsed } = state;
    if (collapsed.has(cursor)) state.setCollapsed(cursor, false);
    else if ((ends[cursor] ?? 0) > cursor + 1) state.setCursor(cursor + 1);
  };
  const leave = () => {
    if (selected !== null) close();
    else setParameters({ view: null, uiFind: null });
  };

  const always = { Escape: leave };
  useKeys(
    tab === 'logs'
      ? always
      : {
          ...always,
          j: () => state.move(1),
          k: () => state.move(-1),
          ArrowDown: () => state.move(1),
          ArrowUp: () => state.move(-1),
          PageDown: () => state.move(PAGE_ROWS),
          PageUp: () => state.move(-PAGE_ROWS),
          Home: () => state.setCursor(0),
          End: () => state.move(spans.id.length),
          ArrowLeft: left,
          ArrowRight: right,
          Enter: () => open(state.cursor),
          ' ': () => open(state.cursor),
          '[': state.collapseAll,
          ']': state.expandAll,
          n: () => nextMatch(false),
          N: () => nextMatch(true),
          e: nextError,
          c: () => setShowPath((old) => !old),
          w: () => setView(zoom(view, ZOOM_STEP, middle(view))),
          s: () => setView(zoom(view, 1 / ZOOM_STEP, middle(view))),
          a: () => setView(pan(view, -PAN_STEP)),
          d: () => setView(pan(view, PAN_STEP)),
        },
  );

  const selectTab = (name: string) => setParameters({ tab: name === 'logs' ? 'logs' : null });

  return (
    <div class="trace">
      <TraceHeader trace={trace} facts={facts} />
      <div class="trace-bar">
        <div class="tabs" role="tablist" aria-label="Views of the trace">
          {[
            { name: 'spans', label: 'Spans', count: spans.id.length },
            { name: 'logs', label: 'Logs', count: logs.data === null ? null : allLogs.length },
          ].map(({ name, label, count }) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab === name}
              aria-controls="trace-content"
              onClick={() => selectTab(name)}
            >
              {label} {count !== null && <span class="muted">{formatCount(count)}</span>}
            </button>
          ))}
        </div>
        <span class="spacer" />
        <label class="check">
          <input
            type="checkbox"
            checked={showPath}
            onChange={(event) => setShowPath(event.currentTarget.checked)}
          />
          Critical path
        </label>
        <div class="find">
          <input
            ref={searchField}
            data-page-search
            class="input"
            type="search"
            placeholder="Find in trace"
            aria-label="Find spans by service, operation or span id"
            value={find}
            maxLength={500}
            onInput={(event) => setParameters({ uiFind: event.currentTarget.value || null })}
            onKeyDown={(event) => {
              if (event.key === 'Enter') nextMatch(event.shiftKey);
              else if (event.key === 'Escape') searchField.current?.blur();
              else return;
              event.preventDefault();
            }}
          />
          {matches !== null && (
            <span class="muted" role="status">
              {formatCount(found.length)} found
            </span>
          )}
        </div>
      </div>
      <div class="trace-content" id="trace-content" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'spans' ? (
          <div class={`trace-split ${selected === null ? '' : 'has-panel'}`}>
            <div class="trace-main">
              <Minimap trace={trace} view={view} onView={setView} />
              <Waterfall
                trace={trace}
                state={state}
                view={view}
                selected={selected}
                matches={matches}
                path={path}
                onOpen={open}
              />
            </div>
            {selected !== null && selectedId !== null && (
              <SpanPanel
                traceId={trace.traceId}
                traceStartMicros={trace.startMicros}
                traceDurationMicros={trace.durationMicros}
                spanId={selectedId}
                selfMicros={selfTime(spans, selected, state.ends)}
                revision={spans.id.length}
                logs={allLogs.filter((log) => log.spanId === selectedId)}
                onClose={close}
              />
            )}
          </div>
        ) : (
          <>
            {logs.error !== null && <Failure error={logs.error} retry={logs.reload} />}
            {logs.data === null && logs.error === null && <Loading what="logs" />}
            {logs.data !== null && allLogs.length === 0 && (
              <Empty title="No logs in this trace">
                <p class="state-text">
                  Lines that the app prints while it serves a request show here when it runs with{' '}
                  <code>--capture_output</code>.
                </p>
              </Empty>
            )}
            {allLogs.length > 0 && <LogTable logs={allLogs} inTrace />}
          </>
        )}
      </div>
    </div>
  );
}
