/** What the waterfall shows and where its cursor stands. */
import { useCallback, useMemo, useState } from 'preact/hooks';
import type { ColumnarTrace } from '../api/types';
import { subtreeEnds, visibleRow, visibleSpans } from './layout';

export interface WaterfallState {
  ends: Int32Array;
  visible: Int32Array;
  collapsed: ReadonlySet<number>;
  /** The span that the keyboard is on. */
  cursor: number;
  setCursor: (span: number) => void;
  /** Moves the cursor by rows that show. */
  move: (rows: number) => void;
  setCollapsed: (span: number, collapsed: boolean) => void;
  collapseAll: () => void;
  expandAll: () => void;
  /** Opens everything above a span, so that it shows. */
  expandTo: (span: number) => void;
}

/** State is kept by span id, because indices move when a trace that still runs gets new spans. */
export function useWaterfall(trace: ColumnarTrace, initial: number): WaterfallState {
  const { spans } = trace;
  const [collapsedIds, setCollapsedIds] = useState<ReadonlySet<string>>(new Set());
  const [cursorId, setCursorId] = useState(spans.id[initial] ?? '');

  const ends = useMemo(() => subtreeEnds(spans.depth), [spans]);
  const indices = useMemo(() => new Map(spans.id.map((id, span) => [id, span])), [spans]);
  const collapsed = useMemo(() => {
    const set = new Set<number>();
    for (const id of collapsedIds) {
      const span = indices.get(id);
      if (span !== undefined) set.add(span);
    }
    return set;
  }, [collapsedIds, indices]);
  const visible = useMemo(() => visibleSpans(ends, collapsed), [ends, collapsed]);
  const cursor = indices.get(cursorId) ?? 0;

  const setCursor = useCallback((span: number) => setCursorId(spans.id[span] ?? ''), [spans]);

  const setCollapsed = useCallback(
    (span: number, closed: boolean) => {
      const id = spans.id[span] ?? '';
      setCollapsedIds((old) => {
        const next = new Set(old);
        if (closed) next.add(id);
        else next.delete(id);
        return next;
      });
    },
    [spans],
  );

  const collapseAll = useCallback(() => {
    setCollapsedIds(new Set(spans.id.filter((_id, span) => (ends[span] ?? 0) > span + 1)));
    setCursor(0);
  }, [spans, ends, setCursor]);

  const expandAll = useCallback(() => setCollapsedIds(new Set()), []);

  const expandTo = useCallback(
    (span: number) => {
      setCollapsedIds((old) => {
        const next = new Set(old);
        for (let up = spans.parent[span] ?? -1; up >= 0; up = spans.parent[up] ?? -1) {
          next.delete(spans.id[up] ?? '');
        }
        return next.size === old.size ? old : next;
      });
    },
    [spans],
  );

  const move = useCallback(
    (rows: number) => {
      const row = visibleRow(visible, cursor) + rows;
      setCursor(visible[Math.max(0, Math.min(row, visible.length - 1))] ?? 0);
    },
    [visible, cursor, setCursor],
  );

  return {
    ends,
    visible,
    collapsed,
    cursor,
    setCursor,
    move,
    setCollapsed,
    collapseAll,
    expandAll,
    expandTo,
  };
}
