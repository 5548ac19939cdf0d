"""The provider and its meters."""

from __future__ import annotations

from atexit import register, unregister
from collections.abc import Sequence as SequenceABC
from dataclasses import dataclass
from logging import getLogger
from os import environ
from threading import Lock
from time import time_ns
from typing import Any, Callable, Dict, List, Optional, Sequence
from weakref import WeakSet

from opentelemetry.metrics import (
    CallbackT,
    Counter as APICounter,
    Histogram as APIHistogram,
    Meter as APIMeter,
    MeterProvider as APIMeterProvider,
    NoOpMeter,
    ObservableCounter as APIObservableCounter,
    ObservableGauge as APIObservableGauge,
    ObservableUpDownCounter as APIObservableUpDownCounter,
    UpDownCounter as APIUpDownCounter,
    _Gauge as APIGauge,
)
from opentelemetry.sdk.environment_variables import (
    OTEL_METRICS_EXEMPLAR_FILTER,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.util._fork import after_in_child
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.exemplar import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics._internal.instrument import (
    _Asynchronous,
    _Counter,
    _Gauge,
    _Histogram,
    _ObservableCounter,
    _ObservableGauge,
    _ObservableUpDownCounter,
    _UpDownCounter,
)
from opentelemetry.sdk.metrics._internal.measurement_consumer import (
    MeasurementConsumer,
    SynchronousMeasurementConsumer,
)
from opentelemetry.sdk.metrics._internal.sdk_configuration import SdkConfiguration
from opentelemetry.sdk.resources import Resource, _get_process_dependent_resource
from opentelemetry.sdk.util._configurator import RuleBasedConfigurator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes

_logger = getLogger(__name__)


@dataclass
class _MeterConfig:
    is_enabled: bool = True

    @classmethod
    def default(cls) -> "_MeterConfig":
        return cls()


class _ProxyMeterConfig:
    """A meter's configuration, shared with its instruments, which see each change."""

    __slots__ = ("is_enabled",)

    def __init__(self, config: _MeterConfig) -> None:
        self.is_enabled = config.is_enabled

    def update(self, config: _MeterConfig) -> None:
        self.is_enabled = config.is_enabled


def _checked_boundaries(boundaries: Any) -> Optional[Sequence[float]]:
    if boundaries is None:
        return None
    if isinstance(boundaries, SequenceABC) and all(
        isinstance(boundary, (float, int)) for boundary in boundaries
    ):
        return boundaries
    _logger.warning("explicit_bucket_boundaries_advisory must be a sequence of numbers")
    return None


class Meter(APIMeter):
    """Makes instruments. The same name, kind, unit and description give the same instrument."""

    def __init__(
        self,
        instrumentation_scope: InstrumentationScope,
        measurement_consumer: MeasurementConsumer,
        *,
        _meter_config: Optional[_MeterConfig] = None,
    ) -> None:
        super().__init__(
            name=instrumentation_scope.name,
            version=instrumentation_scope.version,
            schema_url=instrumentation_scope.schema_url,
        )
        self._instrumentation_scope = instrumentation_scope
        self._measurement_consumer = measurement_consumer
        self._meter_config = _ProxyMeterConfig(_meter_config or _MeterConfig.default())
        self._instrument_id_instrument: Dict[str, Any] = {}
        self._instrument_registration_lock = Lock()

    def _is_enabled(self) -> bool:
        return self._meter_config.is_enabled

    def _set_meter_config(self, meter_config: _MeterConfig) -> None:
        self._meter_config.update(meter_config)

    def _create(
        self,
        made: type,
        shown: type,
        name: str,
        unit: str,
        description: str,
        arguments: Optional[dict] = None,
        advisory: Optional[Sequence[float]] = None,
    ) -> Any:
        with self._instrument_registration_lock:
            status = self._register_instrument(name, made, unit, description, advisory)
            instruments = self._instrument_id_instrument
            if not status.already_registered:
                instruments[status.instrument_id] = made(
                    name,
                    self._instrumentation_scope,
                    self._measurement_consumer,
                    unit=unit,
                    description=description,
                    _meter_config=self._meter_config,
                    **(arguments or {}),
                )
            instrument = instruments[status.instrument_id]
        if issubclass(made, _Asynchronous) and not status.already_registered:
            self._measurement_consumer.register_asynchronous_instrument(instrument)
        if status.conflict:
            self._log_instrument_registration_conflict(
                name, shown.__name__, unit, description, status
            )
        return instrument

    def create_counter(self, name: str, unit: str = "", description: str = "") -> APICounter:
        return self._create(_Counter, APICounter, name, unit, description)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> APIUpDownCounter:
        return self._create(_UpDownCounter, APIUpDownCounter, name, unit, description)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> APIGauge:
        return self._create(_Gauge, APIGauge, name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Optional[Sequence[float]] = None,
    ) -> APIHistogram:
        boundaries = _checked_boundaries(explicit_bucket_boundaries_advisory)
        return self._create(
            _Histogram,
            APIHistogram,
            name,
            unit,
            description,
            {"explicit_bucket_boundaries_advisory": boundaries},
            boundaries,
        )

    def create_observable_counter(
        self,
        name: str,
        callbacks: Optional[Sequence[CallbackT]] = None,
        unit: str = "",
        description: str = "",
    ) -> APIObservableCounter:
        arguments = {"callbacks": callbacks}
        return self._create(
            _ObservableCounter, APIObservableCounter, name, unit, description, arguments
        )

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Optional[Sequence[CallbackT]] = None,
        unit: str = "",
        description: str = "",
    ) -> APIObservableUpDownCounter:
        arguments = {"callbacks": callbacks}
        return self._create(
            _ObservableUpDownCounter, APIObservableUpDownCounter, name, unit, description, arguments
        )

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Optional[Sequence[CallbackT]] = None,
        unit: str = "",
        description: str = "",
    ) -> APIObservableGauge:
        arguments = {"callbacks": callbacks}
        return self._create(
            _ObservableGauge, APIObservableGauge, name, unit, description, arguments
        )


