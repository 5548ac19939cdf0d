"""Setting up providers from the environment, for distributions that do so themselves.

Under Carafe the global providers are there before the application asks for
them, so what this sets up is refused by the API, with its warning. Code that
derives from the configurator or calls its parts still works.
"""

import logging
import logging.config
import os
import warnings
from abc import ABC, abstractmethod
from os import environ

from opentelemetry._logs import set_logger_provider
from opentelemetry.environment_variables import (
    OTEL_LOGS_EXPORTER,
    OTEL_METRICS_EXPORTER,
    OTEL_PYTHON_ID_GENERATOR,
    OTEL_TRACES_EXPORTER,
)
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_CONFIG_FILE,
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL,
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
    OTEL_PYTHON_LOGGER_CONFIGURATOR,
    OTEL_PYTHON_METER_CONFIGURATOR,
    OTEL_PYTHON_TRACER_CONFIGURATOR,
    OTEL_TRACES_SAMPLER,
    OTEL_TRACES_SAMPLER_ARG,
    _OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import TELEMETRY_AUTO_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import set_tracer_provider
from opentelemetry.util._importlib_metadata import entry_points

_logger = logging.getLogger(__name__)

_EXPORTER_OTLP = "otlp"
_EXPORTER_OTLP_PROTO_GRPC = "otlp_proto_grpc"
_EXPORTER_OTLP_PROTO_HTTP = "otlp_proto_http"

_EXPORTER_BY_OTLP_PROTOCOL = {
    "grpc": _EXPORTER_OTLP_PROTO_GRPC,
    "http/protobuf": _EXPORTER_OTLP_PROTO_HTTP,
}

_EXPORTER_ENV_BY_SIGNAL_TYPE = {
    "traces": OTEL_TRACES_EXPORTER,
    "metrics": OTEL_METRICS_EXPORTER,
    "logs": OTEL_LOGS_EXPORTER,
}

_PROTOCOL_ENV_BY_SIGNAL_TYPE = {
    "traces": OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
    "metrics": OTEL_EXPORTER_OTLP_METRICS_PROTOCOL,
    "logs": OTEL_EXPORTER_OTLP_LOGS_PROTOCOL,
}

_RANDOM_ID_GENERATOR = "random"
_DEFAULT_ID_GENERATOR = _RANDOM_ID_GENERATOR

_OTEL_SAMPLER_ENTRY_POINT_GROUP = "opentelemetry_traces_sampler"

# These take their argument as a number.
_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")


# What the environment asks for


def _get_sampler():
    return environ.get(OTEL_TRACES_SAMPLER)


def _get_id_generator():
    return environ.get(OTEL_PYTHON_ID_GENERATOR, _DEFAULT_ID_GENERATOR)


def _get_tracer_configurator():
    return environ.get(OTEL_PYTHON_TRACER_CONFIGURATOR)


def _get_meter_configurator():
    return environ.get(OTEL_PYTHON_METER_CONFIGURATOR)


def _get_logger_configurator():
    return environ.get(OTEL_PYTHON_LOGGER_CONFIGURATOR)


def _get_exporter_entry_point(exporter_name, signal_type):
    """The entry point of an exporter: `otlp` stands for one of two, by the protocol's variables."""
    by_name = {
        _EXPORTER_OTLP: None,
        _EXPORTER_OTLP_PROTO_GRPC: _EXPORTER_OTLP_PROTO_GRPC,
        _EXPORTER_OTLP_PROTO_HTTP: _EXPORTER_OTLP_PROTO_HTTP,
    }
    if exporter_name not in by_name:
        return exporter_name
    protocol = environ.get(_PROTOCOL_ENV_BY_SIGNAL_TYPE[signal_type]) or environ.get(
        OTEL_EXPORTER_OTLP_PROTOCOL
    )
    protocol = protocol.strip() if protocol else "grpc" if exporter_name == _EXPORTER_OTLP else None
    by_protocol = _EXPORTER_BY_OTLP_PROTOCOL.get(protocol)
    if exporter_name == _EXPORTER_OTLP:
        if by_protocol is None:
            raise RuntimeError("Unsupported OTLP protocol '{}' is configured".format(protocol))
        return by_protocol
    if by_protocol not in (None, exporter_name):
        _logger.warning(
            "Conflicting values for %s OTLP exporter protocol, using '%s'",
            signal_type,
            exporter_name,
        )
    return exporter_name


def _get_exporter_names(signal_type):
    names = environ.get(_EXPORTER_ENV_BY_SIGNAL_TYPE.get(signal_type, ""))
    if not names or names.strip().lower() == "none":
        return []
    return [_get_exporter_entry_point(name.strip(), signal_type) for name in names.split(",")]


# What entry points provide


def _import_config_components(selected_components, entry_point_name):
    found = []
    for component in selected_components:
        try:
            entry_point = next(iter(entry_points(group=entry_point_name, name=component)))
        except KeyError:
            raise RuntimeError("Requested entry point '{}' not found".format(entry_point_name))
        except StopIteration:
            raise RuntimeError(
                "Requested component '{}' not found in entry point '{}'".format(
                    component, entry_point_name
                )
            )
        found.append((component, entry_point.load()))
    return found


