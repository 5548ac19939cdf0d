import { describe, expect, it } from 'vitest';
import type { ColumnarTrace, SpanColumns } from '../api/types';
import { criticalPath } from './criticalPath';
import {
  findSpans,
  formatView,
  pan,
  parseView,
  selfTime,
  subtreeEnds,
  visibleRow,
  visibleSpans,
  WHOLE,
  zoom,
} from './layout';

/** Spans as [parent, start, duration], in depth-first order. */
function columns(spans: [number, number, number][]): SpanColumns {
  const depth: number[] = [];
  for (const [parent] of spans) depth.push(parent < 0 ? 0 : (depth[parent] ?? 0) + 1);
  const zeros = spans.map(() => 0);
  return {
    id: spans.map((_, index) => `id${index}`),
    parent: spans.map(([parent]) => parent),
    depth,
    start: spans.map(([, start]) => start),
    duration: spans.map(([, , duration]) => duration),
    service: zeros,
    name: spans.map((_, index) => index),
    kind: zeros,
    status: zeros,
    logCount: zeros,
    eventCount: zeros,
  };
}

const TREE = columns([
  [-1, 0, 100],
  [0, 10, 30],
  [1, 15, 10],
  [0, 35, 50],
  [3, 40, 20],
  [-1, 90, 5],
]);
const ENDS = subtreeEnds(TREE.depth);

describe('tree', () => {
  it('knows where each subtree ends', () => {
    expect([...ENDS]).toEqual([5, 3, 3, 5, 5, 6]);
    expect([...subtreeEnds([])]).toEqual([]);
  });

  it('hides what is below collapsed spans', () => {
    const visible = (...collapsed: number[]) => [...visibleSpans(ENDS, new Set(collapsed))];
    expect(visible()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(visible(1)).toEqual([0, 1, 3, 4, 5]);
    expect(visible(0)).toEqual([0, 5]);
    expect(visible(0, 3)).toEqual([0, 5]);
    expect(visible(2)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('finds the row of a span, or of what hides it', () => {
    const visible = visibleSpans(ENDS, new Set([1]));
    expect([0, 1, 2, 3, 5].map((span) => visibleRow(visible, span))).toEqual([0, 1, 1, 2, 4]);
    expect(visibleRow(new Int32Array(0), 3)).toBe(-1);
  });

  it('counts overlapping children once in the self time', () => {
    // Children cover 10..40 and 35..85: 75 of 100.
    expect(selfTime(TREE, 0, ENDS)).toBe(25);
    expect(selfTime(TREE, 1, ENDS)).toBe(20);
    expect(selfTime(TREE, 5, ENDS)).toBe(5);
  });
});

describe('critical path', () => {
  const total = (spans: SpanColumns) =>
    [...criticalPath(spans).values()].flat().reduce((sum, { from, to }) => sum + to - from, 0);

  it('follows the child that finished last', () => {
    const spans = columns([
      [-1, 0, 100],
      [0, 10, 30],
      [0, 50, 40],
      [0, 55, 20],
    ]);
    expect(Object.fromEntries(criticalPath(spans))).toEqual({
      0: [
        { from: 90, to: 100 },
        { from: 40, to: 50 },
        { from: 0, to: 10 },
      ],
      1: [{ from: 10, to: 40 }],
      2: [{ from: 50, to: 90 }],
    });
  });

  it('covers the root exactly, also when children outlive their parents', () => {
    expect(total(TREE)).toBe(100);
    expect(
      total(
        columns([
          [-1, 0, 10],
          [0, 5, 50],
          [1, 40, 15],
        ]),
      ),
    ).toBe(10);
    expect(criticalPath(columns([])).size).toBe(0);
  });

  it('stands very deep traces', () => {
    const deep = Array.from({ length: 20_000 }, (_, i): [number, number, number] => [
      i - 1,
      i,
      40_000 - 2 * i,
    ]);
    expect(total(columns(deep))).toBe(40_000);
  });
});

describe('view', () => {
  it('stays within the trace', () => {
    expect(zoom(WHOLE, 0.5, 0.5)).toEqual({ from: 0.25, to: 0.75 });
    expect(zoom({ from: 0.25, to: 0.75 }, 10, 0.5)).toEqual(WHOLE);
    expect(zoom(WHOLE, 0.5, 0)).toEqual({ from: 0, to: 0.5 });
    expect(pan({ from: 0.5, to: 1 }, 0.5)).toEqual({ from: 0.5, to: 1 });
    expect(pan({ from: 0.5, to: 1 }, -0.5)).toEqual({ from: 0.25, to: 0.75 });
  });

  it('goes through the URL', () => {
    expect(formatView(WHOLE)).toBeNull();
    expect(parseView(formatView({ from: 0.125, to: 0.5 }))).toEqual({ from: 0.125, to: 0.5 });
    for (const text of [null, '', 'x', '0.5-0.2', '0.5-3', '0.5-0.5']) {
      expect(parseView(text)).toEqual(WHOLE);
    }
  });
});

it('finds spans by service, operation or id', () => {
  const trace: ColumnarTrace = {
    traceId: 't',
    startMicros: 0,
    durationMicros: 100,
    services: ['web'],
    names: ['GET /', 'SELECT todo', 'COMMIT', 'render page', 'encode', 'flush'],
    spans: TREE,
    missingParents: 0,
  };
  expect(findSpans(trace, 'select')).toEqual([1]);
  expect(findSpans(trace, 'select commit')).toEqual([1, 2]);
  expect(findSpans(trace, '"render page"')).toEqual([3]);
  expect(findSpans(trace, 'id4')).toEqual([4]);
  expect(findSpans(trace, 'WEB')).toHaveLength(6);
  expect(findSpans(trace, ' ')).toEqual([]);
});
