"""The global logger provider, as the app sees it.

Loggers are native and write to the ring. Processors that the app adds get each
record first, those of the built-in instrumentation of `logging` included, and
may change it.
"""

import os
import threading

from opentelemetry import _logs
from opentelemetry._logs import NoOpLogger

from carafe_engine import _native, hooks

# Loggers that are kept for those who ask again: their names may come from outside.
_KEPT_LOGGERS = 1_000

_provider = None


def provider():
    """The one provider of this process."""
    global _provider
    if _provider is None:
        _provider = LoggerProvider()
        hooks.when_imported("opentelemetry.sdk._logs", _adopt)
        os.register_at_fork(after_in_child=_provider._go_on_in_child)
    return _provider


def _adopt(sdk):
    """What is made here is an instance of the SDK's classes too."""
    sdk.LoggerProvider.register(LoggerProvider)
    sdk.Logger.register(Logger)


class Logger(_native.Logger, _logs.Logger):
    """Emits natively."""

    def __init__(self, name, version=None, schema_url=None, attributes=None):
        self._name = name
        self._version = version
        self._schema_url = schema_url
        self._attributes = attributes

    def enabled(self, *, context=None, severity_number=None, event_name=None):
        """Whether such a record goes anywhere."""
        if _native.signals()[2]:
            return True
        processors = _provider._processors if _provider is not None else None
        return processors is not None and processors.multi.enabled(
            context=context,
            instrumentation_scope=self.instrumentation_scope,
            severity_number=severity_number,
            event_name=event_name,
        )


class LoggerProvider(_logs.LoggerProvider):
    """Gives native loggers; counts as the SDK's class of this name."""

    def __init__(self):
        self._loggers = {}
        self._lock = threading.Lock()
        self._processors = None
        self._configurator = None
        if os.environ.get("OTEL_PYTHON_LOGGER_CONFIGURATOR"):
            # Before `traces`, whose provider is given to the API when that has been imported.
            import opentelemetry.trace  # noqa: F401

            from carafe_engine.traces import _configured

            self._configurator = _configured(
                "OTEL_PYTHON_LOGGER_CONFIGURATOR", "_opentelemetry_logger_configurator"
            )

    def _go_on_in_child(self):
        # Another thread of the parent may have held it.
        self._lock = threading.Lock()
        if self._processors is not None:
            self._processors.renew_resource()

    def get_logger(self, name, version=None, schema_url=None, attributes=None):
        key = (name, version, schema_url, str(attributes) if attributes else None)
        logger = self._loggers.get(key)
        if logger is None:
            logger = self._make_logger(name, version, schema_url, attributes)
            if len(self._loggers) < _KEPT_LOGGERS:
                logger = self._loggers.setdefault(key, logger)
        return logger

    def _make_logger(self, name, version, schema_url, attributes):
        if self._configurator is not None:
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            scope = InstrumentationScope(name, version, schema_url, attributes)
            try:
                if not self._configurator(scope).is_enabled:
                    return NoOpLogger(
                        name, version=version, schema_url=schema_url, attributes=attributes
                    )
            except Exception:  # the application's function; its records matter more
                _logger().exception("the logger configurator failed for %s; it is enabled", name)
        return Logger(name or "", version, schema_url, attributes)

    def add_log_record_processor(self, log_record_processor):
        """Tells the processor of every record of this process, on the thread that emits it."""
        with self._lock:
            if self._processors is None:
                import atexit

                from carafe_engine.log_processors import Processors

                self._processors = Processors(self)
                atexit.register(self.shutdown)
            self._processors.multi.add_log_record_processor(log_record_processor)
            _native.set_log_processors(self._processors)

    def shutdown(self):
        """Shuts the processors down. What goes to the ring goes on: it is not the app's to stop."""
        with self._lock:
            processors, self._processors = self._processors, None
            _native.set_log_processors(None)
        if processors is not None:
            processors.multi.shutdown()

    def force_flush(self, timeout_millis=30000):
        """Records are in the ring as soon as they are emitted; only processors have something to flush."""
        processors = self._processors
        return True if processors is None else processors.multi.force_flush(timeout_millis)

    @property
    def resource(self):
        import opentelemetry.trace  # noqa: F401

        from carafe_engine.traces import _detect_resource

        return _detect_resource()


def _logger():
    from logging import getLogger

    return getLogger("opentelemetry.sdk._logs")