def _import_exporters(trace_exporter_names, metric_exporter_names, log_exporter_names):
    """Exporters (and metric readers) by name, one dictionary for each signal."""

    def load(names, group, bases, what):
        loaded = dict(_import_config_components(names, group))
        for name, exporter in loaded.items():
            if not issubclass(exporter, bases):
                raise RuntimeError("{} is not a {} exporter".format(name, what))
        return loaded

    return (
        load(trace_exporter_names, "opentelemetry_traces_exporter", SpanExporter, "trace"),
        load(
            metric_exporter_names,
            "opentelemetry_metrics_exporter",
            (MetricExporter, MetricReader),
            "metric",
        ),
        load(log_exporter_names, "opentelemetry_logs_exporter", LogRecordExporter, "log"),
    )


def _import_sampler_factory(sampler_name):
    return _import_config_components([sampler_name.strip()], _OTEL_SAMPLER_ENTRY_POINT_GROUP)[0][1]


def _import_sampler(sampler_name):
    """The named sampler; None, which means the default, where there is none or it fails."""
    if not sampler_name:
        return None
    try:
        factory = _import_sampler_factory(sampler_name)
        argument = os.getenv(OTEL_TRACES_SAMPLER_ARG)
        if sampler_name in _RATIO_SAMPLERS:
            try:
                argument = float(argument or "")
            except ValueError:
                _logger.warning(
                    "Could not convert TRACES_SAMPLER_ARG to float. Using default value 1.0."
                )
                argument = 1.0
        sampler = factory(argument)
        if not isinstance(sampler, Sampler):
            message = "Sampler factory, {}, produced output, {}, which is not a Sampler.".format(
                factory, sampler
            )
            _logger.warning(message)
            raise ValueError(message)
        return sampler
    except Exception as error:
        _logger.warning(
            "Using default sampler. Failed to initialize sampler, %s: %s", sampler_name, error
        )
        return None


def _import_id_generator(id_generator_name):
    name, generator = _import_config_components(
        [id_generator_name.strip()], "opentelemetry_id_generator"
    )[0]
    if not issubclass(generator, IdGenerator):
        raise RuntimeError("{} is not an IdGenerator".format(name))
    return generator()


def _import_configurator(kind, name):
    if not name:
        return None
    try:
        return _import_config_components(
            [name.strip()], "_opentelemetry_{}_configurator".format(kind)
        )[0][1]
    except Exception as error:
        _logger.warning(
            "Using default %s configurator. Failed to load %s configurator, %s: %s",
            kind,
            kind,
            name,
            error,
        )
        return None


def _import_tracer_configurator(tracer_configurator_name):
    return _import_configurator("tracer", tracer_configurator_name)


def _import_meter_configurator(meter_configurator_name):
    return _import_configurator("meter", meter_configurator_name)


def _import_logger_configurator(logger_configurator_name):
    return _import_configurator("logger", logger_configurator_name)


def _import_opamp(name):
    """A function that a distribution has for before or after the set-up; it takes the resource."""
    entry_point = next(iter(entry_points(group="_opentelemetry_opamp", name=name)), None)
    if entry_point is None:
        _logger.debug("No OpAMP init function found")
        return None
    try:
        return entry_point.load()
    except AttributeError as error:
        _logger.warning(
            "Failed to load OpAMP init function from entry point, %s: %s", entry_point, error
        )
        return None


# Setting up


def _init_tracing(
    exporters,
    id_generator=None,
    sampler=None,
    resource=None,
    exporter_args_map=None,
    span_processors=None,
    export_span_processor=None,
    tracer_configurator=None,
):
    provider = TracerProvider(
        id_generator=id_generator,
        sampler=sampler,
        resource=resource,
        _tracer_configurator=tracer_configurator,
    )
    set_tracer_provider(provider)
    for processor in span_processors or ():
        provider.add_span_processor(processor)
    for exporter in exporters.values():
        made = exporter(**(exporter_args_map or {}).get(exporter, {}))
        provider.add_span_processor((export_span_processor or BatchSpanProcessor)(made))


def _init_metrics(
    exporters_or_readers, resource=None, exporter_args_map=None, meter_configurator=None
):
    readers = []
    for kind in exporters_or_readers.values():
        made = kind(**(exporter_args_map or {}).get(kind, {}))
        readers.append(
            made if issubclass(kind, MetricReader) else PeriodicExportingMetricReader(made)
        )
    provider = MeterProvider(
        resource=resource, metric_readers=readers, _meter_configurator=meter_configurator
    )
    set_meter_provider(provider)


