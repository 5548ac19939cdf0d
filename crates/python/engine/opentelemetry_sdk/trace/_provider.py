"""Tracers and their provider."""

import atexit
import logging
import os
import threading
import weakref
from dataclasses import dataclass
from os import environ
from typing import Callable

from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.environment_variables import (
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.environment_variables._internal import parse_boolean_environment_variable
from opentelemetry.sdk.resources import Resource, _get_process_dependent_resource
from opentelemetry.sdk.util._configurator import RuleBasedConfigurator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from . import sampling
from ._limits import SpanLimits
from ._processor import SynchronousMultiSpanProcessor
from ._readable import _info_of
from ._span import _Span
from ._tracer_metrics import create_tracer_metrics
from .id_generator import RandomIdGenerator

try:
    from opentelemetry.util._decorator import _agnosticcontextmanager
except ImportError:  # an API whose decorator form is for plain functions only
    from contextlib import contextmanager as _agnosticcontextmanager

logger = logging.getLogger("opentelemetry.sdk.trace")

# W3C Trace Context level 2; older APIs do not name it.
_RANDOM_TRACE_ID = getattr(trace_api.TraceFlags, "RANDOM_TRACE_ID", 0x02)


@dataclass
class _TracerConfig:
    """A disabled tracer makes spans that record nothing."""

    is_enabled: bool

    @classmethod
    def default(cls):
        return cls(is_enabled=True)


_TracerConfiguratorT = Callable[[InstrumentationScope], _TracerConfig]
_RuleBasedTracerConfigurator = RuleBasedConfigurator[_TracerConfig]


def _default_tracer_configurator(tracer_scope):
    return _TracerConfig.default()


def _disable_tracer_configurator(tracer_scope):
    return _TracerConfig(is_enabled=False)


class Tracer(trace_api.Tracer):
    """Makes spans of one scope, as its provider is set up."""

    def __init__(
        self,
        sampler,
        resource,
        span_processor,
        id_generator,
        instrumentation_info,
        span_limits,
        instrumentation_scope,
        *,
        meter_provider=None,
        _tracer_config=None,
    ):
        self.sampler = sampler
        self.resource = resource
        self.span_processor = span_processor
        self.id_generator = id_generator
        self.instrumentation_info = instrumentation_info
        self._span_limits = span_limits
        self._instrumentation_scope = instrumentation_scope
        self._tracer_config = _tracer_config or _TracerConfig.default()
        self._tracer_metrics = create_tracer_metrics(
            meter_provider or metrics_api.get_meter_provider(),
            parse_boolean_environment_variable(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED),
        )

    def _set_tracer_config(self, tracer_config):
        self._tracer_config = tracer_config

    def _set_resource(self, resource):
        self.resource = resource

    def _is_enabled(self):
        return self._tracer_config.is_enabled

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name,
        context=None,
        kind=trace_api.SpanKind.INTERNAL,
        attributes=None,
        links=(),
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
        end_on_exit=True,
    ):
        span = self.start_span(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )
        with trace_api.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ):
            yield span

    def start_span(
        self,
        name,
        context=None,
        kind=trace_api.SpanKind.INTERNAL,
        attributes=None,
        links=(),
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
    ):
        parent = trace_api.get_current_span(context).get_span_context()
        if parent is not None and not isinstance(parent, trace_api.SpanContext):
            raise TypeError("parent_span_context must be a SpanContext or None.")
        if not self._is_enabled():
            return trace_api.NonRecordingSpan(parent)

        if parent is not None and parent.is_valid:
            trace_id = parent.trace_id
            flags = parent.trace_flags & _RANDOM_TRACE_ID
        else:
            parent = None
            trace_id = self.id_generator.generate_trace_id()
            flags = _RANDOM_TRACE_ID if _is_random(self.id_generator) else 0

        # A sampler decides, and may add attributes and change the trace state.
        sampled = self.sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
        if sampled.decision.is_sampled():
            flags |= trace_api.TraceFlags.SAMPLED
        span_context = trace_api.SpanContext(
            trace_id,
            self.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=trace_api.TraceFlags(flags),
            trace_state=sampled.trace_state,
        )
        ended = self._tracer_metrics.start_span(parent, sampled.decision)
        if not sampled.decision.is_recording():
            return trace_api.NonRecordingSpan(span_context)
        span = _Span(
            name,
            span_context,
            parent,
            sampler=self.sampler,
            resource=self.resource,
            attributes=sampled.attributes,
            links=links,
            kind=kind,
            span_processor=self.span_processor,
            instrumentation_info=self.instrumentation_info,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
            limits=self._span_limits,
            instrumentation_scope=self._instrumentation_scope,
            record_end_metrics=ended,
        )
        span.start(start_time, context)
        return span


