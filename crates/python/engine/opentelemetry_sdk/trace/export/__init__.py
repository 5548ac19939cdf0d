"""Handing ended spans to exporters."""

import logging
import sys
from enum import Enum
from os import environ, linesep

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk._shared_internal._processor_metrics import create_processor_metrics
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_EXPORT_TIMEOUT,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from opentelemetry.sdk.environment_variables._internal import parse_boolean_environment_variable
from opentelemetry.sdk.trace import SpanProcessor

# The specification's defaults.
_DEFAULT_SCHEDULE_DELAY_MILLIS = 5000
_DEFAULT_MAX_EXPORT_BATCH_SIZE = 512
_DEFAULT_EXPORT_TIMEOUT_MILLIS = 30000
_DEFAULT_MAX_QUEUE_SIZE = 2048

logger = logging.getLogger(__name__)


class SpanExportResult(Enum):
    SUCCESS = 0
    FAILURE = 1


class SpanExporter:
    """Sends ended spans somewhere. A processor calls it."""

    def export(self, spans):
        """Sends a batch of readable spans; says whether that succeeded."""

    def shutdown(self):
        """There will be no more batches."""

    def force_flush(self, timeout_millis=30000):
        """Finishes what was handed over."""


def _metrics_of(processor_type, meter_provider, capacity=None):
    return create_processor_metrics(
        "traces",
        processor_type,
        meter_provider or get_meter_provider(),
        capacity=capacity,
        enabled=parse_boolean_environment_variable(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED),
    )


def _is_sampled(span):
    return bool(span.context) and span.context.trace_flags.sampled


class SimpleSpanProcessor(SpanProcessor):
    """Exports each sampled span at its end, on the thread that ends it."""

    def __init__(self, span_exporter, *, meter_provider=None):
        self.span_exporter = span_exporter
        self._shutdown = False
        self._metrics = _metrics_of("simple_span_processor", meter_provider)

    def on_end(self, span):
        if not _is_sampled(span):
            return
        if self._shutdown:
            logger.warning("Processor is already shutdown, ignoring call")
            self._metrics.drop_items(1, "already_shutdown")
            return
        self._metrics.finish_items(1)
        # What the exporter calls, an HTTP client say, is not to be traced in turn.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            self.span_exporter.export((span,))
        except Exception:  # the exporter's fault must not be the application's
            logger.exception("Exception while exporting Span.")
        finally:
            detach(token)

    def shutdown(self):
        self._shutdown = True
        self.span_exporter.shutdown()

    def force_flush(self, timeout_millis=30000):
        return True


class BatchSpanProcessor(SpanProcessor):
    """Exports sampled spans in batches, on a thread of its own.

    Sizes are in spans, times in milliseconds; what is not given comes from
    the variables OTEL_BSP_*, then from the specification.
    """

    def __init__(
        self,
        span_exporter,
        max_queue_size=None,
        schedule_delay_millis=None,
        max_export_batch_size=None,
        export_timeout_millis=None,
        *,
        meter_provider=None,
    ):
        if max_queue_size is None:
            max_queue_size = self._default_max_queue_size()
        if schedule_delay_millis is None:
            schedule_delay_millis = self._default_schedule_delay_millis()
        if max_export_batch_size is None:
            max_export_batch_size = self._default_max_export_batch_size()
        if export_timeout_millis is None:
            export_timeout_millis = self._default_export_timeout_millis()
        self._validate_arguments(max_queue_size, schedule_delay_millis, max_export_batch_size)
        self._batch_processor = BatchProcessor(
            span_exporter,
            schedule_delay_millis,
            max_export_batch_size,
            export_timeout_millis,
            max_queue_size,
            "Span",
            _metrics_of("batching_span_processor", meter_provider, max_queue_size),
        )

    @property
    def span_exporter(self):
        return self._batch_processor._exporter

    def on_end(self, span):
        if _is_sampled(span):
            self._batch_processor.emit(span)

    def shutdown(self):
        return self._batch_processor.shutdown()

    def force_flush(self, timeout_millis=None):
        return self._batch_processor.force_flush(timeout_millis)

    @staticmethod
    def _default_max_queue_size():
        return _integer(OTEL_BSP_MAX_QUEUE_SIZE, _DEFAULT_MAX_QUEUE_SIZE)

    @staticmethod
    def _default_schedule_delay_millis():
        return _integer(OTEL_BSP_SCHEDULE_DELAY, _DEFAULT_SCHEDULE_DELAY_MILLIS)

    @staticmethod
    def _default_max_export_batch_size():
        return _integer(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, _DEFAULT_MAX_EXPORT_BATCH_SIZE)

    @staticmethod
    def _default_export_timeout_millis():
        return _integer(OTEL_BSP_EXPORT_TIMEOUT, _DEFAULT_EXPORT_TIMEOUT_MILLIS)

    @staticmethod
    def _validate_arguments(max_queue_size, schedule_delay_millis, max_export_batch_size):
        if max_queue_size <= 0:
            raise ValueError("max_queue_size must be a positive integer.")
        if schedule_delay_millis <= 0:
            raise ValueError("schedule_delay_millis must be positive.")
        if max_export_batch_size <= 0:
            raise ValueError("max_export_batch_size must be a positive integer.")
        if max_export_batch_size > max_queue_size:
            raise ValueError("max_export_batch_size must be less than or equal to max_queue_size.")


def _integer(variable, default):
    text = environ.get(variable)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        logger.exception(
            "Unable to parse value for %s as integer. Defaulting to %s.", variable, default
        )
        return default


class ConsoleSpanExporter(SpanExporter):
    """Prints spans, by default as JSON on standard output."""

    def __init__(
        self, service_name=None, out=sys.stdout, formatter=lambda span: span.to_json() + linesep
    ):
        self.service_name = service_name
        self.out = out
        self.formatter = formatter

    def export(self, spans):
        for span in spans:
            self.out.write(self.formatter(span))
        self.out.flush()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis=30000):
        return True
