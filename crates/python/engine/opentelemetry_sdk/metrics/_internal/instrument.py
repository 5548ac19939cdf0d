"""The instruments: they check what the application gives and pass measurements on."""

from __future__ import annotations

from collections.abc import Generator
from logging import getLogger
from math import isfinite
from time import time_ns
from typing import Iterable, List, Optional, Sequence

from opentelemetry.context import Context, get_current
from opentelemetry.metrics import (
    Asynchronous,
    CallbackOptions,
    CallbackT,
    Counter as APICounter,
    Histogram as APIHistogram,
    ObservableCounter as APIObservableCounter,
    ObservableGauge as APIObservableGauge,
    ObservableUpDownCounter as APIObservableUpDownCounter,
    Synchronous,
    UpDownCounter as APIUpDownCounter,
    _Gauge as APIGauge,
)
from opentelemetry.metrics._internal.instrument import _MetricsHistogramAdvisory
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.util.types import Attributes

_logger = getLogger(__name__)


class _Instrument:
    """What all instruments have."""

    # Only the meter makes instruments: it makes subclasses of the public classes.
    _is_public = True

    def __new__(cls, *args: object, **kwargs: object) -> "_Instrument":
        if cls.__dict__.get("_is_public", True):
            raise TypeError(f"{cls.__name__} must be instantiated via a meter.")
        return super().__new__(cls)

    def _describe(
        self,
        name: str,
        scope: "opentelemetry.sdk.util.instrumentation.InstrumentationScope",  # noqa: F821
        consumer: "opentelemetry.sdk.metrics._internal.measurement_consumer.MeasurementConsumer",  # noqa: F821
        unit: str,
        description: str,
        meter_config: Optional["opentelemetry.sdk.metrics._internal._ProxyMeterConfig"],  # noqa: F821
    ) -> None:
        checked = self._check_name_unit_description(name, unit, description)
        if checked["name"] is None:
            raise Exception(
                f"invalid instrument name {name!r}: a letter comes first, then letters, digits, "
                "'_', '.', '-' or '/', up to the maximum length 255"
            )
        if checked["unit"] is None:
            raise Exception(f"invalid unit {unit!r}: ASCII characters, up to the maximum length 63")
        # Names are case-insensitive (metrics API specification, instrument name syntax).
        self.name = checked["name"].lower()
        self.unit = checked["unit"]
        self.description = checked["description"]
        self.instrumentation_scope = scope
        self._measurement_consumer = consumer
        self._meter_config = meter_config

    def _is_enabled(self) -> bool:
        return self._meter_config is None or self._meter_config.is_enabled


class _Synchronous(_Instrument, Synchronous):
    _is_monotonic = False

    def __init__(
        self,
        name: str,
        instrumentation_scope: "opentelemetry.sdk.util.instrumentation.InstrumentationScope",  # noqa: F821
        measurement_consumer: "opentelemetry.sdk.metrics._internal.measurement_consumer.MeasurementConsumer",  # noqa: F821
        unit: str = "",
        description: str = "",
        *,
        _meter_config: Optional["opentelemetry.sdk.metrics._internal._ProxyMeterConfig"] = None,  # noqa: F821
    ) -> None:
        self._describe(
            name, instrumentation_scope, measurement_consumer, unit, description, _meter_config
        )
        super().__init__(name, unit=unit, description=description)

    def _measure(self, amount: float, attributes: Attributes, context: Optional[Context]) -> None:
        if not self._is_enabled():
            return
        if not isfinite(amount):
            _logger.warning("%s is not a finite number; %s ignores it", amount, self.name)
            return
        if amount < 0 and self._is_monotonic:
            _logger.warning("%s is negative; %s ignores it", amount, self.name)
            return
        self._measurement_consumer.consume_measurement(
            Measurement(amount, time_ns(), self, context or get_current(), attributes)
        )


