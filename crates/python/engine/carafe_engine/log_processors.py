"""Log record processors that the app adds to the global provider.

Imported with the first of them. The native half gives each record here; it is
written to the ring when the processors have seen it.
"""

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import (
    LogRecordLimits,
    ReadWriteLogRecord,
    SynchronousMultiLogRecordProcessor,
)
from opentelemetry.sdk._logs._internal._exceptions import told
from opentelemetry.trace import TraceFlags

# Versions of the API differ in what a record takes.
_KNOWN_ARGUMENTS = frozenset(LogRecord.__init__.__code__.co_varnames)


class Processors:
    """What the native half tells of records."""

    def __init__(self, provider):
        self.multi = SynchronousMultiLogRecordProcessor()
        self._provider = provider
        self._limits = LogRecordLimits()
        self.renew_resource()

    def renew_resource(self):
        self._resource = self._provider.resource

    def emit(self, logger, record, arguments):
        """A record, or the arguments that describe it, of one of the app's loggers."""
        if record is None:
            record = _record(arguments)
        if isinstance(record, ReadWriteLogRecord):
            writable = record
        else:
            writable = ReadWriteLogRecord(
                told(record), self._resource, logger.instrumentation_scope, self._limits
            )
        self.multi.on_emit(writable)
        logger.write(writable.log_record)

    def emit_named(self, name, arguments, ids):
        """A record of `logging`; `ids` are trace id, span id and trace flags, zeros where there is no span."""
        severity = arguments["severity_number"]
        arguments["severity_number"] = SeverityNumber(severity)
        record = _record(arguments)
        record.trace_id, record.span_id, flags = ids
        record.trace_flags = TraceFlags(flags)
        self.emit(self._provider.get_logger(name), record, None)


def _record(arguments):
    return LogRecord(
        **{name: value for name, value in arguments.items() if name in _KNOWN_ARGUMENTS}
    )