_EXEMPLAR_FILTERS = {
    "trace_based": TraceBasedExemplarFilter,
    "always_on": AlwaysOnExemplarFilter,
    "always_off": AlwaysOffExemplarFilter,
}


def _get_exemplar_filter(exemplar_filter: str) -> ExemplarFilter:
    try:
        return _EXEMPLAR_FILTERS[exemplar_filter]()
    except KeyError:
        raise ValueError(f"Unknown exemplar filter '{exemplar_filter}'.") from None


_MeterConfiguratorT = Callable[[InstrumentationScope], _MeterConfig]
_RuleBasedMeterConfigurator = RuleBasedConfigurator[_MeterConfig]


def _default_meter_configurator(_meter_scope: InstrumentationScope) -> _MeterConfig:
    return _MeterConfig.default()


def _disable_meter_configurator(_meter_scope: InstrumentationScope) -> _MeterConfig:
    return _MeterConfig(is_enabled=False)


class MeterProvider(APIMeterProvider):
    """Gives meters, and feeds the readers from them.

    Each reader has metric streams of its own. Instruments that no view selects are aggregated by
    their kind. With `shutdown_on_exit` the provider shuts down when the interpreter exits.
    """

    # A reader belongs to one provider of the process at most.
    _all_metric_readers_lock = Lock()
    _all_metric_readers: "WeakSet" = WeakSet()

    def __init__(
        self,
        metric_readers: Sequence["opentelemetry.sdk.metrics.export.MetricReader"] = (),  # noqa: F821
        resource: Optional[Resource] = None,
        exemplar_filter: Optional[ExemplarFilter] = None,
        shutdown_on_exit: bool = True,
        views: Sequence["opentelemetry.sdk.metrics.view.View"] = (),  # noqa: F821
        *,
        _meter_configurator: Optional[_MeterConfiguratorT] = None,
    ) -> None:
        self._lock = Lock()
        self._meter_lock = Lock()
        if exemplar_filter is None:
            exemplar_filter = _get_exemplar_filter(
                environ.get(OTEL_METRICS_EXEMPLAR_FILTER, "trace_based")
            )
        self._sdk_config = SdkConfiguration(
            exemplar_filter=exemplar_filter,
            resource=Resource.create({}) if resource is None else resource,
            views=views,
        )
        self._metric_readers: Sequence = metric_readers
        self._measurement_consumer = SynchronousMeasurementConsumer(
            sdk_config=self._sdk_config, metric_readers=metric_readers
        )
        self._disabled = environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
        self._meters: Dict[InstrumentationScope, Meter] = {}
        self._meter_configurator = _meter_configurator or _default_meter_configurator
        self._shutdown = False
        self._atexit_handler = register(self.shutdown) if shutdown_on_exit else None
        for reader in metric_readers:
            with self._all_metric_readers_lock:
                if reader in self._all_metric_readers:
                    raise Exception(f"{reader} belongs to another MeterProvider already")
                self._all_metric_readers.add(reader)
            self._connect(reader)
        after_in_child(self._handle_fork)

    def _connect(
        self,
        reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> None:
        reader._set_collect_callback(self._measurement_consumer.collect)
        reader._set_meter_provider(self)

    def _handle_fork(self) -> None:
        # Another thread of the parent may have held a lock.
        self._lock = Lock()
        self._meter_lock = Lock()
        type(self)._all_metric_readers_lock = Lock()
        self._update_resource(_get_process_dependent_resource())

    def _update_resource(self, resource: Resource) -> None:
        with self._meter_lock:
            self._sdk_config.resource = self._sdk_config.resource.merge(resource)

    def _set_meter_configurator(self, *, meter_configurator: _MeterConfiguratorT) -> None:
        with self._meter_lock:
            self._meter_configurator = meter_configurator
            for scope, meter in self._meters.items():
                meter._set_meter_config(self._apply_meter_configurator(scope))

    def _apply_meter_configurator(self, scope: InstrumentationScope) -> _MeterConfig:
        try:
            return self._meter_configurator(scope)
        except Exception:
            _logger.exception("the meter configurator failed for %s; it is enabled", scope.name)
            return _MeterConfig.default()

    def get_meter(
        self,
        name: str,
        version: Optional[str] = None,
        schema_url: Optional[str] = None,
        attributes: Attributes = None,
    ) -> APIMeter:
        if self._disabled:
            return NoOpMeter(name, version=version, schema_url=schema_url)
        if self._shutdown:
            _logger.warning("the MeterProvider was shut down; the Meter %s does nothing", name)
            return NoOpMeter(name, version=version, schema_url=schema_url)
        if not name:
            _logger.warning("a Meter without a name does nothing")
            return NoOpMeter(name, version=version, schema_url=schema_url)
        scope = InstrumentationScope(name, version, schema_url, attributes)
        with self._meter_lock:
            meter = self._meters.get(scope)
            if meter is None:
                meter = self._meters[scope] = Meter(
                    scope,
                    self._measurement_consumer,
                    _meter_config=self._apply_meter_configurator(scope),
                )
            return meter

    def add_metric_reader(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> None:
        """Registers one more reader, which gets what is measured from now on."""
        with self._all_metric_readers_lock:
            if metric_reader in self._all_metric_readers:
                _logger.warning("MetricReader %s has been registered already!", metric_reader)
                return
            self._all_metric_readers.add(metric_reader)
            self._measurement_consumer.add_metric_reader(metric_reader)
            self._metric_readers = [*self._metric_readers, metric_reader]
        self._connect(metric_reader)

    def remove_metric_reader(
        self,
        metric_reader: "opentelemetry.sdk.metrics.export.MetricReader",  # noqa: F821
    ) -> None:
        """Shuts a reader down and forgets it."""
        with self._all_metric_readers_lock:
            if metric_reader not in self._all_metric_readers:
                _logger.warning("MetricReader %s has not been registered!", metric_reader)
                return
            self._measurement_consumer.remove_metric_reader(metric_reader)
            self._metric_readers = [
                reader for reader in self._metric_readers if reader is not metric_reader
            ]
            self._all_metric_readers.remove(metric_reader)
        metric_reader._set_collect_callback(None)
        metric_reader.shutdown()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Makes all readers collect and export. Raises when one of them fails."""
        deadline_ns = time_ns() + timeout_millis * 10**6

        def flush(reader: Any) -> None:
            left_millis = (deadline_ns - time_ns()) / 10**6
            if left_millis <= 0:
                raise MetricsTimeoutError("the time was up before this reader's turn")
            reader.force_flush(timeout_millis=left_millis)

        self._for_each_reader("force_flush", flush)
        return True

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Shuts the readers down, after a last collection. Raises when one of them fails."""
        deadline_ns = time_ns() + timeout_millis * 10**6
        with self._lock:
            if self._shutdown:
                _logger.warning("shutdown can only be called once")
                return
            self._shutdown = True

        def shut_down(reader: Any) -> None:
            left_millis = (deadline_ns - time_ns()) / 10**6
            if left_millis <= 0:
                raise MetricsTimeoutError("the time was up before this reader's turn")
            reader.shutdown(timeout_millis=left_millis)

        if self._atexit_handler is not None:
            unregister(self._atexit_handler)
            self._atexit_handler = None
        self._for_each_reader("shutdown", shut_down)

    def _for_each_reader(self, what: str, call: Callable[[Any], None]) -> None:
        errors: List[str] = []
        for reader in self._metric_readers:
            try:
                call(reader)
            except Exception as error:
                errors.append(f"{type(reader).__name__}: {error!r}")
        if errors:
            listed = "\n".join(errors)
            raise Exception(f"MeterProvider.{what} failed for these metric readers:\n{listed}")
