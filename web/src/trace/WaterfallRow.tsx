/** One span: its place in the tree, its name, and its bar. */
import type { ColumnarTrace } from '../api/types';
import { formatDuration } from '../format/duration';
import { ChevronIcon, ErrorIcon } from '../parts/icons';
import { serviceColour } from '../state/serviceColour';
import type { Segment } from './criticalPath';
import type { View } from './layout';

export const ROW_HEIGHT = 26;
const INDENT_PX = 14;
/** Deeper levels are not indented further, or names would have no room. */
const MAX_INDENT = 24;

interface Props {
  trace: ColumnarTrace;
  span: number;
  view: View;
  hasChildren: boolean;
  collapsed: boolean;
  hiddenCount: number;
  cursor: boolean;
  selected: boolean;
  match: boolean;
  dim: boolean;
  segments: Segment[] | undefined;
  setSize: number;
  row: number;
  onToggle: (span: number) => void;
  onOpen: (span: number) => void;
}

/** Percent of the visible width at a time in µs after the trace's start. */
function percent(micros: number, total: number, view: View): number {
  return ((micros / total - view.from) / (view.to - view.from)) * 100;
}

function Bar({ trace, span, view, segments }: Pick<Props, 'trace' | 'span' | 'view' | 'segments'>) {
  const { spans } = trace;
  const total = Math.max(trace.durationMicros, 1e-3);
  const start = spans.start[span] ?? 0;
  const duration = spans.duration[span] ?? 0;
  const left = percent(start, total, view);
  const right = percent(start + duration, total, view);
  const label = formatDuration(duration);
  if (right < 0 || left > 100) {
    return <span class={`bar-away ${right < 0 ? 'before' : 'after'}`}>{label}</span>;
  }
  const from = Math.max(left, 0);
  const to = Math.min(right, 100);
  const service = trace.services[spans.service[span] ?? -1] ?? '';
  const labelLeft = to > 82;
  return (
    <>
      <span
        class={`bar ${spans.status[span] === 2 ? 'bar-error' : ''}`}
        style={{
          left: `${from}%`,
          width: `max(2px, ${to - from}%)`,
          background: serviceColour(service),
        }}
      />
      {segments?.map((segment) => {
        const a = Math.max(percent(segment.from, total, view), 0);
        const b = Math.min(percent(segment.to, total, view), 100);
        if (b <= a) return null;
        return (
          <span
            key={segment.from}
            class="critical"
            style={{ left: `${a}%`, width: `max(1px, ${b - a}%)` }}
          />
        );
      })}
      <span
        class="bar-label"
        style={labelLeft ? { right: `${100 - from}%` } : { left: `max(${to}%, ${from}% + 2px)` }}
        data-inside={labelLeft && from < 12 ? '' : undefined}
      >
        {label}
      </span>
    </>
  );
}

export function WaterfallRow(props: Props) {
  const { trace, span, collapsed, hasChildren } = props;
  const { spans } = trace;
  const service = trace.services[spans.service[span] ?? -1] ?? '';
  const name = trace.names[spans.name[span] ?? -1] ?? '';
  const depth = spans.depth[span] ?? 0;
  const parent = spans.parent[span] ?? -1;
  const newService = parent < 0 || spans.service[parent] !== spans.service[span];
  const failed = spans.status[span] === 2;
  const logs = spans.logCount[span] ?? 0;
  const events = spans.eventCount[span] ?? 0;
  const classes = [
    'span-row',
    props.cursor ? 'is-cursor' : '',
    props.selected ? 'is-selected' : '',
    props.match ? 'is-match' : '',
    props.dim ? 'is-dim' : '',
  ];
  return (
    <div
      id={`span-${spans.id[span] ?? span}`}
      role="row"
      tabIndex={-1}
      class={classes.join(' ')}
      data-span={spans.id[span]}
      aria-level={depth + 1}
      aria-rowindex={props.row + 1}
      aria-setsize={props.setSize}
      aria-expanded={hasChildren ? !collapsed : undefined}
      aria-selected={props.selected}
      style={{ transform: `translateY(${props.row * ROW_HEIGHT}px)` }}
      onClick={() => props.onOpen(span)}
    >
      <div class="span-name" role="gridcell">
        <span
          class="span-indent"
          style={{ width: `${Math.min(depth, MAX_INDENT) * INDENT_PX}px` }}
          aria-hidden="true"
        />
        {hasChildren ? (
          <button
            type="button"
            class={`span-toggle ${collapsed ? '' : 'is-open'}`}
            tabIndex={-1}
            aria-label={collapsed ? 'Expand' : 'Collapse'}
            onClick={(event) => {
              event.stopPropagation();
              props.onToggle(span);
            }}
          >
            <ChevronIcon />
          </button>
        ) : (
          <span class="span-toggle" />
        )}
        <span
          class="span-colour"
          style={{ background: serviceColour(service) }}
          aria-hidden="true"
        />
        {failed && <ErrorIcon />}
        <span class="span-label" title={`${service}: ${name}`}>
          {newService && <b>{service}</b>}
          <span>{name}</span>
        </span>
        {collapsed && hasChildren && <span class="chip">+{props.hiddenCount}</span>}
        {logs > 0 && <span class="chip">{logs === 1 ? '1 log' : `${logs} logs`}</span>}
        {events > 0 && <span class="chip">{events === 1 ? '1 event' : `${events} events`}</span>}
      </div>
      <div class="span-time" role="gridcell">
        <Bar trace={trace} span={span} view={props.view} segments={props.segments} />
      </div>
    </div>
  );
}
