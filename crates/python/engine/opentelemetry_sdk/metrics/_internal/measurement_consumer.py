"""Between the instruments and the readers' storages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import RLock
from time import time_ns
from typing import Dict, Iterable, List, Optional

from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage
from opentelemetry.sdk.metrics._internal.point import MetricsData
from opentelemetry.sdk.metrics._internal.sdk_configuration import SdkConfiguration

# The longest that one callback is told it may take, in milliseconds.
_CALLBACK_TIMEOUT_MILLIS = 10_000


class MeasurementConsumer(ABC):
    """What instruments give their measurements to."""

    @abstractmethod
    def consume_measurement(self, measurement: Measurement) -> None:
        """A measurement of a synchronous instrument."""

    @abstractmethod
    def register_asynchronous_instrument(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Asynchronous",  # noqa: F821
    ) -> None:
        """An instrument whose callbacks are asked at each collection."""

    @abstractmethod
    def collect(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
        timeout_millis: float = 10_000,
    ) -> Optional[MetricsData]:
        """All that the reader is to get."""


class SynchronousMeasurementConsumer(MeasurementConsumer):
    """Aggregates each measurement in the thread that makes it."""

    def __init__(
        self,
        sdk_config: SdkConfiguration,
        metric_readers: Iterable["opentelemetry.sdk.metrics.export.MetricReader"],  # noqa: F821
    ) -> None:
        # A callback may make an instrument.
        self._lock = RLock()
        self._sdk_config = sdk_config
        # Replaced as a whole under the lock, so that it may be read without.
        self._reader_storages: Dict[object, MetricReaderStorage] = {
            reader: self._storage(reader) for reader in metric_readers
        }
        self._async_instruments: List[object] = []

    def consume_measurement(self, measurement: Measurement) -> None:
        is_offered = self._is_offered(measurement)
        for storage in self._reader_storages.values():
            storage.consume_measurement(measurement, is_offered)

    def register_asynchronous_instrument(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Asynchronous",  # noqa: F821
    ) -> None:
        with self._lock:
            self._async_instruments.append(instrument)

    def collect(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
        timeout_millis: float = 10_000,
    ) -> Optional[MetricsData]:
        deadline_ns = time_ns() + timeout_millis * 1e6
        with self._lock:
            storage = self._reader_storages[metric_reader]
            for instrument in self._async_instruments:
                left_millis = (deadline_ns - time_ns()) / 1e6
                options = CallbackOptions(timeout_millis=min(left_millis, _CALLBACK_TIMEOUT_MILLIS))
                for measurement in instrument.callback(options) or ():
                    storage.consume_measurement(measurement, self._is_offered(measurement))
                if time_ns() >= deadline_ns:
                    raise MetricsTimeoutError("Timed out while executing callback")
            return storage.collect()

    def add_metric_reader(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> None:
        """From now on the reader gets measurements."""
        with self._lock:
            self._reader_storages = {
                **self._reader_storages,
                metric_reader: self._storage(metric_reader),
            }

    def remove_metric_reader(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> None:
        """From now on the reader gets nothing. Raises `KeyError` for one that is not known."""
        with self._lock:
            rest = dict(self._reader_storages)
            del rest[metric_reader]
            self._reader_storages = rest

    def _is_offered(self, measurement: Measurement) -> bool:
        return self._sdk_config.exemplar_filter.should_sample(
            measurement.value,
            measurement.time_unix_nano,
            measurement.attributes,
            measurement.context,
        )

    def _storage(
        self,
        reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> MetricReaderStorage:
        return MetricReaderStorage(
            self._sdk_config,
            reader._instrument_class_temporality,
            reader._instrument_class_aggregation,
        )
