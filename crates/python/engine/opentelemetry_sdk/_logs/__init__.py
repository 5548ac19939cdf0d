"""Logs for processors that live in the process, on the OpenTelemetry API."""

from opentelemetry.sdk._logs._internal import (
    ConcurrentMultiLogRecordProcessor,
    LogDroppedAttributesWarning,
    Logger,
    LoggerProvider,
    LoggingHandler,
    LogLimits,
    LogRecordDroppedAttributesWarning,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
    SynchronousMultiLogRecordProcessor,
)

__all__ = [
    "ConcurrentMultiLogRecordProcessor",
    "LogDroppedAttributesWarning",
    "LogLimits",
    "LogRecordDroppedAttributesWarning",
    "LogRecordLimits",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "LoggingHandler",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SynchronousMultiLogRecordProcessor",
]
