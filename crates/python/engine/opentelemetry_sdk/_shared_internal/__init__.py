"""The queue and the thread behind a batching processor, for spans and for log records."""

import enum
import logging
import os
import threading
import time
import weakref
from collections import deque
from inspect import signature

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

# Within this many seconds a message about a failing export is logged once: the
# export of that very message may be what fails.
_SAME_MESSAGE_WINDOW_S = 20


class DuplicateFilter(logging.Filter):
    """Lets a message through once per window."""

    def filter(self, record):
        seen = (record.module, record.levelno, record.msg, time.time() // _SAME_MESSAGE_WINDOW_S)
        if seen == getattr(self, "last_log", None):
            return False
        self.last_log = seen
        return True


_logger = logging.getLogger(__name__)
_logger.addFilter(DuplicateFilter())


class BatchExportStrategy(enum.Enum):
    """How much of the queue one round of exports takes."""

    EXPORT_ALL = 0
    EXPORT_WHILE_BATCH_EXCEEDS_THRESHOLD = 1
    EXPORT_AT_LEAST_ONE_BATCH = 2


class BatchProcessor:
    """Queues what is emitted and exports it in batches, on a thread of its own.

    The queue holds `max_queue_size` items and drops the oldest to take a new
    one. An exporter that raises loses its batch; the thread goes on.
    """

    def __init__(
        self,
        exporter,
        schedule_delay_millis,
        max_export_batch_size,
        export_timeout_millis,
        max_queue_size,
        exporting,
        metrics,
    ):
        self._exporter = exporter
        self._exporting = exporting
        self._schedule_delay_millis = schedule_delay_millis
        self._schedule_delay = schedule_delay_millis / 1e3
        self._max_export_batch_size = max_export_batch_size
        self._export_timeout_millis = export_timeout_millis
        self._max_queue_size = max_queue_size
        self._metrics = metrics
        self._shutdown = False
        self._shutdown_timeout_exceeded = False
        # New items enter on the left, batches leave on the right.
        self._queue = deque([], max_queue_size)
        self._start_worker()
        if hasattr(os, "register_at_fork"):
            after_fork = weakref.WeakMethod(self._at_fork_reinit)
            os.register_at_fork(after_in_child=lambda: (after_fork() or _nothing)())
        metrics.register_queue_size(_length_of(weakref.ref(self)))

    def _start_worker(self):
        self._pid = os.getpid()
        self._export_lock = threading.Lock()
        self._worker_awaken = threading.Event()
        self._worker_thread = threading.Thread(
            name="OtelBatch{}RecordProcessor".format(self._exporting),
            target=self.worker,
            daemon=True,
        )
        self._worker_thread.start()

    def _at_fork_reinit(self):
        # What the parent queued is the parent's to export.
        self._queue.clear()
        if not self._shutdown:
            self._start_worker()

    def worker(self):
        while not self._shutdown:
            awakened = self._worker_awaken.wait(self._schedule_delay)
            if self._shutdown:
                break
            self._export(
                BatchExportStrategy.EXPORT_WHILE_BATCH_EXCEEDS_THRESHOLD
                if awakened
                else BatchExportStrategy.EXPORT_AT_LEAST_ONE_BATCH
            )
            self._worker_awaken.clear()
        self._export(BatchExportStrategy.EXPORT_ALL)

    def _should_export_batch(self, batch_strategy, num_iterations):
        if not self._queue or self._shutdown_timeout_exceeded:
            return False
        if (
            len(self._queue) >= self._max_export_batch_size
            or batch_strategy is BatchExportStrategy.EXPORT_ALL
        ):
            return True
        return (
            batch_strategy is BatchExportStrategy.EXPORT_AT_LEAST_ONE_BATCH and num_iterations == 0
        )

    def _export(self, batch_strategy):
        with self._export_lock:
            exported = 0
            while self._should_export_batch(batch_strategy, exported):
                exported += 1
                self._export_one_batch()

    def _export_one_batch(self):
        size = min(self._max_export_batch_size, len(self._queue))
        batch = [self._queue.pop() for _ in range(size)]
        self._metrics.finish_items(size)
        # What the exporter calls, an HTTP client say, is not to be traced in turn.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            self._exporter.export(batch)
        except Exception:
            _logger.exception("Exception while exporting %s.", self._exporting)
        finally:
            detach(token)

    def emit(self, data):
        if self._shutdown:
            _logger.info("Shutdown called, ignoring %s.", self._exporting)
            self._metrics.drop_items(1, "already_shutdown")
            return
        if self._pid != os.getpid():  # forked without the hooks of os.fork
            self._at_fork_reinit()
        if len(self._queue) == self._max_queue_size:
            _logger.warning("Queue full, dropping %s.", self._exporting)
            self._metrics.drop_items(1)
        self._queue.appendleft(data)
        if len(self._queue) >= self._max_export_batch_size and not self._worker_awaken.is_set():
            self._worker_awaken.set()

    def shutdown(self, timeout_millis=30000):
        """Exports what is queued, within the time, then shuts the exporter down."""
        if self._shutdown:
            return
        deadline = time.monotonic() + timeout_millis / 1e3
        self._shutdown = True
        self._worker_awaken.set()
        self._worker_thread.join(timeout_millis / 1e3)
        # A worker that is still at it stops after the export it is in.
        self._shutdown_timeout_exceeded = True
        if _takes_timeout(self._exporter.shutdown):
            self._exporter.shutdown(timeout_millis=max(0, (deadline - time.monotonic()) * 1e3))
        else:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis=None):
        """Exports all that is queued, on this thread. False once shut down."""
        if self._shutdown:
            return False
        self._export(BatchExportStrategy.EXPORT_ALL)
        return True


def _nothing():
    pass


def _length_of(processor):
    """The queue's length for a metric that must not keep the processor alive."""

    def length():
        alive = processor()
        return len(alive._queue) if alive is not None else 0

    return length


def _takes_timeout(shutdown):
    try:
        return "timeout_millis" in signature(shutdown).parameters
    except (TypeError, ValueError):  # a callable that does not say
        return False
