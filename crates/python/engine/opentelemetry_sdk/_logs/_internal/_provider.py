"""The provider and its loggers."""

from __future__ import annotations

import atexit
import logging
from dataclasses import dataclass
from os import environ
from threading import Lock
from typing import Any, Callable, Dict, Optional, Union
from weakref import WeakSet

from opentelemetry._logs import (
    Logger as APILogger,
    LoggerProvider as APILoggerProvider,
    LogRecord,
    NoOpLogger,
    SeverityNumber,
)
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.sdk.environment_variables import (
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.environment_variables._internal import parse_boolean_environment_variable
from opentelemetry.sdk.util._fork import after_in_child
from opentelemetry.sdk.resources import Resource, _get_process_dependent_resource
from opentelemetry.sdk.util._configurator import RuleBasedConfigurator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue, Attributes

from ._exceptions import told, with_exception
from ._logger_metrics import create_logger_metrics
from ._processor import (
    ConcurrentMultiLogRecordProcessor,
    LogRecordProcessor,
    SynchronousMultiLogRecordProcessor,
)
from ._record import LogRecordLimits, ReadWriteLogRecord

_logger = logging.getLogger(__name__)

_Multi = Union[SynchronousMultiLogRecordProcessor, ConcurrentMultiLogRecordProcessor]

# What `LogRecord` takes since later versions of the API.
_LATER = frozenset(("event_name", "exception")) & set(LogRecord.__init__.__code__.co_varnames)


@dataclass
class _LoggerConfig:
    is_enabled: bool = True

    @classmethod
    def default(cls) -> "_LoggerConfig":
        return cls()


class Logger(APILogger):
    """Makes records of one scope."""

    def __init__(
        self,
        resource: Resource,
        multi_log_record_processor: _Multi,
        instrumentation_scope: InstrumentationScope,
        *,
        logger_metrics: Any,
        log_record_limits: Optional[LogRecordLimits] = None,
        _logger_config: _LoggerConfig,
    ) -> None:
        super().__init__(
            instrumentation_scope.name,
            instrumentation_scope.version,
            instrumentation_scope.schema_url,
            instrumentation_scope.attributes,
        )
        self._resource = resource
        self._multi_log_record_processor = multi_log_record_processor
        self._instrumentation_scope = instrumentation_scope
        self._logger_metrics = logger_metrics
        self._log_record_limits = log_record_limits or LogRecordLimits()
        self._logger_config = _logger_config

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        return self._instrumentation_scope

    @property
    def resource(self) -> Resource:
        return self._resource

    def _is_enabled(self) -> bool:
        return self._logger_config.is_enabled

    def _set_logger_config(self, logger_config: _LoggerConfig) -> None:
        self._logger_config = logger_config

    def _set_resource(self, resource: Resource) -> None:
        self._resource = resource

    def enabled(
        self,
        *,
        context: Optional[Context] = None,
        severity_number: Optional[SeverityNumber] = None,
        event_name: Optional[str] = None,
    ) -> bool:
        return self._is_enabled() and self._multi_log_record_processor.enabled(
            context=context,
            instrumentation_scope=self._instrumentation_scope,
            severity_number=severity_number,
            event_name=event_name,
        )

    def emit(
        self,
        record: Optional[LogRecord] = None,
        *,
        timestamp: Optional[int] = None,
        observed_timestamp: Optional[int] = None,
        context: Optional[Context] = None,
        severity_number: Optional[SeverityNumber] = None,
        severity_text: Optional[str] = None,
        body: AnyValue = None,
        attributes: Attributes = None,
        event_name: Optional[str] = None,
        exception: Optional[BaseException] = None,
    ) -> None:
        """Hands a record, or one made of the other arguments, to the processors."""
        if not self._is_enabled():
            return
        if isinstance(record, ReadWriteLogRecord):
            record.log_record.attributes = with_exception(
                record.log_record.attributes, getattr(record.log_record, "exception", None)
            )
            writable = record
        else:
            if record is None:
                later = {"event_name": event_name, "exception": exception}
                record = LogRecord(
                    timestamp=timestamp,
                    observed_timestamp=observed_timestamp,
                    context=context,
                    severity_number=severity_number,
                    severity_text=severity_text,
                    body=body,
                    attributes=with_exception(attributes, exception),
                    **{name: value for name, value in later.items() if name in _LATER},
                )
            else:
                record = told(record)
            writable = ReadWriteLogRecord(
                record, self._resource, self._instrumentation_scope, self._log_record_limits
            )
        self._logger_metrics.emit_log()
        self._multi_log_record_processor.on_emit(writable)


_LoggerConfiguratorT = Callable[[InstrumentationScope], _LoggerConfig]
_RuleBasedLoggerConfigurator = RuleBasedConfigurator[_LoggerConfig]


def _default_logger_configurator(_logger_scope: InstrumentationScope) -> _LoggerConfig:
    return _LoggerConfig.default()


def _disable_logger_configurator(_logger_scope: InstrumentationScope) -> _LoggerConfig:
    return _LoggerConfig(is_enabled=False)


class LoggerProvider(APILoggerProvider):
    """Gives loggers, and tells the processors of their records.

    With `shutdown_on_exit` the provider shuts down when the interpreter exits.
    """

    def __init__(
        self,
        resource: Optional[Resource] = None,
        shutdown_on_exit: bool = True,
        multi_log_record_processor: Optional[_Multi] = None,
        *,
        meter_provider: Optional[MeterProvider] = None,
        log_record_limits: Optional[LogRecordLimits] = None,
        _logger_configurator: Optional[_LoggerConfiguratorT] = None,
    ) -> None:
        self._resource = Resource.create({}) if resource is None else resource
        self._multi_log_record_processor = (
            multi_log_record_processor or SynchronousMultiLogRecordProcessor()
        )
        self._logger_metrics = create_logger_metrics(
            meter_provider or get_meter_provider(),
            parse_boolean_environment_variable(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED),
        )
        self._disabled = environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
        self._logger_configurator = _logger_configurator or _default_logger_configurator
        self._log_record_limits = log_record_limits or LogRecordLimits()
        self._at_exit_handler = atexit.register(self.shutdown) if shutdown_on_exit else None
        self._logger_cache: Dict[tuple, Logger] = {}
        self._logger_cache_lock = Lock()
        self._active_loggers: "WeakSet[Logger]" = WeakSet()
        self._active_loggers_lock = Lock()
        after_in_child(self._handle_fork)

    @property
    def resource(self) -> Resource:
        return self._resource

    def _handle_fork(self) -> None:
        # Another thread of the parent may have held a lock.
        self._logger_cache_lock = Lock()
        self._active_loggers_lock = Lock()
        self._update_resource(_get_process_dependent_resource())

    def _update_resource(self, resource: Resource) -> None:
        with self._active_loggers_lock:
            self._resource = self._resource.merge(resource)
            for logger in tuple(self._active_loggers):
                logger._set_resource(self._resource)

    def get_logger(
        self,
        name: str,
        version: Optional[str] = None,
        schema_url: Optional[str] = None,
        attributes: Attributes = None,
    ) -> APILogger:
        """A logger; without attributes the same one for the same arguments."""
        if self._disabled:
            return NoOpLogger(name, version=version, schema_url=schema_url, attributes=attributes)
        if attributes is not None:
            return self._new_logger(name, version, schema_url, attributes)
        key = (name, version, schema_url)
        with self._logger_cache_lock:
            logger = self._logger_cache.get(key)
            if logger is None:
                logger = self._logger_cache[key] = self._new_logger(*key)
        return logger

    def _new_logger(
        self,
        name: str,
        version: Optional[str],
        schema_url: Optional[str],
        attributes: Attributes = None,
    ) -> Logger:
        scope = InstrumentationScope(name, version, schema_url, attributes)
        with self._active_loggers_lock:
            logger = Logger(
                self._resource,
                self._multi_log_record_processor,
                scope,
                logger_metrics=self._logger_metrics,
                log_record_limits=self._log_record_limits,
                _logger_config=self._apply_logger_configurator(scope),
            )
            self._active_loggers.add(logger)
        return logger

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Registers one more processor; they are called in this order."""
        self._multi_log_record_processor.add_log_record_processor(log_record_processor)

    def _set_logger_configurator(self, *, logger_configurator: _LoggerConfiguratorT) -> None:
        self._logger_configurator = logger_configurator
        with self._active_loggers_lock:
            for logger in tuple(self._active_loggers):
                logger._set_logger_config(
                    self._apply_logger_configurator(logger.instrumentation_scope)
                )

    def _apply_logger_configurator(self, scope: InstrumentationScope) -> _LoggerConfig:
        try:
            return self._logger_configurator(scope)
        except Exception:
            _logger.exception("the logger configurator failed for %s; it is enabled", scope.name)
            return _LoggerConfig.default()

    def shutdown(self) -> None:
        self._multi_log_record_processor.shutdown()
        if self._at_exit_handler is not None:
            atexit.unregister(self._at_exit_handler)
            self._at_exit_handler = None

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Exports all that is held back; whether that was done in time."""
        return self._multi_log_record_processor.force_flush(timeout_millis)
