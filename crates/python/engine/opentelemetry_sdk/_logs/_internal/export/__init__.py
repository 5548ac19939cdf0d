"""Processors that export, and exporters."""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from copy import copy
from enum import Enum
from os import environ, linesep
from typing import IO, Any, Callable, Optional, Sequence

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    attach,
    create_key,
    detach,
    get_value,
    set_value,
)
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._shared_internal import BatchProcessor, DuplicateFilter
from opentelemetry.sdk._shared_internal._processor_metrics import create_processor_metrics
from opentelemetry.sdk.environment_variables import (
    OTEL_BLRP_EXPORT_TIMEOUT,
    OTEL_BLRP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BLRP_MAX_QUEUE_SIZE,
    OTEL_BLRP_SCHEDULE_DELAY,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from opentelemetry.sdk.environment_variables._internal import parse_boolean_environment_variable
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import deprecated

_DEFAULT_SCHEDULE_DELAY_MILLIS = 1000
_DEFAULT_MAX_EXPORT_BATCH_SIZE = 512
_DEFAULT_EXPORT_TIMEOUT_MILLIS = 30000
_DEFAULT_MAX_QUEUE_SIZE = 2048

# An exporter that logs makes a record, whose export may log ...: so deep and no deeper.
_RECURSION_LIMIT = 3
_DEPTH_KEY = create_key("carafe-log-export-depth")

_logger = logging.getLogger(__name__)
_logger.addFilter(DuplicateFilter())
# Messages that must not become records again.
_propagate_false_logger = logging.getLogger(__name__ + ".propagate.false")
_propagate_false_logger.propagate = False


class LogRecordExportResult(Enum):
    """How an export ended."""

    SUCCESS = 0
    FAILURE = 1


@deprecated("Use LogRecordExportResult.")
class LogExportResult(Enum):
    """The former name."""

    SUCCESS = 0
    FAILURE = 1


class LogRecordExporter(ABC):
    """Sends records somewhere."""

    @abstractmethod
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Sends a batch. The processor that calls it handles what it raises."""

    @abstractmethod
    def shutdown(self) -> None:
        """The last call."""

    @abstractmethod
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Sends what is held back; whether that was done in time."""


@deprecated("Use LogRecordExporter.")
class LogExporter(LogRecordExporter):
    """The former name."""


def _to_line(record: ReadableLogRecord) -> str:
    return record.to_json() + linesep


class ConsoleLogRecordExporter(LogRecordExporter):
    """Writes each record as JSON."""

    def __init__(
        self,
        out: IO = sys.stdout,
        formatter: Callable[[ReadableLogRecord], str] = _to_line,
    ) -> None:
        self.out = out
        self.formatter = formatter

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        for record in batch:
            self.out.write(self.formatter(record))
        self.out.flush()
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@deprecated("Use ConsoleLogRecordExporter.")
class ConsoleLogExporter(ConsoleLogRecordExporter):
    """The former name."""


def _metrics(kind: str, meter_provider: Optional[MeterProvider], capacity: Optional[int]) -> Any:
    return create_processor_metrics(
        "logs",
        kind,
        meter_provider or get_meter_provider(),
        capacity=capacity,
        enabled=parse_boolean_environment_variable(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED),
    )


def _readable(record: ReadWriteLogRecord, log_record: Any) -> ReadableLogRecord:
    resource = Resource.create({}) if record.resource is None else record.resource
    return ReadableLogRecord(log_record, resource, record.instrumentation_scope, record.limits)


class SimpleLogRecordProcessor(LogRecordProcessor):
    """Exports each record by itself, in the thread that emits it."""

    def __init__(
        self, exporter: LogRecordExporter, *, meter_provider: Optional[MeterProvider] = None
    ) -> None:
        self._exporter = exporter
        self._shutdown = False
        self._metrics = _metrics("simple_log_processor", meter_provider, None)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        depth = get_value(_DEPTH_KEY) or 0
        if depth > _RECURSION_LIMIT:
            _propagate_false_logger.warning(
                "SimpleLogRecordProcessor.on_emit has entered a recursive loop. "
                "Dropping log and exiting the loop."
            )
            return
        context = set_value(_DEPTH_KEY, depth + 1)
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, context))
        try:
            if self._shutdown:
                _logger.warning("Processor is already shutdown, ignoring call")
                self._metrics.drop_items(1, "already_shutdown")
                return
            readable = _readable(log_record, log_record.log_record)
            self._metrics.finish_items(1)
            self._exporter.export((readable,))
        except Exception:
            _logger.exception("Exception while exporting logs.")
        finally:
            detach(token)

    def shutdown(self) -> None:
        self._shutdown = True
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _number(given: Optional[float], variable: str, default: int) -> float:
    if given is not None:
        return given
    try:
        return int(environ.get(variable, default))
    except ValueError:
        _logger.exception("%s is not a whole number; %s is used", variable, default)
        return default


class BatchLogRecordProcessor(LogRecordProcessor):
    """Exports records in batches, on a thread of its own.

    Arguments that are left out come from `OTEL_BLRP_SCHEDULE_DELAY`,
    `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BLRP_EXPORT_TIMEOUT` and `OTEL_BLRP_MAX_QUEUE_SIZE`.
    """

    def __init__(
        self,
        exporter: LogRecordExporter,
        schedule_delay_millis: Optional[float] = None,
        max_export_batch_size: Optional[int] = None,
        export_timeout_millis: Optional[float] = None,
        max_queue_size: Optional[int] = None,
        *,
        meter_provider: Optional[MeterProvider] = None,
    ) -> None:
        queue_size = _number(max_queue_size, OTEL_BLRP_MAX_QUEUE_SIZE, _DEFAULT_MAX_QUEUE_SIZE)
        delay_millis = _number(
            schedule_delay_millis, OTEL_BLRP_SCHEDULE_DELAY, _DEFAULT_SCHEDULE_DELAY_MILLIS
        )
        batch_size = _number(
            max_export_batch_size, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE, _DEFAULT_MAX_EXPORT_BATCH_SIZE
        )
        timeout_millis = _number(
            export_timeout_millis, OTEL_BLRP_EXPORT_TIMEOUT, _DEFAULT_EXPORT_TIMEOUT_MILLIS
        )
        for name, value in (
            ("max_queue_size", queue_size),
            ("schedule_delay_millis", delay_millis),
            ("max_export_batch_size", batch_size),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")
        if batch_size > queue_size:
            raise ValueError(
                f"max_export_batch_size {batch_size} is greater than max_queue_size {queue_size}"
            )
        self._batch_processor = BatchProcessor(
            exporter,
            delay_millis,
            batch_size,
            timeout_millis,
            queue_size,
            "Log",
            _metrics("batching_log_processor", meter_provider, queue_size),
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        # The queue must not keep alive what the context refers to.
        waiting = copy(log_record.log_record)
        waiting.context = Context()
        self._batch_processor.emit(_readable(log_record, waiting))

    def shutdown(self) -> None:
        self._batch_processor.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._batch_processor.force_flush(timeout_millis)
