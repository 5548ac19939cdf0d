"""Records of the standard `logging` as records of OpenTelemetry."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any, Dict, Optional

from opentelemetry._logs import (
    LoggerProvider,
    LogRecord,
    NoOpLogger,
    SeverityNumber,
    get_logger,
    get_logger_provider,
)
from opentelemetry.sdk._logs import _internal

# What `logging` itself puts on its records: all else was given by the application.
_RESERVED_ATTRS = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "message",
    "taskName",
}

# Names of `logging` whose short name in OpenTelemetry is another.
_SEVERITY_TEXT = {"WARNING": "WARN", "CRITICAL": "FATAL"}

# Types that a body may have as it is.
_BODY_TYPES = (type(None), bool, bytes, int, float, str, Sequence, Mapping)

_LEVELS_PER_RANGE = 10
_SEVERITIES_PER_RANGE = 4


def std_to_otel(levelno: int) -> SeverityNumber:
    """The severity of a level of `logging`: DEBUG, INFO, WARN, ERROR and FATAL begin at 10, 20,
    30, 40 and 50, and the three levels above each are told apart."""
    if levelno < logging.DEBUG:
        return SeverityNumber.UNSPECIFIED
    level_range, above = divmod(min(levelno, 53), _LEVELS_PER_RANGE)
    first = SeverityNumber.DEBUG.value + (level_range - 1) * _SEVERITIES_PER_RANGE
    return SeverityNumber(first + min(above, _SEVERITIES_PER_RANGE - 1))


class LoggingHandler(logging.Handler):
    """Emits what is logged. The handler of opentelemetry-instrumentation-logging replaces it."""

    def __init__(
        self, level: int = logging.NOTSET, logger_provider: Optional[LoggerProvider] = None
    ) -> None:
        super().__init__(level=level)
        self._logger_provider = logger_provider or get_logger_provider()
        warnings.warn(
            "`LoggingHandler` in `opentelemetry-sdk` is deprecated: "
            "opentelemetry-instrumentation-logging has the one to use",
            DeprecationWarning,
            stacklevel=2,
        )

    def emit(self, record: logging.LogRecord) -> None:
        logger = get_logger(record.name, logger_provider=self._logger_provider)
        if not isinstance(logger, NoOpLogger):
            logger.emit(self._translate(record))

    def flush(self) -> None:
        """Starts a flush, and does not wait: `logging` holds its locks here."""
        force_flush = getattr(self._logger_provider, "force_flush", None)
        if callable(force_flush):
            _internal.threading.Thread(target=force_flush).start()

    @staticmethod
    def _get_attributes(record: logging.LogRecord) -> Dict[str, Any]:
        attributes = {
            key: value for key, value in vars(record).items() if key not in _RESERVED_ATTRS
        }
        attributes["code.file.path"] = record.pathname
        attributes["code.function.name"] = record.funcName
        attributes["code.line.number"] = record.lineno
        if record.exc_info:
            kind, error, trace = record.exc_info
            if kind is not None:
                attributes["exception.type"] = kind.__name__
            if error is not None and error.args:
                attributes["exception.message"] = str(error.args[0])
            if trace is not None:
                attributes["exception.stacktrace"] = "".join(
                    traceback.format_exception(kind, error, trace)
                )
        return attributes

    def _body(self, record: logging.LogRecord) -> Any:
        if self.formatter:
            return self.format(record)
        if record.args or isinstance(record.msg, str):
            return record.getMessage()
        # A body may be more than text: then `logging` must not make text of it.
        return record.msg if isinstance(record.msg, _BODY_TYPES) else str(record.msg)

    def _translate(self, record: logging.LogRecord) -> LogRecord:
        return LogRecord(
            timestamp=int(record.created * 1e9),
            observed_timestamp=time_ns(),
            context=_internal.get_current() or None,
            severity_text=_SEVERITY_TEXT.get(record.levelname, record.levelname),
            severity_number=std_to_otel(record.levelno),
            body=self._body(record),
            attributes=self._get_attributes(record),
        )
