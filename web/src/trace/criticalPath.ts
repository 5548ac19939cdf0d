/**
 * The critical path: the stretches of time during which a span itself, and not one of its
 * children, is what the whole trace waits for. Walks back from the root's end: the child that
 * finished last is what its parent waited for; before that child began, the next one, and so on.
 */
import type { SpanColumns } from '../api/types';

export interface Segment {
  /** Microseconds after the trace's start. */
  from: number;
  to: number;
}

/** Segments by span; spans off the path are absent. */
export type CriticalPath = ReadonlyMap<number, Segment[]>;

function childrenByEnd(spans: SpanColumns): number[][] {
  const children: number[][] = spans.id.map(() => []);
  spans.parent.forEach((parent, span) => {
    if (parent >= 0) children[parent]?.push(span);
  });
  const end = (span: number) => (spans.start[span] ?? 0) + (spans.duration[span] ?? 0);
  for (const list of children) list.sort((a, b) => end(b) - end(a));
  return children;
}

export function criticalPath(spans: SpanColumns): CriticalPath {
  const path = new Map<number, Segment[]>();
  if (spans.id.length === 0) return path;
  const children = childrenByEnd(spans);
  const add = (span: number, from: number, to: number) => {
    if (to <= from) return;
    const list = path.get(span);
    if (list === undefined) path.set(span, [{ from, to }]);
    else list.push({ from, to });
  };
  // Explicit stack: a trace can be deeper than the call stack.
  const pending: { span: number; until: number }[] = [
    { span: 0, until: (spans.start[0] ?? 0) + (spans.duration[0] ?? 0) },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { span } = next;
    const start = spans.start[span] ?? 0;
    let cursor = next.until;
    for (const child of children[span] ?? []) {
      const childStart = Math.max(spans.start[child] ?? 0, start);
      const childEnd = Math.min(
        (spans.start[child] ?? 0) + (spans.duration[child] ?? 0),
        next.until,
      );
      // A child that was still running when the chosen one began was not waited for.
      if (childEnd > cursor || childEnd <= childStart) continue;
      add(span, childEnd, cursor);
      pending.push({ span: child, until: childEnd });
      cursor = childStart;
    }
    add(span, start, cursor);
  }
  return path;
}
