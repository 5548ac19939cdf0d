/** Spans over time. Only the rows in view are in the page, so ten thousand scroll as smoothly as ten. */
import { useEffect, useRef } from 'preact/hooks';
import type { ColumnarTrace } from '../api/types';
import { formatDuration, ticks } from '../format/duration';
import { nameColumnShare } from '../state/preferences';
import { useRows } from '../virtual/useRows';
import type { CriticalPath } from './criticalPath';
import { type View, visibleRow } from './layout';
import type { WaterfallState } from './useWaterfall';
import { ROW_HEIGHT, WaterfallRow } from './WaterfallRow';

interface Props {
  trace: ColumnarTrace;
  state: WaterfallState;
  view: View;
  selected: number | null;
  matches: ReadonlySet<number> | null;
  path: CriticalPath | null;
  onOpen: (span: number) => void;
}

function Ruler({ trace, view }: Pick<Props, 'trace' | 'view'>) {
  const from = view.from * trace.durationMicros;
  const to = view.to * trace.durationMicros;
  const span = Math.max(to - from, 1e-3);
  return (
    <div class="ruler" aria-hidden="true">
      {ticks(from, to, 6).map((tick) => {
        const left = ((tick - from) / span) * 100;
        return (
          <span key={tick} class="ruler-tick" style={{ left: `${left}%` }}>
            {left < 94 && formatDuration(tick)}
          </span>
        );
      })}
    </div>
  );
}

/** The line between names and bars: drag it, or move it with the arrow keys. */
function Divider() {
  const share = nameColumnShare.value;
  const clamp = (value: number) => Math.min(0.7, Math.max(0.15, value));
  return (
    <div
      class="divider"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the name column"
      aria-valuenow={Math.round(share * 100)}
      aria-valuemin={15}
      aria-valuemax={70}
      tabIndex={0}
      style={{ left: `${share * 100}%` }}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        const box = event.currentTarget.parentElement?.getBoundingClientRect();
        if (box !== undefined && box.width > 0) {
          nameColumnShare.value = clamp((event.clientX - box.left) / box.width);
        }
      }}
      onKeyDown={(event) => {
        if (event.key === 'ArrowLeft') nameColumnShare.value = clamp(share - 0.02);
        else if (event.key === 'ArrowRight') nameColumnShare.value = clamp(share + 0.02);
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    />
  );
}

export function Waterfall(props: Props) {
  const { trace, state, view, selected, matches, path, onOpen } = props;
  const { ends, visible, collapsed, cursor } = state;
  const rows = useRows(visible.length, ROW_HEIGHT);
  const { spans } = trace;
  const columns = `${nameColumnShare.value * 100}% 1fr`;

  const cursorRow = visibleRow(visible, cursor);
  const revealed = useRef<number | null>(null);
  useEffect(() => {
    // Only a cursor that moved pulls the view along; a list that grew under it does not.
    if (revealed.current !== cursor) rows.reveal(cursorRow);
    revealed.current = cursor;
  }, [cursor, cursorRow, rows.reveal]);

  const drawn: number[] = [];
  for (let row = rows.first; row < rows.end; row++) drawn.push(row);
  // The view changes with every frame of a scroll: rows keep their nodes by their place in it.
  const pool = Math.max(drawn.length, 1);
  const cursorId = spans.id[visible[cursorRow] ?? 0] ?? '';

  return (
    <div class="waterfall" style={{ '--columns': columns }}>
      <div class="waterfall-head">
        <span>Service and operation</span>
        <Ruler trace={trace} view={view} />
      </div>
      <div
        ref={rows.ref}
        class="waterfall-scroll"
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={visible.length}
        aria-activedescendant={`span-${cursorId}`}
        tabIndex={0}
        id="waterfall"
        onScroll={rows.onScroll}
      >
        <div class="waterfall-body" role="presentation" style={{ height: `${rows.totalHeight}px` }}>
          {drawn.map((row) => {
            const span = visible[row] ?? 0;
            const end = ends[span] ?? span + 1;
            return (
              <WaterfallRow
                key={row % pool}
                trace={trace}
                span={span}
                row={row}
                view={view}
                setSize={visible.length}
                hasChildren={end > span + 1}
                hiddenCount={end - span - 1}
                collapsed={collapsed.has(span)}
                cursor={row === cursorRow}
                selected={span === selected}
                match={matches?.has(span) ?? false}
                dim={matches !== null && !matches.has(span)}
                segments={path?.get(span)}
                onToggle={(target) => state.setCollapsed(target, !collapsed.has(target))}
                onOpen={onOpen}
              />
            );
          })}
        </div>
      </div>
      <Divider />
    </div>
  );
}