def _is_random(id_generator):
    # Generators written before there was the flag need not have the method.
    says = getattr(id_generator, "is_trace_id_random", None)
    return says is not None and says()


class TracerProvider(trace_api.TracerProvider):
    """A provider that the application sets up: its spans go to its processors."""

    def __init__(
        self,
        sampler=None,
        resource=None,
        shutdown_on_exit=True,
        active_span_processor=None,
        id_generator=None,
        span_limits=None,
        *,
        meter_provider=None,
        _tracer_configurator=None,
    ):
        self.sampler = sampler or sampling._get_from_env_or_default()
        self.id_generator = RandomIdGenerator() if id_generator is None else id_generator
        self._resource = Resource.create({}) if resource is None else resource
        self._active_span_processor = active_span_processor or SynchronousMultiSpanProcessor()
        self._span_limits = span_limits or SpanLimits()
        self._disabled = environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
        self._meter_provider = meter_provider
        self._tracer_configurator = _tracer_configurator or _default_tracer_configurator
        self._tracers = {}
        self._tracers_lock = threading.Lock()
        self._atexit_handler = atexit.register(self.shutdown) if shutdown_on_exit else None
        if hasattr(os, "register_at_fork"):
            after_fork = weakref.WeakMethod(self._handle_fork)

            def handle():
                alive = after_fork()
                if alive is not None:
                    alive()

            os.register_at_fork(after_in_child=handle)

    def _handle_fork(self):
        self._tracers_lock = threading.Lock()
        self._update_resource(_get_process_dependent_resource())

    @property
    def resource(self):
        return self._resource

    def _update_resource(self, resource):
        """Merges the resource over the provider's. Spans that have started keep theirs."""
        with self._tracers_lock:
            self._resource = self._resource.merge(resource)
            for tracer in self._tracers.values():
                tracer._set_resource(self._resource)

    def _set_tracer_configurator(self, *, tracer_configurator):
        """Configures the tracers there are, and those to come, by the function."""
        with self._tracers_lock:
            self._tracer_configurator = tracer_configurator
            for scope, tracer in self._tracers.items():
                tracer._set_tracer_config(self._apply_tracer_configurator(scope))

    def _apply_tracer_configurator(self, instrumentation_scope):
        try:
            return self._tracer_configurator(instrumentation_scope)
        except Exception:  # the application's function; its spans matter more
            logger.exception(
                "Failed to create a Tracer Config for %s, using the default", instrumentation_scope
            )
            return _TracerConfig.default()

    def get_tracer(
        self,
        instrumenting_module_name,
        instrumenting_library_version=None,
        schema_url=None,
        attributes=None,
    ):
        if self._disabled:
            return trace_api.NoOpTracer()
        if not instrumenting_module_name:
            instrumenting_module_name = ""
            logger.error("get_tracer called with missing module name.")
        scope = InstrumentationScope(
            instrumenting_module_name,
            "" if instrumenting_library_version is None else instrumenting_library_version,
            schema_url,
            attributes,
        )
        with self._tracers_lock:
            tracer = self._tracers.get(scope)
            if tracer is None:
                tracer = self._tracers[scope] = self._make_tracer(scope)
            return tracer

    def _make_tracer(self, scope):
        return Tracer(
            self.sampler,
            self._resource,
            self._active_span_processor,
            self.id_generator,
            _info_of(scope),
            self._span_limits,
            scope,
            meter_provider=self._meter_provider,
            _tracer_config=self._apply_tracer_configurator(scope),
        )

    def add_span_processor(self, span_processor):
        """Tells this processor too, after those added before it, of spans from now on."""
        self._active_span_processor.add_span_processor(span_processor)

    def shutdown(self):
        """Shuts the processors down, once; at the process's end by itself, unless told not to."""
        self._active_span_processor.shutdown()
        if self._atexit_handler is not None:
            atexit.unregister(self._atexit_handler)
            self._atexit_handler = None

    def force_flush(self, timeout_millis=30000):
        """False if the processors did not hand on everything within the time."""
        return self._active_span_processor.force_flush(timeout_millis)
