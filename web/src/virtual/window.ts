/** Which rows of a long list of equal rows are worth having in the page. */

export interface RowWindow {
  /** First row to draw. */
  first: number;
  /** One past the last row to draw. */
  end: number;
}

export function rowWindow(
  scrollTop: number,
  viewportHeight: number,
  rowHeight: number,
  count: number,
  overscan: number,
): RowWindow {
  if (count <= 0 || rowHeight <= 0) return { first: 0, end: 0 };
  const top = Math.max(0, scrollTop);
  const first = Math.min(Math.floor(top / rowHeight), count - 1);
  const end = Math.ceil((top + Math.max(0, viewportHeight)) / rowHeight);
  return {
    first: Math.max(0, first - overscan),
    end: Math.min(count, Math.max(end, first + 1) + overscan),
  };
}

/** Scroll position that shows a row, moving no further than needed. */
export function scrollToRow(
  row: number,
  scrollTop: number,
  viewportHeight: number,
  rowHeight: number,
): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  const bottom = top + rowHeight;
  if (bottom > scrollTop + viewportHeight) return bottom - viewportHeight;
  return scrollTop;
}
