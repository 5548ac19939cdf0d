"""Readers and exporters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from enum import Enum
from logging import getLogger
from os import environ, linesep
from sys import stdout
from threading import Event, Lock, RLock, Thread
from time import perf_counter, time_ns
from typing import IO, Any, Callable, Dict, Optional

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.environment_variables import (
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_METRIC_EXPORT_TIMEOUT,
)
from opentelemetry.sdk.util._fork import after_in_child
from opentelemetry.sdk.metrics._internal.aggregation import (
    Aggregation,
    AggregationTemporality,
    DefaultAggregation,
)
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.instrument import (
    Counter,
    Gauge,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
    _Counter,
    _Gauge,
    _Histogram,
    _ObservableCounter,
    _ObservableGauge,
    _ObservableUpDownCounter,
    _UpDownCounter,
)
from opentelemetry.sdk.metrics._internal.point import MetricsData

from ._metric_reader_metrics import CollectionMetrics

_logger = getLogger(__name__)

_DEFAULT_INTERVAL_MILLIS = 60_000
_DEFAULT_TIMEOUT_MILLIS = 30_000

# What applications name in preferences, and the classes that meters make.
_MADE_AS = {
    Counter: _Counter,
    UpDownCounter: _UpDownCounter,
    Histogram: _Histogram,
    Gauge: _Gauge,
    ObservableCounter: _ObservableCounter,
    ObservableUpDownCounter: _ObservableUpDownCounter,
    ObservableGauge: _ObservableGauge,
}


class MetricExportResult(Enum):
    """How an export ended."""

    SUCCESS = 0
    FAILURE = 1


class MetricExporter(ABC):
    """Sends metrics somewhere. The preferences are those of the reader that uses it."""

    def __init__(
        self,
        preferred_temporality: Optional[Dict[type, AggregationTemporality]] = None,
        preferred_aggregation: Optional[Dict[type, Aggregation]] = None,
    ) -> None:
        self._preferred_temporality = preferred_temporality
        self._preferred_aggregation = preferred_aggregation

    @abstractmethod
    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Sends one collection. Never called twice at a time by one reader."""

    @abstractmethod
    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Sends what is held back; whether that was done in time."""

    @abstractmethod
    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """The last call."""


def _to_line(metrics_data: MetricsData) -> str:
    return metrics_data.to_json() + linesep


class ConsoleMetricExporter(MetricExporter):
    """Writes each collection as JSON."""

    def __init__(
        self,
        out: IO = stdout,
        formatter: Callable[[MetricsData], str] = _to_line,
        preferred_temporality: Optional[Dict[type, AggregationTemporality]] = None,
        preferred_aggregation: Optional[Dict[type, Aggregation]] = None,
    ) -> None:
        super().__init__(preferred_temporality, preferred_aggregation)
        self.out = out
        self.formatter = formatter

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self.out.write(self.formatter(metrics_data))
        self.out.flush()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


class MetricReader(ABC):
    """Collects metrics when something asks for them.

    The preferences map the public instrument classes to a temporality or an aggregation. Classes
    that are left out keep cumulative temporality and the default aggregation. A view with an
    aggregation of its own wins.
    """

    def __init__(
        self,
        preferred_temporality: Optional[Dict[type, AggregationTemporality]] = None,
        preferred_aggregation: Optional[Dict[type, Aggregation]] = None,
        *,
        otel_component_type: Optional[Enum] = None,
    ) -> None:
        self._collect: Optional[Callable[..., Optional[MetricsData]]] = None
        temporality = {made: AggregationTemporality.CUMULATIVE for made in _MADE_AS.values()}
        aggregation = {made: DefaultAggregation() for made in _MADE_AS.values()}
        for kind, wish in (preferred_temporality or {}).items():
            if wish not in (AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA):
                raise Exception(f"invalid temporality {wish}: use DELTA or CUMULATIVE")
            temporality[_made_as(kind)] = wish
        for kind, choice in (preferred_aggregation or {}).items():
            aggregation[_made_as(kind)] = choice
        self._preferred_temporality = preferred_temporality
        self._instrument_class_temporality = temporality
        self._instrument_class_aggregation = aggregation
        self._otel_component_type = (
            getattr(otel_component_type, "value", otel_component_type) or type(self).__qualname__
        )
        self._metrics = CollectionMetrics(self._otel_component_type, NoOpMeterProvider())

    def collect(self, timeout_millis: float = 10_000) -> None:
        """Collects now and hands the result to `_receive_metrics`.

        Raises `MetricsTimeoutError` when callbacks take too long.
        """
        if self._collect is None:
            _logger.warning("a MetricReader cannot collect before a MeterProvider has it")
            return
        start = perf_counter()
        try:
            metrics_data = self._collect(self, timeout_millis=timeout_millis)
        finally:
            self._metrics.record_collection(perf_counter() - start)
        if metrics_data is not None:
            self._receive_metrics(metrics_data, timeout_millis=timeout_millis)

    def _set_collect_callback(self, func: Optional[Callable[..., Optional[MetricsData]]]) -> None:
        self._collect = func

    def _set_meter_provider(self, meter_provider: MeterProvider) -> None:
        self._metrics = CollectionMetrics(self._otel_component_type, meter_provider)

    @abstractmethod
    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        """Gets what `collect` found."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        self.collect(timeout_millis=timeout_millis)
        return True

    @abstractmethod
    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """The last call; its provider makes it."""


