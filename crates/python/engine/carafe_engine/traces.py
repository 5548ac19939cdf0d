"""The global tracer provider, as the app sees it.

Spans are native and go to the ring. The SDK's own modules are imported when
the app asks for what needs them: a processor, the resource, the sampler.
"""

import os
import threading

from opentelemetry import trace

from carafe_engine import _native

_provider = None


def provider():
    """The one provider of this process."""
    global _provider
    if _provider is None:
        _provider = TracerProvider(_native.provider())
    return _provider


class TracerProvider(trace.TracerProvider):
    """Gives native tracers; counts as the SDK's class of this name.

    What the app adds or sets applies to the spans of the built-in
    instrumentation too.
    """

    def __init__(self, native):
        self._native = native
        self._tracers = {}
        self._lock = threading.Lock()
        self._processor = None
        self._limits = None
        self._sampler = None
        self._id_generator = None
        self._configurator = _configured(
            "OTEL_PYTHON_TRACER_CONFIGURATOR", "_opentelemetry_tracer_configurator"
        )
        # The process that the resource is of, and the resource.
        self._resource = (None, None)

    def get_tracer(
        self,
        instrumenting_module_name,
        instrumenting_library_version=None,
        schema_url=None,
        attributes=None,
    ):
        name = instrumenting_module_name
        if not name:
            _logger().error("get_tracer called with missing module name.")
            name = ""
        # Text, whatever the app gives: the official SDK takes anything here.
        name, version = str(name), str(instrumenting_library_version or "")
        schema_url = str(schema_url or "")
        key = (name, version, schema_url, str(attributes) if attributes else None)
        tracer = self._tracers.get(key)
        if tracer is None:
            tracer = self._make_tracer(name, version, schema_url, attributes)
            tracer = self._tracers.setdefault(key, tracer)
        return tracer

    def _make_tracer(self, name, version, schema_url, attributes):
        if self._configurator is not None:
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            scope = InstrumentationScope(name, version, schema_url, attributes)
            try:
                if not self._configurator(scope).is_enabled:
                    return trace.NoOpTracer()
            except Exception:  # the application's function; its spans matter more
                _logger().exception(
                    "Failed to create a Tracer Config for %s, using the default", scope
                )
        return self._native.tracer(name, version, schema_url, attributes)

    @property
    def _active_span_processor(self):
        with self._lock:
            if self._processor is None:
                from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor

                self._processor = SynchronousMultiSpanProcessor()
        return self._processor

    def add_span_processor(self, span_processor):
        """Tells the processor of every span of this process, on the thread that starts or ends it."""
        processors = self._active_span_processor
        if not processors._span_processors:
            import atexit

            atexit.register(self.shutdown)
        processors.add_span_processor(span_processor)
        self._native.set_processor(processors)

    def shutdown(self):
        """Shuts the processors down. What goes to the ring goes on: it is not the app's to stop."""
        if self._processor is not None:
            self._native.set_processor(None)
            self._processor.shutdown()
            self._processor = None

    def force_flush(self, timeout_millis=30000):
        """Spans are in the ring as soon as they end; only processors have something to flush."""
        return True if self._processor is None else self._processor.force_flush(timeout_millis)

    @property
    def resource(self):
        pid = os.getpid()
        known, resource = self._resource
        if known != pid:
            resource = _detect_resource()
            self._resource = (pid, resource)
        return resource

    @property
    def sampler(self):
        if self._sampler is None:
            from opentelemetry.sdk.trace import sampling

            self._sampler = sampling._get_from_env_or_default()
        return self._sampler

    @sampler.setter
    def sampler(self, sampler):
        self._sampler = sampler
        self._native.set_sampler(sampler)

    @property
    def id_generator(self):
        if self._id_generator is None:
            from opentelemetry.sdk.trace import RandomIdGenerator

            self._id_generator = RandomIdGenerator()
        return self._id_generator

    @id_generator.setter
    def id_generator(self, id_generator):
        self._id_generator = id_generator
        self._native.set_id_generator(id_generator)

    @property
    def _span_limits(self):
        if self._limits is None:
            from opentelemetry.sdk.trace import SpanLimits

            self._limits = SpanLimits()
        return self._limits


def _configured(variable, group):
    """The object that an entry point of the group has by the variable's name; None without one."""
    name = os.environ.get(variable, "").strip()
    if not name:
        return None
    try:
        from opentelemetry.util._importlib_metadata import entry_points

        return next(iter(entry_points(group=group, name=name))).load()
    except Exception as error:
        _native.notice(2, name, "", "%s: %s %s" % (variable, type(error).__name__, error))
        return None


def _detect_resource():
    """The resource that the launcher gives this process, as far as it is known here."""
    from opentelemetry.sdk import resources

    own = {
        resources.TELEMETRY_AUTO_VERSION: _native.VERSION,
        "telemetry.distro.name": "carafe",
        "telemetry.distro.version": _native.VERSION,
    }
    resource = resources.Resource.create(own)
    instance_id = _native.instance_id()
    if instance_id is not None:
        resource = resource.merge(resources.Resource({resources.SERVICE_INSTANCE_ID: instance_id}))
    # What the user says goes before.
    return resource.merge(resources.OTELResourceDetector().detect())


def _logger():
    from logging import getLogger

    return getLogger("opentelemetry.sdk.trace")
