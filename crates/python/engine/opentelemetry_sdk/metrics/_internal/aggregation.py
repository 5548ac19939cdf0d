"""Aggregations: how measurements of one attribute set become a point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from enum import IntEnum
from functools import partial
from logging import getLogger
from math import inf, isfinite
from threading import Lock
from typing import Callable, Optional, Sequence, Type

from opentelemetry.metrics import (
    Asynchronous,
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    Synchronous,
    UpDownCounter,
    _Gauge,
)
from opentelemetry.sdk.metrics._internal.exemplar import Exemplar, ExemplarReservoirBuilder
from opentelemetry.sdk.metrics._internal.exponential import (
    MAX_SCALE,
    MIN_SCALE,
    Buckets,
    bucket_index,
    scale_change,
)
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.point import (
    Buckets as BucketsPoint,
    DataPointT,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)
from opentelemetry.util.types import Attributes

_logger = getLogger(__name__)


class AggregationTemporality(IntEnum):
    """Whether a point tells of the time since the last point, or since the start."""

    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


_DELTA = AggregationTemporality.DELTA
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class _Aggregation(ABC):
    """The state of one attribute set in one metric stream."""

    def __init__(self, attributes: Attributes, reservoir_builder: ExemplarReservoirBuilder) -> None:
        self._lock = Lock()
        self._attributes = attributes
        self._reservoir = reservoir_builder()

    @abstractmethod
    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        """Takes a measurement in."""

    @abstractmethod
    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nano: int,
    ) -> Optional[DataPointT]:
        """The point now, or `None` where there is nothing to tell."""

    def _collect_exemplars(self) -> Sequence[Exemplar]:
        return self._reservoir.collect(self._attributes)

    def _sample_exemplar(self, measurement: Measurement, should_sample_exemplar: bool) -> None:
        if should_sample_exemplar:
            self._reservoir.offer(
                measurement.value,
                measurement.time_unix_nano,
                measurement.attributes,
                measurement.context,
            )


class _DropAggregation(_Aggregation):
    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        pass

    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nano: int,
    ) -> None:
        return None


class _SumAggregation(_Aggregation):
    """Increments of synchronous instruments add up; sums of asynchronous ones do too, since
    a view may fold several attribute sets of one callback into one."""

    def __init__(
        self,
        attributes: Attributes,
        instrument_is_monotonic: bool,
        instrument_aggregation_temporality: AggregationTemporality,
        start_time_unix_nano: int,
        reservoir_builder: ExemplarReservoirBuilder,
    ) -> None:
        super().__init__(attributes, reservoir_builder)
        self._instrument_is_monotonic = instrument_is_monotonic
        self._instrument_aggregation_temporality = instrument_aggregation_temporality
        self._start_time_unix_nano = start_time_unix_nano
        self._previous_collection_start_nano = start_time_unix_nano
        # Since the last collection; None where nothing was measured.
        self._value: Optional[float] = None
        # Synchronous: the sum of all former collections. Asynchronous: what the last one saw.
        self._previous_value: float = 0

    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        with self._lock:
            value = self._value
            self._value = measurement.value if value is None else value + measurement.value
        if should_sample_exemplar:
            self._sample_exemplar(measurement, should_sample_exemplar)

    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nano: int,
    ) -> Optional[NumberDataPoint]:
        is_delta = collection_aggregation_temporality is _DELTA
        with self._lock:
            value, self._value = self._value, None
            start = self._start_time_unix_nano
            if is_delta:
                is_increment = self._instrument_aggregation_temporality is _DELTA
                if is_increment or value is not None:
                    start = self._previous_collection_start_nano
                    self._previous_collection_start_nano = collection_start_nano
                if value is None:
                    return None
                if not is_increment:
                    value, self._previous_value = value - self._previous_value, value
            elif self._instrument_aggregation_temporality is _DELTA:
                value = self._previous_value = self._previous_value + (value or 0)
            elif value is None:
                return None
        return NumberDataPoint(
            attributes=self._attributes,
            start_time_unix_nano=start,
            time_unix_nano=collection_start_nano,
            value=value,
            exemplars=self._collect_exemplars(),
        )


class _LastValueAggregation(_Aggregation):
    def __init__(
        self,
        attributes: Attributes,
        reservoir_builder: ExemplarReservoirBuilder,
        instrument_is_synchronous: bool,
    ) -> None:
        super().__init__(attributes, reservoir_builder)
        self._instrument_is_synchronous = instrument_is_synchronous
        self._value: Optional[float] = None

    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        with self._lock:
            self._value = measurement.value
        self._sample_exemplar(measurement, should_sample_exemplar)

    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nano: int,
    ) -> Optional[NumberDataPoint]:
        with self._lock:
            value = self._value
            if value is None:
                return None
            # A synchronous gauge keeps its value until it is set again; the others only hold
            # what was seen since the last collection.
            is_kept = self._instrument_is_synchronous and (
                collection_aggregation_temporality is _CUMULATIVE
            )
            if not is_kept:
                self._value = None
        return NumberDataPoint(
            attributes=self._attributes,
            start_time_unix_nano=None,
            time_unix_nano=collection_start_nano,
            value=value,
            exemplars=self._collect_exemplars(),
        )


# Metrics SDK specification, Explicit Bucket Histogram Aggregation.
_DEFAULT_EXPLICIT_BUCKET_HISTOGRAM_AGGREGATION_BOUNDARIES: Sequence[float] = (
    *(0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0),
    *(500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0),
)


class _Distribution:
    """Sum, least and greatest value."""

    __slots__ = ("sum", "min", "max")

    def __init__(self) -> None:
        self.sum: float = 0
        self.min = inf
        self.max = -inf

    def take(self, value: float, is_range_kept: bool) -> None:
        self.sum += value
        if is_range_kept:
            if value < self.min:
                self.min = value
            if value > self.max:
                self.max = value

    def merge(self, other: "_Distribution") -> None:
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)


class _HistogramAggregation(_Aggregation):
    """The course of a collection, which both kinds of histogram share.

    The class that inherits has a state per period (`_new_state`), adds one state to another
    (`_merge`) and makes points of them (`_point`).
    """

    def __init__(
        self,
        attributes: Attributes,
        reservoir_builder: ExemplarReservoirBuilder,
        instrument_aggregation_temporality: AggregationTemporality,
        start_time_unix_nano: int,
        record_min_max: bool,
    ) -> None:
        super().__init__(attributes, reservoir_builder)
        self._instrument_aggregation_temporality = instrument_aggregation_temporality
        self._start_time_unix_nano = start_time_unix_nano
        self._previous_collection_start_nano = start_time_unix_nano
        self._record_min_max = record_min_max
        self._current = None
        self._total = None

    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nano: int,
    ) -> Optional[DataPointT]:
        with self._lock:
            state, self._current = self._current, None
            # A callback gives a sum, which says nothing of a distribution.
            if self._instrument_aggregation_temporality is not _DELTA:
                return None
            if collection_aggregation_temporality is _DELTA:
                start = self._previous_collection_start_nano
                self._previous_collection_start_nano = collection_start_nano
                if state is None:
                    return None
                return self._point(state, start, collection_start_nano)
            if self._total is None:
                self._total = self._new_state()
            if state is not None:
                self._merge(self._total, state)
            return self._point(self._total, self._start_time_unix_nano, collection_start_nano)

    @abstractmethod
    def _new_state(self) -> _Distribution:
        """The state of a period in which nothing was measured."""

    @abstractmethod
    def _merge(self, total: _Distribution, state: _Distribution) -> None:
        """Adds a period to the total."""

    @abstractmethod
    def _point(self, state: _Distribution, start: int, end: int) -> DataPointT:
        """The point that tells of a state."""


class _ExplicitState(_Distribution):
    __slots__ = ("counts",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.counts = [0] * size


class _ExplicitBucketHistogramAggregation(_HistogramAggregation):
    def __init__(
        self,
        attributes: Attributes,
        instrument_aggregation_temporality: AggregationTemporality,
        start_time_unix_nano: int,
        reservoir_builder: ExemplarReservoirBuilder,
        boundaries: Optional[Sequence[float]] = None,
        record_min_max: bool = True,
    ) -> None:
        if boundaries is None:
            boundaries = _DEFAULT_EXPLICIT_BUCKET_HISTOGRAM_AGGREGATION_BOUNDARIES
        boundaries = tuple(boundaries)
        for boundary in boundaries:
            if not isfinite(boundary):
                raise ValueError(f"invalid boundary: {boundary!r}")
        if any(low >= high for low, high in zip(boundaries, boundaries[1:])):
            raise ValueError("boundaries must be strictly increasing")
        super().__init__(
            attributes,
            partial(reservoir_builder, boundaries=boundaries),
            instrument_aggregation_temporality,
            start_time_unix_nano,
            record_min_max,
        )
        self._boundaries = boundaries

    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        value = measurement.value
        with self._lock:
            state = self._current
            if state is None:
                state = self._current = self._new_state()
            state.take(value, self._record_min_max)
            state.counts[bisect_left(self._boundaries, value)] += 1
        self._sample_exemplar(measurement, should_sample_exemplar)

    def _new_state(self) -> _ExplicitState:
        return _ExplicitState(len(self._boundaries) + 1)

    def _merge(self, total: _ExplicitState, state: _ExplicitState) -> None:
        total.merge(state)
        total.counts = [old + new for old, new in zip(total.counts, state.counts)]

    def _point(self, state: _ExplicitState, start: int, end: int) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=self._attributes,
            start_time_unix_nano=start,
            time_unix_nano=end,
            count=sum(state.counts),
            sum=state.sum,
            bucket_counts=tuple(state.counts),
            explicit_bounds=self._boundaries,
            min=state.min,
            max=state.max,
            exemplars=self._collect_exemplars(),
        )


class _ExponentialState(_Distribution):
    __slots__ = ("scale", "count", "zero_count", "positive", "negative")

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.count = 0
        self.zero_count = 0
        self.positive = Buckets()
        self.negative = Buckets()

    def fit(self, scale: int) -> None:
        """Lowers the scale to the given one."""
        self.positive.downscale(self.scale - scale)
        self.negative.downscale(self.scale - scale)
        self.scale = scale


class _ExponentialBucketHistogramAggregation(_HistogramAggregation):
    # The least size that holds all numbers at the least scale, and a bound for the memory of
    # one attribute set.
    _min_max_size = 2
    _max_max_size = 16384

    def __init__(
        self,
        attributes: Attributes,
        reservoir_builder: ExemplarReservoirBuilder,
        instrument_aggregation_temporality: AggregationTemporality,
        start_time_unix_nano: int,
        max_size: int = 160,
        max_scale: int = 20,
        record_min_max: bool = True,
    ) -> None:
        if max_size < self._min_max_size:
            raise ValueError(f"max_size {max_size} is less than {self._min_max_size}")
        if max_size > self._max_max_size:
            raise ValueError(f"max_size {max_size} is greater than {self._max_max_size}")
        if max_scale > MAX_SCALE:
            _logger.warning(
                "max_scale is set to %s which is larger than the recommended value of %s",
                max_scale,
                MAX_SCALE,
            )
        if max_scale < MIN_SCALE:
            raise ValueError(f"max_scale {max_scale} is less than {MIN_SCALE}")
        super().__init__(
            attributes,
            partial(reservoir_builder, size=min(20, max_size)),
            instrument_aggregation_temporality,
            start_time_unix_nano,
            record_min_max,
        )
        self._max_size = max_size
        self._max_scale = max_scale
        # Where the last period ended: the next one is likely to need no more.
        self._scale = min(max_scale, MAX_SCALE)

    def aggregate(self, measurement: Measurement, should_sample_exemplar: bool = True) -> None:
        value = measurement.value
        with self._lock:
            state = self._current
            if state is None:
                state = self._current = _ExponentialState(self._scale)
            state.take(value, self._record_min_max)
            state.count += 1
            if value == 0:
                state.zero_count += 1
            else:
                self._count(state, value)
        self._sample_exemplar(measurement, should_sample_exemplar)

    def _count(self, state: _ExponentialState, value: float) -> None:
        buckets, size = (state.positive, value) if value > 0 else (state.negative, -value)
        index = bucket_index(size, state.scale)
        if buckets.counts:
            first, last = buckets.range()
            change = scale_change(min(first, index), max(last, index), self._max_size)
            if change:
                state.fit(state.scale - change)
                self._scale = state.scale
                index = bucket_index(size, state.scale)
        buckets.add(index, 1, self._max_size)

    def _new_state(self) -> _ExponentialState:
        return _ExponentialState(self._scale)

    def _merge(self, total: _ExponentialState, state: _ExponentialState) -> None:
        total.merge(state)
        total.count += state.count
        total.zero_count += state.zero_count
        scale = min(total.scale, state.scale)
        total.fit(scale)
        state.fit(scale)
        change = 0
        for old, new in ((total.positive, state.positive), (total.negative, state.negative)):
            if old.counts and new.counts:
                first = min(old.range()[0], new.range()[0])
                last = max(old.range()[1], new.range()[1])
                change = max(change, scale_change(first, last, self._max_size))
        total.fit(scale - change)
        state.fit(scale - change)
        for old, new in ((total.positive, state.positive), (total.negative, state.negative)):
            for place, count in enumerate(new.counts):
                if count:
                    old.add(new.offset + place, count, self._max_size)

    def _point(
        self, state: _ExponentialState, start: int, end: int
    ) -> ExponentialHistogramDataPoint:
        # With zeros alone any scale is right; 0 is what the official SDK shows.
        scale = 0 if state.count and state.count == state.zero_count else state.scale
        return ExponentialHistogramDataPoint(
            attributes=self._attributes,
            start_time_unix_nano=start,
            time_unix_nano=end,
            count=state.count,
            sum=state.sum,
            scale=scale,
            zero_count=state.zero_count,
            positive=BucketsPoint(state.positive.offset, state.positive.shown()),
            negative=BucketsPoint(state.negative.offset, state.negative.shown()),
            flags=0,
            min=state.min,
            max=state.max,
            exemplars=self._collect_exemplars(),
        )


ReservoirFactory = Callable[[Type[_Aggregation]], ExemplarReservoirBuilder]


class Aggregation(ABC):
    """A choice of aggregation, for views and readers."""

    @abstractmethod
    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        """The state for one attribute set of an instrument."""


def _temporality(instrument: object) -> AggregationTemporality:
    """What an instrument's measurements are: increments, or sums since the start."""
    if isinstance(instrument, Synchronous):
        return _DELTA
    if isinstance(instrument, Asynchronous):
        return _CUMULATIVE
    return AggregationTemporality.UNSPECIFIED