def _made_as(kind: type) -> type:
    try:
        return _MADE_AS[kind]
    except KeyError:
        raise Exception(f"invalid instrument class {kind}") from None


class InMemoryMetricReader(MetricReader):
    """Keeps a collection for `get_metrics_data`; for tests."""

    def __init__(
        self,
        preferred_temporality: Optional[Dict[type, AggregationTemporality]] = None,
        preferred_aggregation: Optional[Dict[type, Aggregation]] = None,
    ) -> None:
        super().__init__(preferred_temporality, preferred_aggregation)
        self._lock = RLock()
        self._metrics_data: Optional[MetricsData] = None

    def get_metrics_data(self) -> Optional[MetricsData]:
        """Collects, and gives the result: `None` where there is nothing to tell."""
        with self._lock:
            self.collect()
            metrics_data, self._metrics_data = self._metrics_data, None
        return metrics_data

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        with self._lock:
            self._metrics_data = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def _millis(variable: str, default: float) -> float:
    try:
        return float(environ.get(variable, default))
    except ValueError:
        _logger.warning("%s is not a number; %s ms is used", variable, default)
        return default


class PeriodicExportingMetricReader(MetricReader):
    """Collects and exports at intervals, in a thread of its own; with the interval `math.inf`
    only when asked to. Exports never overlap."""

    def __init__(
        self,
        exporter: MetricExporter,
        export_interval_millis: Optional[float] = None,
        export_timeout_millis: Optional[float] = None,
    ) -> None:
        super().__init__(
            exporter._preferred_temporality,
            exporter._preferred_aggregation,
            otel_component_type="periodic_metric_reader",
        )
        if export_interval_millis is None:
            export_interval_millis = _millis(OTEL_METRIC_EXPORT_INTERVAL, _DEFAULT_INTERVAL_MILLIS)
        if export_timeout_millis is None:
            export_timeout_millis = _millis(OTEL_METRIC_EXPORT_TIMEOUT, _DEFAULT_TIMEOUT_MILLIS)
        if export_interval_millis <= 0:
            raise ValueError(f"interval value {export_interval_millis} must be greater than zero")
        self._exporter = exporter
        self._export_interval_millis = export_interval_millis
        self._export_timeout_millis = export_timeout_millis
        self._export_lock = Lock()
        self._shutdown_lock = Lock()
        self._shutdown = False
        self._shutdown_event = Event()
        self._daemon_thread: Optional[Thread] = None
        if export_interval_millis < math.inf:
            self._start()
            after_in_child(self._at_fork_reinit)

    def _start(self) -> None:
        self._daemon_thread = Thread(
            name="OtelPeriodicExportingMetricReader", target=self._ticker, daemon=True
        )
        self._daemon_thread.start()

    def _at_fork_reinit(self) -> None:
        # The thread stayed in the parent, perhaps in the middle of an export.
        if self._shutdown:
            return
        self._export_lock = Lock()
        self._shutdown_lock = Lock()
        self._shutdown_event = Event()
        self._start()

    def _ticker(self) -> None:
        interval = self._export_interval_millis / 1e3
        is_last = False
        while not is_last:
            is_last = self._shutdown_event.wait(interval)
            try:
                self.collect(timeout_millis=self._export_timeout_millis)
            except MetricsTimeoutError:
                _logger.warning("callbacks took too long; nothing was exported", exc_info=True)
            except Exception:
                _logger.exception("a collection failed; the next one is in %s s", interval)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            with self._export_lock:
                self._exporter.export(metrics_data, timeout_millis=timeout_millis)
        except Exception:
            _logger.exception("an export of metrics failed")
        finally:
            detach(token)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        super().force_flush(timeout_millis=timeout_millis)
        self._exporter.force_flush(timeout_millis=timeout_millis)
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        deadline_ns = time_ns() + timeout_millis * 10**6
        with self._shutdown_lock:
            if self._shutdown:
                _logger.warning("Can't shutdown multiple times")
                return
            self._shutdown = True
        self._shutdown_event.set()
        if self._daemon_thread is not None:
            self._daemon_thread.join(timeout=max(0.0, (deadline_ns - time_ns()) / 1e9))
        self._exporter.shutdown(timeout_millis=max(0.0, (deadline_ns - time_ns()) / 1e6))
