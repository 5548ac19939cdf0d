/** The shape of a trace's tree, from its depth-first columns. */
import type { ColumnarTrace, SpanColumns } from '../api/types';

/** For each span, one past its last descendant. Depth-first order makes subtrees contiguous. */
export function subtreeEnds(depth: readonly number[]): Int32Array {
  const ends = new Int32Array(depth.length);
  const open: number[] = [];
  depth.forEach((level, row) => {
    while (open.length > 0 && (depth[open[open.length - 1] ?? 0] ?? 0) >= level) {
      ends[open.pop() ?? 0] = row;
    }
    open.push(row);
  });
  for (const row of open) ends[row] = depth.length;
  return ends;
}

/** The spans that show, in order: all but those below a collapsed one. */
export function visibleSpans(ends: Int32Array, collapsed: ReadonlySet<number>): Int32Array {
  const rows = new Int32Array(ends.length);
  let count = 0;
  for (let span = 0; span < ends.length; ) {
    rows[count++] = span;
    span = collapsed.has(span) ? Math.max(ends[span] ?? 0, span + 1) : span + 1;
  }
  return rows.subarray(0, count);
}

/** Index of a span among the visible ones (which ascend), or of its nearest visible ancestor. */
export function visibleRow(visible: Int32Array, span: number): number {
  let low = 0;
  let high = visible.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((visible[middle] ?? 0) <= span) low = middle;
    else high = middle - 1;
  }
  return visible.length === 0 ? -1 : low;
}

/** Time in a span that none of its children covers, in µs. */
export function selfTime(spans: SpanColumns, span: number, ends: Int32Array): number {
  const start = spans.start[span] ?? 0;
  const end = start + (spans.duration[span] ?? 0);
  const children: [number, number][] = [];
  for (let child = span + 1; child < (ends[span] ?? 0); child = ends[child] ?? child + 1) {
    const from = Math.max(spans.start[child] ?? 0, start);
    const to = Math.min((spans.start[child] ?? 0) + (spans.duration[child] ?? 0), end);
    if (to > from) children.push([from, to]);
  }
  children.sort((a, b) => a[0] - b[0]);
  let covered = 0;
  let reached = start;
  for (const [from, to] of children) {
    if (to <= reached) continue;
    covered += to - Math.max(from, reached);
    reached = to;
  }
  return end - start - covered;
}

export interface View {
  /** Part of the trace that shows, as shares of its duration. */
  from: number;
  to: number;
}

export const WHOLE: View = { from: 0, to: 1 };

/** The narrowest zoom: a hundred-thousandth of the trace. */
const MIN_SHARE = 1e-5;

/** Zooms by `factor` around `centre` (a share of the trace), within the trace. */
export function zoom(view: View, factor: number, centre: number): View {
  const width = Math.min(1, Math.max(MIN_SHARE, (view.to - view.from) * factor));
  const share = (centre - view.from) / (view.to - view.from);
  const from = Math.min(Math.max(0, centre - width * share), 1 - width);
  return { from, to: from + width };
}

/** Moves the view by a share of its own width, within the trace. */
export function pan(view: View, share: number): View {
  const width = view.to - view.from;
  const from = Math.min(Math.max(0, view.from + width * share), 1 - width);
  return { from, to: from + width };
}

/** `view` in the URL: shares with six digits. */
export function formatView(view: View): string | null {
  if (view.from <= 0 && view.to >= 1) return null;
  return `${view.from.toFixed(6)}-${view.to.toFixed(6)}`;
}

export function parseView(text: string | null): View {
  const match = /^(\d(?:\.\d+)?)-(\d(?:\.\d+)?)$/.exec(text ?? '');
  const from = Number(match?.[1]);
  const to = Number(match?.[2]);
  return match !== null && from >= 0 && to <= 1 && to - from >= MIN_SHARE / 2
    ? { from, to }
    : WHOLE;
}

/**
 * The spans that match what is looked for: words are alternatives, quotes keep spaces together;
 * service, operation, or the exact span id. Attributes are not in the columns.
 */
export function findSpans(trace: ColumnarTrace, text: string): number[] {
  const words = [...text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)]
    .map((match) => match[1] ?? match[2] ?? '')
    .filter((word) => word !== '');
  if (words.length === 0) return [];
  const matches = (names: string[]) =>
    names.map((name) => words.some((word) => name.toLowerCase().includes(word)));
  const services = matches(trace.services);
  const names = matches(trace.names);
  const found: number[] = [];
  const { spans } = trace;
  for (let span = 0; span < spans.id.length; span++) {
    const byName = names[spans.name[span] ?? -1] || services[spans.service[span] ?? -1];
    if (byName || words.includes(spans.id[span] ?? '')) found.push(span);
  }
  return found;
}
