"""An exporter that keeps the spans, for tests."""

from collections import deque
from threading import Lock

from . import SpanExporter, SpanExportResult


class InMemorySpanExporter(SpanExporter):
    """Keeps the newest `max_spans` spans (None: all of them)."""

    def __init__(self, max_spans=None):
        self._finished_spans = deque(maxlen=max_spans)
        self._stopped = False
        self._lock = Lock()

    def export(self, spans):
        if self._stopped:
            return SpanExportResult.FAILURE
        with self._lock:
            self._finished_spans.extend(spans)
        return SpanExportResult.SUCCESS

    def get_finished_spans(self):
        with self._lock:
            return tuple(self._finished_spans)

    def clear(self):
        with self._lock:
            self._finished_spans.clear()

    def shutdown(self):
        """Refuses what comes from now on; what it has can still be read."""
        self._stopped = True

    def force_flush(self, timeout_millis=30000):
        return True