class _Asynchronous(_Instrument, Asynchronous):
    def __init__(
        self,
        name: str,
        instrumentation_scope: "opentelemetry.sdk.util.instrumentation.InstrumentationScope",  # noqa: F821
        measurement_consumer: "opentelemetry.sdk.metrics._internal.measurement_consumer.MeasurementConsumer",  # noqa: F821
        callbacks: Optional[Sequence[CallbackT]] = None,
        unit: str = "",
        description: str = "",
        *,
        _meter_config: Optional["opentelemetry.sdk.metrics._internal._ProxyMeterConfig"] = None,  # noqa: F821
    ) -> None:
        self._describe(
            name, instrumentation_scope, measurement_consumer, unit, description, _meter_config
        )
        super().__init__(name, callbacks, unit=unit, description=description)
        self._callbacks: List[CallbackT] = [_as_function(given) for given in callbacks or ()]

    def callback(self, callback_options: CallbackOptions) -> Iterable[Measurement]:
        """Asks the application. A callback that raises loses what it has not yet given."""
        if not self._is_enabled():
            return
        for callback in self._callbacks:
            try:
                for observation in callback(callback_options):
                    if not isfinite(observation.value):
                        _logger.warning(
                            "%s is not a finite number; %s ignores it",
                            observation.value,
                            self.name,
                        )
                        continue
                    yield Measurement(
                        observation.value,
                        time_ns(),
                        self,
                        observation.context or get_current(),
                        observation.attributes,
                    )
            except Exception:
                _logger.exception("a callback of %s failed", self.name)


def _as_function(callback: CallbackT) -> CallbackT:
    """The API also takes generators: they get the options by `send`."""
    if not isinstance(callback, Generator):
        return callback
    next(callback)

    def ask(options: CallbackOptions) -> Iterable["opentelemetry.metrics.Observation"]:  # noqa: F821
        try:
            return callback.send(options)
        except StopIteration:
            return ()

    return ask


class Counter(_Synchronous, APICounter):
    """A sum that only grows."""

    _is_monotonic = True

    def add(
        self, amount: float, attributes: Attributes = None, context: Optional[Context] = None
    ) -> None:
        self._measure(amount, attributes, context)


class UpDownCounter(_Synchronous, APIUpDownCounter):
    """A sum that grows and shrinks."""

    def add(
        self, amount: float, attributes: Attributes = None, context: Optional[Context] = None
    ) -> None:
        self._measure(amount, attributes, context)


class Histogram(_Synchronous, APIHistogram):
    """A distribution of values that are not negative."""

    _is_monotonic = True

    def __init__(
        self,
        name: str,
        instrumentation_scope: "opentelemetry.sdk.util.instrumentation.InstrumentationScope",  # noqa: F821
        measurement_consumer: "opentelemetry.sdk.metrics._internal.measurement_consumer.MeasurementConsumer",  # noqa: F821
        unit: str = "",
        description: str = "",
        explicit_bucket_boundaries_advisory: Optional[Sequence[float]] = None,
        *,
        _meter_config: Optional["opentelemetry.sdk.metrics._internal._ProxyMeterConfig"] = None,  # noqa: F821
    ) -> None:
        super().__init__(
            name,
            instrumentation_scope,
            measurement_consumer,
            unit,
            description,
            _meter_config=_meter_config,
        )
        self._advisory = _MetricsHistogramAdvisory(
            explicit_bucket_boundaries=explicit_bucket_boundaries_advisory
        )

    def record(
        self, amount: float, attributes: Attributes = None, context: Optional[Context] = None
    ) -> None:
        self._measure(amount, attributes, context)


class Gauge(_Synchronous, APIGauge):
    """The last value."""

    def set(
        self, amount: float, attributes: Attributes = None, context: Optional[Context] = None
    ) -> None:
        self._measure(amount, attributes, context)


class ObservableCounter(_Asynchronous, APIObservableCounter):
    """A sum that only grows, asked for at collection."""


class ObservableUpDownCounter(_Asynchronous, APIObservableUpDownCounter):
    """A sum that grows and shrinks, asked for at collection."""


class ObservableGauge(_Asynchronous, APIObservableGauge):
    """A value asked for at collection."""


class _Counter(Counter):
    _is_public = False


class _UpDownCounter(UpDownCounter):
    _is_public = False


class _Histogram(Histogram):
    _is_public = False


class _Gauge(Gauge):
    _is_public = False


class _ObservableCounter(ObservableCounter):
    _is_public = False


class _ObservableUpDownCounter(ObservableUpDownCounter):
    _is_public = False


class _ObservableGauge(ObservableGauge):
    _is_public = False
