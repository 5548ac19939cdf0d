"""The standard library's logging: records become OTLP log records, and can carry the ids of the
current span. No handler is added to any logger.

Also called for werkzeug's server, whose access log belongs to requests that have ended.
"""

import os

from carafe_engine import _native
from carafe_engine.instrument import patches

FORMAT = (
    "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d]"
    " [trace_id=%(otelTraceID)s span_id=%(otelSpanID)s"
    " resource.service.name=%(otelServiceName)s trace_sampled=%(otelTraceSampled)s] - %(message)s"
)

_patches = patches.Patches()
_factory = None


def _is_true(name, default):
    return os.environ.get(name, default).strip().lower() == "true"


def instrument(module):
    if module.__name__ == "werkzeug.serving":
        owner = module.WSGIRequestHandler
        _patches.native(owner, "run_wsgi", _native.logging_run_wsgi(owner))
        return
    if _is_true("OTEL_PYTHON_LOG_CORRELATION", "false"):
        _correlate(module)
    # What the SDK's own handler does where it is asked for: the same, with the place in the code.
    by_sdk = _is_true("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "false")
    if not by_sdk and not _is_true("OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION", "true"):
        return
    has_code = by_sdk or _is_true("OTEL_PYTHON_LOG_CODE_ATTRIBUTES", "false")
    owner = module.Logger
    handlers = _native.logging_handlers(owner, _level(module), has_code)
    _patches.native(owner, "callHandlers", handlers)


def _level(module):
    """The level below which nothing is exported."""
    name = os.environ.get("OTEL_PYTHON_LOG_HANDLER_LEVEL")
    if name is None:
        return module.NOTSET
    level = module.getLevelName(name.strip().upper())
    if isinstance(level, int):
        return level
    reason = "OTEL_PYTHON_LOG_HANDLER_LEVEL=%s is no level; all records are exported" % name
    _native.notice(2, "logging", "", reason)
    return module.NOTSET


def _correlate(module):
    global _factory
    levels = {
        "debug": module.DEBUG,
        "info": module.INFO,
        "warning": module.WARNING,
        "error": module.ERROR,
    }
    level = levels.get(os.environ.get("OTEL_PYTHON_LOG_LEVEL"), module.INFO)
    module.basicConfig(format=os.environ.get("OTEL_PYTHON_LOG_FORMAT") or FORMAT, level=level)
    _factory = _native.RecordFactory(module.getLogRecordFactory(), _service_name())
    module.setLogRecordFactory(_factory)


def _service_name():
    name = os.environ.get("OTEL_SERVICE_NAME")
    if name:
        return name
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.name" and value.strip():
            from urllib.parse import unquote

            return unquote(value.strip())
    return "unknown_service"


def uninstrument():
    global _factory
    _patches.undo()
    if _factory is not None:
        import logging

        if logging.getLogRecordFactory() is _factory:
            logging.setLogRecordFactory(_factory.original)
        _factory = None
