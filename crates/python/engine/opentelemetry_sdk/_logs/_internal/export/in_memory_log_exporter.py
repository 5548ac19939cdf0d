"""An exporter for tests."""

from __future__ import annotations

from threading import Lock
from typing import List, Sequence, Tuple

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs._internal.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.util import deprecated


class InMemoryLogRecordExporter(LogRecordExporter):
    """Keeps all records for `get_finished_logs`."""

    def __init__(self) -> None:
        self._logs: List[ReadableLogRecord] = []
        self._lock = Lock()
        self._stopped = False

    def get_finished_logs(self) -> Tuple[ReadableLogRecord, ...]:
        with self._lock:
            return tuple(self._logs)

    def clear(self) -> None:
        with self._lock:
            self._logs.clear()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        if self._stopped:
            return LogRecordExportResult.FAILURE
        with self._lock:
            self._logs.extend(batch)
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        self._stopped = True

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@deprecated("Use InMemoryLogRecordExporter.")
class InMemoryLogExporter(InMemoryLogRecordExporter):
    """The former name."""
