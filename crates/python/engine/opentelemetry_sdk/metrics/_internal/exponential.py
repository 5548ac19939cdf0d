"""Base-2 exponential buckets (metrics data model specification, ExponentialHistogram)."""

from __future__ import annotations

from math import floor, frexp, ldexp, log
from sys import float_info
from typing import List, Tuple

MIN_SCALE = -10
MAX_SCALE = 20

_MIN_NORMAL = float_info.min


def bucket_index(value: float, scale: int) -> int:
    """The index of the bucket whose bounds enclose `value`, a positive finite number.

    Lower bounds are exclusive, upper ones inclusive. Subnormal numbers count as the least normal
    one, as the specification allows.
    """
    fraction, exponent = frexp(max(value, _MIN_NORMAL))
    # The value is fraction * 2**exponent with fraction in [0.5, 1): 0.5 marks powers of two,
    # which the logarithm may place on the wrong side of the bound.
    if fraction == 0.5:
        below = exponent - 2
        return below >> -scale if scale <= 0 else ((below + 1) << scale) - 1
    if scale <= 0:
        return (exponent - 1) >> -scale
    highest = (1024 << scale) - 1
    return min(floor(log(value) * ldexp(1 / log(2), scale)), highest)


class Buckets:
    """Counts of neighbouring buckets, never more than the size given with each change."""

    def __init__(self) -> None:
        # Index of counts[0].
        self.offset = 0
        self.counts: List[int] = []
        # Length of the list that points show: the official SDK shows its whole backing array,
        # which grows by doubling and never shrinks.
        self.capacity = 1

    def range(self) -> Tuple[int, int]:
        """The first and the last index; the first is greater where nothing was counted."""
        return self.offset, self.offset + len(self.counts) - 1

    def add(self, index: int, count: int, max_size: int) -> None:
        if not self.counts:
            self.offset = index
            self.counts.append(0)
        elif index < self.offset:
            self.counts[:0] = [0] * (self.offset - index)
            self.offset = index
        else:
            missing = index - self.offset - len(self.counts) + 1
            if missing > 0:
                self.counts.extend([0] * missing)
        size = len(self.counts)
        if size > self.capacity:
            self.capacity = min(1 << (size - 1).bit_length(), max_size)
        self.counts[index - self.offset] += count

    def downscale(self, change: int) -> None:
        """Merges each 2**change buckets into one."""
        if change <= 0 or not self.counts:
            return
        first, last = self.range()
        merged = [0] * ((last >> change) - (first >> change) + 1)
        for place, count in enumerate(self.counts):
            merged[((first + place) >> change) - (first >> change)] += count
        self.offset = first >> change
        self.counts = merged

    def shown(self) -> List[int]:
        """The counts as points carry them, filled up with zeros."""
        return self.counts + [0] * (self.capacity - len(self.counts))


def scale_change(first: int, last: int, max_size: int) -> int:
    """By how much the scale must fall for the indexes to fit."""
    change = 0
    while (last >> change) - (first >> change) >= max_size:
        change += 1
    return change
