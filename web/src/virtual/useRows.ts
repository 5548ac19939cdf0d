/** Virtual rows for a scrolling element. */
import type { RefObject } from 'preact';
import { useCallback, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type RowWindow, rowWindow, scrollToRow } from './window';

const OVERSCAN = 8;

export interface Rows extends RowWindow {
  ref: RefObject<HTMLDivElement | null>;
  onScroll: () => void;
  totalHeight: number;
  reveal: (row: number) => void;
  atTop: () => boolean;
}

export function useRows(count: number, rowHeight: number): Rows {
  const ref = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });

  const measure = useCallback(() => {
    const element = ref.current;
    if (element === null) return;
    const { scrollTop, clientHeight } = element;
    setView((old) => {
      // Scrolling within a row needs no new rows, so it needs no new render.
      const sameRow = Math.floor(old.top / rowHeight) === Math.floor(scrollTop / rowHeight);
      return sameRow && old.height === clientHeight
        ? old
        : { top: scrollTop, height: clientHeight };
    });
  }, [rowHeight]);

  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [measure]);

  const reveal = useCallback(
    (row: number) => {
      const element = ref.current;
      if (element === null || row < 0) return;
      element.scrollTop = scrollToRow(row, element.scrollTop, element.clientHeight, rowHeight);
      measure();
    },
    [rowHeight, measure],
  );

  const atTop = useCallback(() => (ref.current?.scrollTop ?? 0) < rowHeight / 2, [rowHeight]);

  const { first, end } = rowWindow(view.top, view.height, rowHeight, count, OVERSCAN);
  return { ref, onScroll: measure, first, end, totalHeight: count * rowHeight, reveal, atTop };
}
