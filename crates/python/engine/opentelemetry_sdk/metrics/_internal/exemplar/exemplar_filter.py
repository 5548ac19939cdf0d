"""Which measurements may become exemplars (metrics SDK specification, ExemplarFilter)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, get_current_span
from opentelemetry.util.types import Attributes


class ExemplarFilter(ABC):
    """Says for each measurement whether the reservoirs see it."""

    @abstractmethod
    def should_sample(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> bool:
        """Whether this measurement is offered."""


class AlwaysOnExemplarFilter(ExemplarFilter):
    """Offers every measurement."""

    def should_sample(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> bool:
        return True


class AlwaysOffExemplarFilter(ExemplarFilter):
    """Offers none: no exemplars."""

    def should_sample(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> bool:
        return False


class TraceBasedExemplarFilter(ExemplarFilter):
    """Offers those made inside a sampled span."""

    def should_sample(
        self, value: float, time_unix_nano: int, attributes: Attributes, context: Context
    ) -> bool:
        span = get_current_span(context)
        return span is not INVALID_SPAN and span.get_span_context().trace_flags.sampled
