"""The parts of the logs SDK."""

# The handler looks these up here: tests of applications replace them here.
import threading

from opentelemetry.context import get_current

from ._handler import LoggingHandler, std_to_otel
from ._logger_metrics import create_logger_metrics
from ._processor import (
    ConcurrentMultiLogRecordProcessor,
    LogRecordProcessor,
    SynchronousMultiLogRecordProcessor,
)
from ._provider import (
    Logger,
    LoggerProvider,
    NoOpLogger,
    _default_logger_configurator,
    _disable_logger_configurator,
    _LoggerConfig,
    _LoggerConfiguratorT,
    _RuleBasedLoggerConfigurator,
)
from ._record import (
    _DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT,
    BytesEncoder,
    LogDroppedAttributesWarning,
    LogLimits,
    LogRecordDroppedAttributesWarning,
    LogRecordLimits,
    ReadableLogRecord,
    ReadWriteLogRecord,
)

__all__ = [
    "BytesEncoder",
    "ConcurrentMultiLogRecordProcessor",
    "LogDroppedAttributesWarning",
    "LogLimits",
    "LogRecordDroppedAttributesWarning",
    "LogRecordLimits",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "LoggingHandler",
    "NoOpLogger",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SynchronousMultiLogRecordProcessor",
    "_DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT",
    "_LoggerConfig",
    "_LoggerConfiguratorT",
    "_RuleBasedLoggerConfigurator",
    "_default_logger_configurator",
    "_disable_logger_configurator",
    "create_logger_metrics",
    "get_current",
    "std_to_otel",
    "threading",
]
