"""All metric streams of one reader."""

from __future__ import annotations

from logging import getLogger
from threading import RLock
from time import time_ns
from typing import Dict, List, Optional

from opentelemetry.metrics import Asynchronous, Counter, ObservableCounter
from opentelemetry.sdk.metrics._internal._view_instrument_match import _ViewInstrumentMatch
from opentelemetry.sdk.metrics._internal.aggregation import (
    Aggregation,
    AggregationTemporality,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    _ExplicitBucketHistogramAggregation,
    _ExponentialBucketHistogramAggregation,
    _LastValueAggregation,
    _SumAggregation,
)
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.point import (
    DataT,
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics._internal.sdk_configuration import SdkConfiguration
from opentelemetry.sdk.metrics._internal.view import View

_logger = getLogger(__name__)

# For instruments that no view selects.
_DEFAULT_VIEW = View(instrument_name="")


class MetricReaderStorage:
    """Measurements as one reader wants them aggregated."""

    def __init__(
        self,
        sdk_config: SdkConfiguration,
        instrument_class_temporality: Dict[type, AggregationTemporality],
        instrument_class_aggregation: Dict[type, Aggregation],
    ) -> None:
        self._lock = RLock()
        self._sdk_config = sdk_config
        self._instrument_class_temporality = instrument_class_temporality
        self._instrument_class_aggregation = instrument_class_aggregation
        self._instrument_view_instrument_matches: Dict[object, List[_ViewInstrumentMatch]] = {}

    def consume_measurement(
        self, measurement: Measurement, should_sample_exemplar: bool = True
    ) -> None:
        streams = self._instrument_view_instrument_matches.get(measurement.instrument)
        if streams is None:
            streams = self._get_or_init_view_instrument_match(measurement.instrument)
        for stream in streams:
            stream.consume_measurement(measurement, should_sample_exemplar)

    def collect(self) -> Optional[MetricsData]:
        """All points now, with one end time; `None` where there are none."""
        now = time_ns()
        scopes: Dict[object, List[Metric]] = {}
        with self._lock:
            # A callback of this thread may come back here with an instrument that is new.
            for instrument, streams in tuple(self._instrument_view_instrument_matches.items()):
                temporality = self._instrument_class_temporality[type(instrument)]
                for stream in streams:
                    points = stream.collect(temporality, now)
                    if points is None:
                        continue
                    metric = Metric(
                        name=stream._name,
                        description=stream._description,
                        unit=instrument.unit,
                        data=_data(instrument, stream, temporality, points),
                    )
                    scopes.setdefault(instrument.instrumentation_scope, []).append(metric)
        if not scopes:
            return None
        resource = self._sdk_config.resource
        scope_metrics = [
            ScopeMetrics(scope=scope, metrics=metrics, schema_url=scope.schema_url)
            for scope, metrics in scopes.items()
        ]
        return MetricsData(
            resource_metrics=[
                ResourceMetrics(
                    resource=resource,
                    scope_metrics=scope_metrics,
                    schema_url=resource.schema_url,
                )
            ]
        )

    def _get_or_init_view_instrument_match(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
    ) -> List[_ViewInstrumentMatch]:
        with self._lock:
            known = self._instrument_view_instrument_matches
            streams = known.get(instrument)
            if streams is None:
                streams = [
                    self._stream(view, instrument)
                    for view in self._sdk_config.views
                    if view._match(instrument) and _is_compatible(view, instrument)
                ]
                for stream in streams:
                    self._warn_of_conflicts(stream)
                known[instrument] = streams or [self._stream(_DEFAULT_VIEW, instrument)]
            return known[instrument]

    def _stream(
        self,
        view: View,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
    ) -> _ViewInstrumentMatch:
        return _ViewInstrumentMatch(
            view=view,
            instrument=instrument,
            instrument_class_aggregation=self._instrument_class_aggregation,
        )

    def _warn_of_conflicts(self, stream: _ViewInstrumentMatch) -> None:
        for others in self._instrument_view_instrument_matches.values():
            for other in others:
                if other.conflicts(stream):
                    _logger.warning(
                        "views %s and %s will cause conflicting metrics identities",
                        other._view,
                        stream._view,
                    )


def _is_compatible(view: View, instrument: object) -> bool:
    histograms = (ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation)
    if isinstance(instrument, Asynchronous) and isinstance(view._aggregation, histograms):
        _logger.warning(
            "view %s makes a histogram of %s, whose callbacks give no distribution; "
            "it is not applied",
            view,
            instrument,
        )
        return False
    return True


def _data(
    instrument: object,
    stream: _ViewInstrumentMatch,
    temporality: AggregationTemporality,
    points: list,
) -> DataT:
    kind = type(stream._aggregation)
    if issubclass(kind, _SumAggregation):
        is_monotonic = isinstance(instrument, (Counter, ObservableCounter))
        return Sum(points, temporality, is_monotonic)
    if issubclass(kind, _LastValueAggregation):
        return Gauge(points)
    if issubclass(kind, _ExplicitBucketHistogramAggregation):
        return Histogram(points, temporality)
    if issubclass(kind, _ExponentialBucketHistogramAggregation):
        return ExponentialHistogram(points, temporality)
    raise TypeError(f"{kind} has no metric data")