def _init_logging(
    exporters,
    resource=None,
    setup_logging_handler=True,
    exporter_args_map=None,
    log_record_processors=None,
    export_log_record_processor=None,
    logger_configurator=None,
):
    provider = LoggerProvider(resource=resource, _logger_configurator=logger_configurator)
    set_logger_provider(provider)
    for processor in log_record_processors or ():
        provider.add_log_record_processor(processor)
    for exporter in exporters.values():
        made = exporter(**(exporter_args_map or {}).get(exporter, {}))
        provider.add_log_record_processor(
            (export_log_record_processor or BatchLogRecordProcessor)(made)
        )
    if setup_logging_handler:
        warnings.warn(
            "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED and the LoggingHandler of opentelemetry-sdk "
            "are deprecated; opentelemetry-instrumentation-logging has what replaces them.",
            DeprecationWarning,
        )
        handler = LoggingHandler(level=logging.NOTSET, logger_provider=provider)
        logging.getLogger().addHandler(handler)
        _overwrite_logging_config_fns(handler)


def _overwrite_logging_config_fns(handler):
    """Keeps the handler out of the hands of functions that configure logging: they would remove it."""
    root = logging.getLogger()

    def keeping(configure):
        def wrapper(*args, **kwargs):
            there = handler in root.handlers
            if there:
                root.handlers.remove(handler)
            try:
                configure(*args, **kwargs)
            finally:
                if there:
                    root.addHandler(handler)

        return wrapper

    logging.config.fileConfig = keeping(logging.config.fileConfig)
    logging.config.dictConfig = keeping(logging.config.dictConfig)
    logging.basicConfig = keeping(logging.basicConfig)


def _initialize_components(
    auto_instrumentation_version=None,
    trace_exporter_names=None,
    metric_exporter_names=None,
    log_exporter_names=None,
    sampler=None,
    resource_attributes=None,
    id_generator=None,
    setup_logging_handler=None,
    exporter_args_map=None,
    span_processors=None,
    export_span_processor=None,
    log_record_processors=None,
    export_log_record_processor=None,
    tracer_configurator=None,
    meter_configurator=None,
    logger_configurator=None,
):
    """Providers for the three signals: arguments first, then the environment."""
    resource_attributes = {} if resource_attributes is None else resource_attributes
    if auto_instrumentation_version:
        resource_attributes[TELEMETRY_AUTO_VERSION] = auto_instrumentation_version
    resource = Resource.create(resource_attributes)

    before = _import_opamp("pre_sdk_init_function")
    if before is not None:
        before(resource)

    span_exporters, metric_exporters, log_exporters = _import_exporters(
        (trace_exporter_names or []) + _get_exporter_names("traces"),
        (metric_exporter_names or []) + _get_exporter_names("metrics"),
        (log_exporter_names or []) + _get_exporter_names("logs"),
    )
    if sampler is None:
        sampler = _import_sampler(_get_sampler())
    if id_generator is None:
        id_generator = _import_id_generator(_get_id_generator())
    if tracer_configurator is None:
        tracer_configurator = _import_tracer_configurator(_get_tracer_configurator())
    if meter_configurator is None:
        meter_configurator = _import_meter_configurator(_get_meter_configurator())
    if logger_configurator is None:
        logger_configurator = _import_logger_configurator(_get_logger_configurator())

    _init_tracing(
        exporters=span_exporters,
        id_generator=id_generator,
        sampler=sampler,
        resource=resource,
        exporter_args_map=exporter_args_map,
        span_processors=span_processors,
        export_span_processor=export_span_processor,
        tracer_configurator=tracer_configurator,
    )
    _init_metrics(
        exporters_or_readers=metric_exporters,
        resource=resource,
        exporter_args_map=exporter_args_map,
        meter_configurator=meter_configurator,
    )
    if setup_logging_handler is None:
        switch = os.getenv(_OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED, "false")
        setup_logging_handler = switch.strip().lower() == "true"
    _init_logging(
        log_exporters,
        resource,
        setup_logging_handler,
        exporter_args_map=exporter_args_map,
        log_record_processors=log_record_processors,
        export_log_record_processor=export_log_record_processor,
        logger_configurator=logger_configurator,
    )

    after = _import_opamp("post_sdk_init_function")
    if after is not None:
        after(resource)


class _BaseConfigurator(ABC):
    """A configurator of a distribution. One instance for each class."""

    _instance = None
    _is_instrumented = False

    def __new__(cls, *args, **kwargs):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    @abstractmethod
    def _configure(self, **kwargs):
        """Sets up the providers."""

    def configure(self, **kwargs):
        self._configure(**kwargs)


class _OTelSDKConfigurator(_BaseConfigurator):
    """Sets up by arguments and environment, or by OTEL_CONFIG_FILE alone where that is set."""

    def _configure(self, **kwargs):
        config_file = environ.get(OTEL_CONFIG_FILE)
        if not config_file:
            _initialize_components(**kwargs)
            return
        try:
            from opentelemetry.configuration import configure_sdk, load_config_file
        except ImportError as error:
            raise RuntimeError(
                "{} is set but opentelemetry-configuration is not installed. "
                "Install it with: pip install opentelemetry-configuration".format(OTEL_CONFIG_FILE)
            ) from error
        if kwargs:
            _logger.warning(
                "%s is set; ignoring configurator kwargs: %s", OTEL_CONFIG_FILE, sorted(kwargs)
            )
        configure_sdk(load_config_file(config_file))
