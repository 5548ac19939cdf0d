import { expect, it } from 'vitest';
import { rowWindow, scrollToRow } from './window';

it.each([
  ['an empty list', [0, 500, 25, 0, 5], { first: 0, end: 0 }],
  ['the top', [0, 500, 25, 1000, 5], { first: 0, end: 25 }],
  ['the middle', [2500, 500, 25, 1000, 5], { first: 95, end: 125 }],
  ['between rows', [2510, 500, 25, 1000, 0], { first: 100, end: 121 }],
  ['the bottom', [24_500, 500, 25, 1000, 5], { first: 975, end: 1000 }],
  ['past the bottom, when the list has shrunk', [24_500, 500, 25, 10, 5], { first: 4, end: 10 }],
  ['pulled past the top', [-80, 500, 25, 1000, 0], { first: 0, end: 20 }],
  ['no height yet', [0, 0, 25, 1000, 2], { first: 0, end: 3 }],
] as const)('rows at %s', (_name, [top, height, row, count, overscan], expected) => {
  expect(rowWindow(top, height, row, count, overscan)).toEqual(expected);
});

it('covers every row of the viewport wherever it is scrolled', () => {
  for (let top = 0; top <= 9500; top += 7) {
    const { first, end } = rowWindow(top, 500, 25, 400, 0);
    expect(first * 25).toBeLessThanOrEqual(top);
    expect(end * 25).toBeGreaterThanOrEqual(Math.min(top + 500, 10_000));
    expect(end - first).toBeLessThanOrEqual(21);
  }
});

it('scrolls no further than needed', () => {
  expect(scrollToRow(0, 100, 500, 25)).toBe(0);
  expect(scrollToRow(10, 100, 500, 25)).toBe(100);
  expect(scrollToRow(30, 100, 500, 25)).toBe(275);
});
