"""Tracing: the provider of tracers, spans, and the processors that are told of them."""

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.trace import SpanContext
from opentelemetry.trace.status import Status, StatusCode

from . import sampling
from ._limits import (
    _DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT,
    _DEFAULT_OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    _DEFAULT_OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    _DEFAULT_OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    _DEFAULT_OTEL_SPAN_EVENT_COUNT_LIMIT,
    _DEFAULT_OTEL_SPAN_LINK_COUNT_LIMIT,
    SPAN_ATTRIBUTE_COUNT_LIMIT,
    SpanLimits,
    _UnsetLimits,
)
from ._processor import ConcurrentMultiSpanProcessor, SpanProcessor, SynchronousMultiSpanProcessor
from ._provider import (
    Tracer,
    TracerProvider,
    _default_tracer_configurator,
    _disable_tracer_configurator,
    _RuleBasedTracerConfigurator,
    _TracerConfig,
    _TracerConfiguratorT,
)
from ._readable import Event, EventBase, ReadableSpan
from ._span import Span, _Span
from .id_generator import IdGenerator, RandomIdGenerator

__all__ = [
    "ConcurrentMultiSpanProcessor",
    "Event",
    "EventBase",
    "ReadableSpan",
    "Span",
    "SpanLimits",
    "SpanProcessor",
    "SynchronousMultiSpanProcessor",
    "Tracer",
    "TracerProvider",
]
