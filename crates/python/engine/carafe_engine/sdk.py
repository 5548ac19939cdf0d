"""Makes Carafe the OpenTelemetry SDK of an app that imports the API.

Nothing is done until the app imports a part of `opentelemetry`, but for what
the environment names: Python code of the user's that the engine must have
from the first span on.
"""

import os

from carafe_engine import _native, overlay

# Lowest minor version of the API 1.x that has what the overlay imports.
_LOWEST_MINOR = 30

# What the native half, or the launcher, does by itself.
_NATIVE_SAMPLERS = frozenset(
    prefix + root
    for prefix in ("", "parentbased_")
    for root in ("always_on", "always_off", "traceidratio")
)
_NATIVE_DETECTORS = frozenset(("otel", "service_instance", "process", "os", "host"))
_NATIVE_EXPORTERS = frozenset(("otlp", "otlp_proto_grpc", "otlp_proto_http", "console", "none"))
_NATIVE_METRICS_EXPORTERS = _NATIVE_EXPORTERS | {"prometheus"}
_NATIVE_PROPAGATORS = frozenset(("tracecontext", "baggage", "b3", "b3multi", "jaeger", "none"))
_NATIVE_ID_GENERATORS = frozenset(("random",))

# Whether the version of the API has been looked at, and is one to work with.
_is_known_api = None


def watch(hooks):
    """Waits for the API to be imported."""
    overlay.serve(_is_api_known)
    hooks.when_imported("opentelemetry.context", _share_context)
    hooks.when_imported("opentelemetry.trace", _provide_traces)
    hooks.when_imported("opentelemetry.sdk.trace", _adopt_native_types)
    hooks.when_imported("opentelemetry.metrics", _provide_metrics)
    hooks.when_imported("opentelemetry._logs", _provide_logs)


def load():
    """Loads the Python code of the user's that the environment names."""
    custom = _custom_parts()
    if custom:
        try:
            from carafe_engine import custom_parts
        except ImportError as error:
            _native.notice(
                2,
                "opentelemetry",
                "",
                "%s needs the OpenTelemetry API: %s" % (", ".join(custom), error),
            )
        else:
            custom_parts.load(custom)


def _custom_parts():
    """Variables that name Python code of the user's, with the names."""
    custom = {}
    for variable, known in (
        ("OTEL_TRACES_SAMPLER", _NATIVE_SAMPLERS),
        ("OTEL_PYTHON_ID_GENERATOR", _NATIVE_ID_GENERATORS),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", _NATIVE_DETECTORS),
        ("OTEL_PROPAGATORS", _NATIVE_PROPAGATORS),
        ("OTEL_TRACES_EXPORTER", _NATIVE_EXPORTERS),
        ("OTEL_METRICS_EXPORTER", _NATIVE_METRICS_EXPORTERS),
        ("OTEL_LOGS_EXPORTER", _NATIVE_EXPORTERS),
    ):
        names = [name.strip() for name in os.environ.get(variable, "").split(",")]
        unknown = [name for name in names if name and name.lower() not in known]
        if unknown:
            custom[variable] = unknown
    return custom


def _is_api_known():
    """Whether this API's version is one to work with; said once in the report if it is not."""
    global _is_known_api
    if _is_known_api is None:
        version = _api_version()
        numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
        _is_known_api = len(numbers) == 2 and numbers[0] == 1 and numbers[1] >= _LOWEST_MINOR
        if not _is_known_api:
            _native.notice(
                1,
                "opentelemetry-api",
                version,
                "Carafe's SDK is for 1.%d and later 1.x" % _LOWEST_MINOR,
            )
    return _is_known_api


def _api_version():
    try:
        from opentelemetry.version import __version__
    except ImportError:
        return "unknown"
    return __version__


def _share_context(context):
    """One current context for the API and for the built-in instrumentation."""
    if not _is_api_known():
        return
    configured = os.environ.get("OTEL_PYTHON_CONTEXT")
    if configured not in (None, "", "contextvars_context"):
        _native.notice(
            2, "opentelemetry.context", "", "OTEL_PYTHON_CONTEXT=%s is not used" % configured
        )

    class RuntimeContext(_native.RuntimeContext, context.context._RuntimeContext):
        """The native one, as an object whose attributes can be replaced."""

    context._RUNTIME_CONTEXT = RuntimeContext()


def _provide_traces(trace):
    if not _is_api_known():
        return
    trace.Span.register(_native._Span)
    trace.Tracer.register(_native.Tracer)
    configured = os.environ.get("OTEL_PYTHON_TRACER_PROVIDER")
    if configured not in (None, "", "sdk_tracer_provider"):
        _native.notice(
            1, "opentelemetry.trace", "", "OTEL_PYTHON_TRACER_PROVIDER names %s" % configured
        )
        return
    from carafe_engine import traces

    trace.set_tracer_provider(traces.provider())


def _adopt_native_types(sdk):
    """What the native half makes is an instance of the SDK's classes too."""
    from carafe_engine import traces

    sdk.ReadableSpan.register(_native._Span)
    sdk.Span.register(_native._Span)
    sdk.Tracer.register(_native.Tracer)
    sdk.TracerProvider.register(traces.TracerProvider)


def _provide_metrics(metrics):
    if not _is_api_known():
        return
    configured = os.environ.get("OTEL_PYTHON_METER_PROVIDER")
    if configured not in (None, "", "sdk_meter_provider"):
        _native.notice(
            1, "opentelemetry.metrics", "", "OTEL_PYTHON_METER_PROVIDER names %s" % configured
        )
        return
    from carafe_engine import meters

    metrics.set_meter_provider(meters.provider())


def _provide_logs(logs):
    if not _is_api_known():
        return
    configured = os.environ.get("OTEL_PYTHON_LOGGER_PROVIDER")
    if configured not in (None, "", "sdk_logger_provider"):
        _native.notice(
            1, "opentelemetry._logs", "", "OTEL_PYTHON_LOGGER_PROVIDER names %s" % configured
        )
        return
    from carafe_engine import loggers

    logs.set_logger_provider(loggers.provider())