class DefaultAggregation(Aggregation):
    """Sums for counters, explicit buckets for histograms, the last value for gauges."""

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        for kinds, choice in _DEFAULTS:
            if isinstance(instrument, kinds):
                return choice._create_aggregation(
                    instrument, attributes, reservoir_factory, start_time_unix_nano
                )
        raise Exception(f"{type(instrument)} is not a kind of instrument")


class DropAggregation(Aggregation):
    """Nothing is kept."""

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        return _DropAggregation(attributes, reservoir_factory(_DropAggregation))


class SumAggregation(Aggregation):
    """The sum of the values."""

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        return _SumAggregation(
            attributes,
            isinstance(instrument, (Counter, ObservableCounter)),
            _temporality(instrument),
            start_time_unix_nano,
            reservoir_factory(_SumAggregation),
        )


class LastValueAggregation(Aggregation):
    """The last value."""

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        return _LastValueAggregation(
            attributes,
            reservoir_factory(_LastValueAggregation),
            isinstance(instrument, Synchronous),
        )


class ExplicitBucketHistogramAggregation(Aggregation):
    """A histogram with these upper bounds, inclusive and growing; without them those that the
    instrument advises, or the specification's."""

    def __init__(
        self, boundaries: Optional[Sequence[float]] = None, record_min_max: bool = True
    ) -> None:
        self._boundaries = boundaries
        self._record_min_max = record_min_max

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        boundaries = self._boundaries
        if boundaries is None:
            advisory = getattr(instrument, "_advisory", None)
            boundaries = getattr(advisory, "explicit_bucket_boundaries", None)
        return _ExplicitBucketHistogramAggregation(
            attributes,
            _temporality(instrument),
            start_time_unix_nano,
            reservoir_factory(_ExplicitBucketHistogramAggregation),
            boundaries,
            self._record_min_max,
        )


class ExponentialBucketHistogramAggregation(Aggregation):
    """A histogram with at most `max_size` buckets for each sign, as fine as they allow, but no
    finer than `max_scale`."""

    def __init__(
        self, max_size: int = 160, max_scale: int = 20, record_min_max: bool = True
    ) -> None:
        self._max_size = max_size
        self._max_scale = max_scale
        self._record_min_max = record_min_max

    def _create_aggregation(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        attributes: Attributes,
        reservoir_factory: ReservoirFactory,
        start_time_unix_nano: int,
    ) -> _Aggregation:
        return _ExponentialBucketHistogramAggregation(
            attributes,
            reservoir_factory(_ExponentialBucketHistogramAggregation),
            _temporality(instrument),
            start_time_unix_nano,
            max_size=self._max_size,
            max_scale=self._max_scale,
            record_min_max=self._record_min_max,
        )


_DEFAULTS = (
    (
        (Counter, UpDownCounter, ObservableCounter, ObservableUpDownCounter),
        SumAggregation(),
    ),
    (Histogram, ExplicitBucketHistogramAggregation()),
    ((ObservableGauge, _Gauge), LastValueAggregation()),
)
