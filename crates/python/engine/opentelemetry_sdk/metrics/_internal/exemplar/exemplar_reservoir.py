"""Where exemplars wait for the next collection (metrics SDK specification, ExemplarReservoir)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from random import randrange
from threading import Lock
from typing import Any, Callable, Dict, List, Optional, Sequence

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, get_current_span
from opentelemetry.util.types import Attributes

from .exemplar import Exemplar


class ExemplarReservoir(ABC):
    """Takes measurements and gives exemplars.

    Constructors accept keyword arguments they do not know: aggregations pass their own
    parameters. Methods may be called by several threads at once.
    """

    @abstractmethod
    def offer(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> None:
        """A measurement that the filter let through."""

    @abstractmethod
    def collect(self, point_attributes: Attributes) -> List[Exemplar]:
        """The exemplars since the last call, without the attributes of their point."""


class BucketIndexError(ValueError):
    """A measurement has no place in the reservoir."""


class FixedSizeExemplarReservoirABC(ExemplarReservoir):
    """A reservoir with numbered places; the class that inherits says which one to use."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._size = size
        self._places: Dict[int, tuple] = {}
        self._lock = Lock()

    def offer(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> None:
        with self._lock:
            try:
                place = self._find_bucket_index(value, time_unix_nano, attributes, context)
            except BucketIndexError:
                return
            span = get_current_span(context)
            ids = None if span is INVALID_SPAN else span.get_span_context()
            self._places[place] = (value, time_unix_nano, attributes, ids)

    def collect(self, point_attributes: Attributes) -> List[Exemplar]:
        with self._lock:
            places, self._places = self._places, {}
            self._reset()
        return [_exemplar(places[place], point_attributes) for place in sorted(places)]

    @abstractmethod
    def _find_bucket_index(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> int:
        """The place for a measurement; raises `BucketIndexError` where there is none."""

    def _reset(self) -> None:
        """Called under the lock after each collection."""


def _exemplar(kept: tuple, point_attributes: Attributes) -> Exemplar:
    value, time_unix_nano, attributes, ids = kept
    rest: Optional[dict] = None
    if attributes:
        known = point_attributes or ()
        rest = {key: attributes[key] for key in attributes if key not in known}
    if ids is None:
        return Exemplar(rest, value, time_unix_nano)
    return Exemplar(rest, value, time_unix_nano, ids.span_id, ids.trace_id)


class SimpleFixedSizeExemplarReservoir(FixedSizeExemplarReservoirABC):
    """Keeps `size` measurements of a period, each with the same chance (algorithm R)."""

    def __init__(self, size: int = 1, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)
        self._measurements_seen = 0

    def _reset(self) -> None:
        super()._reset()
        self._measurements_seen = 0

    def _find_bucket_index(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> int:
        seen = self._measurements_seen
        self._measurements_seen = seen + 1
        place = seen if seen < self._size else randrange(0, seen + 1)
        if place >= self._size:
            raise BucketIndexError("the reservoir is full")
        return place


class AlignedHistogramBucketExemplarReservoir(FixedSizeExemplarReservoirABC):
    """Keeps the last measurement of each bucket of an explicit histogram."""

    def __init__(self, boundaries: Sequence[float], **kwargs: Any) -> None:
        super().__init__(len(boundaries) + 1, **kwargs)
        self._boundaries = boundaries

    def _find_bucket_index(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> int:
        return bisect_left(self._boundaries, value)


# Takes an aggregation's parameters as keyword arguments.
ExemplarReservoirBuilder = Callable[..., ExemplarReservoir]
