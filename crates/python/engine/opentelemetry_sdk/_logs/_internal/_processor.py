"""Processors: what is told of each record."""

from __future__ import annotations

import concurrent.futures
from abc import ABC, abstractmethod
from threading import Lock
from time import time_ns
from typing import Any, Optional, Tuple

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ._record import ReadWriteLogRecord


class LogRecordProcessor(ABC):
    """Gets every record of its provider, in the thread that emits it.

    It handles the errors of what it calls: what it raises goes up into the application.
    """

    @abstractmethod
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """A record; changes to it are seen by the processors that come after."""

    def enabled(
        self,
        *,
        context: Optional[Context] = None,
        instrumentation_scope: Optional[InstrumentationScope] = None,
        severity_number: Optional[SeverityNumber] = None,
        event_name: Optional[str] = None,
    ) -> bool:
        """Whether such a record would be of use."""
        return True

    @abstractmethod
    def shutdown(self) -> None:
        """The last call."""

    @abstractmethod
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Exports what is held back; whether that was done in time."""


class _MultiLogRecordProcessor(LogRecordProcessor):
    """Several processors that act as one."""

    def __init__(self) -> None:
        # Replaced as a whole, so that it may be read without the lock.
        self._log_record_processors: Tuple[LogRecordProcessor, ...] = ()
        self._lock = Lock()

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        with self._lock:
            self._log_record_processors += (log_record_processor,)

    def enabled(
        self,
        *,
        context: Optional[Context] = None,
        instrumentation_scope: Optional[InstrumentationScope] = None,
        severity_number: Optional[SeverityNumber] = None,
        event_name: Optional[str] = None,
    ) -> bool:
        return any(
            processor.enabled(
                context=context,
                instrumentation_scope=instrumentation_scope,
                severity_number=severity_number,
                event_name=event_name,
            )
            for processor in self._log_record_processors
        )


class SynchronousMultiLogRecordProcessor(_MultiLogRecordProcessor):
    """Calls its processors one after the other, in the order in which they were added."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        for processor in self._log_record_processors:
            processor.on_emit(log_record)

    def shutdown(self) -> None:
        for processor in self._log_record_processors:
            processor.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        deadline_ns = time_ns() + timeout_millis * 10**6
        are_flushed = True
        for processor in self._log_record_processors:
            left_millis = (deadline_ns - time_ns()) // 10**6
            if left_millis <= 0:
                return False
            if processor.force_flush(left_millis) is False:
                are_flushed = False
        return are_flushed


class ConcurrentMultiLogRecordProcessor(_MultiLogRecordProcessor):
    """Calls its processors at the same time, on `max_workers` threads, and waits for all."""

    def __init__(self, max_workers: int = 2) -> None:
        super().__init__()
        self._executor = concurrent.futures.ThreadPoolExecutor(max_workers=max_workers)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._call_all("on_emit", log_record)

    def shutdown(self) -> None:
        self._call_all("shutdown")

    def _call_all(self, method: str, *arguments: Any) -> None:
        calls = [
            self._executor.submit(getattr(processor, method), *arguments)
            for processor in self._log_record_processors
        ]
        for call in calls:
            call.result()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        calls = [
            self._executor.submit(processor.force_flush, timeout_millis)
            for processor in self._log_record_processors
        ]
        done, late = concurrent.futures.wait(calls, timeout_millis / 1e3)
        return not late and all(call.result() is not False for call in done)
