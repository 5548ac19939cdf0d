"""What is told of the start and the end of spans."""

import os
import threading
import weakref
from time import time_ns


class SpanProcessor:
    """Told of each span's start and end, on the thread that starts or ends it.

    So it should neither block nor raise.
    """

    def on_start(self, span, parent_context=None):
        """The span has started; it can still be written to."""

    def _on_ending(self, span):
        """The span is about to end; its end time is set."""

    def on_end(self, span):
        """The span has ended; what comes here is readable only."""

    def shutdown(self):
        """The provider shuts down."""

    def force_flush(self, timeout_millis=30000):
        """Hands on what is kept back. False if the time did not suffice."""
        return True


class _MultiSpanProcessor(SpanProcessor):
    """Tells several processors, in the order in which they were added."""

    def __init__(self):
        # A tuple, replaced as a whole, so that spans can start while one is added.
        self._span_processors = ()
        self._lock = threading.Lock()

    def add_span_processor(self, span_processor):
        with self._lock:
            self._span_processors += (span_processor,)


class SynchronousMultiSpanProcessor(_MultiSpanProcessor):
    """Tells the processors one after the other."""

    def on_start(self, span, parent_context=None):
        for processor in self._span_processors:
            processor.on_start(span, parent_context=parent_context)

    def _on_ending(self, span):
        for processor in self._span_processors:
            processor._on_ending(span)

    def on_end(self, span):
        for processor in self._span_processors:
            processor.on_end(span)

    def shutdown(self):
        for processor in self._span_processors:
            processor.shutdown()

    def force_flush(self, timeout_millis=30000):
        """All flush within one time; those whose turn does not come in it are left out, and the answer is False."""
        deadline = time_ns() + timeout_millis * 1000000
        flushed = True
        for processor in self._span_processors:
            left = deadline - time_ns()
            if left <= 0:
                return False
            if processor.force_flush(left // 1000000) is False:
                flushed = False
        return flushed


class ConcurrentMultiSpanProcessor(_MultiSpanProcessor):
    """Tells the processors on `num_threads` threads, and waits until all have been told."""

    def __init__(self, num_threads=2):
        super().__init__()
        self._init_executor(num_threads)
        if hasattr(os, "register_at_fork"):
            # Threads do not live on in a forked child.
            renew = weakref.WeakMethod(self._init_executor)

            def after_fork():
                alive = renew()
                if alive is not None:
                    alive(num_threads)

            os.register_at_fork(after_in_child=after_fork)

    def _init_executor(self, num_threads):
        from concurrent.futures import ThreadPoolExecutor

        self._executor = ThreadPoolExecutor(max_workers=num_threads)

    def _tell(self, method, *args, **kwargs):
        calls = []
        for processor in self._span_processors:
            told = getattr(processor, method)
            try:
                calls.append(self._executor.submit(told, *args, **kwargs))
            except RuntimeError:  # no threads any more: the interpreter is exiting
                told(*args, **kwargs)
        for call in calls:
            call.result()

    def on_start(self, span, parent_context=None):
        self._tell("on_start", span, parent_context=parent_context)

    def _on_ending(self, span):
        self._tell("_on_ending", span)

    def on_end(self, span):
        self._tell("on_end", span)

    def shutdown(self):
        self._tell("shutdown")

    def force_flush(self, timeout_millis=30000):
        from concurrent.futures import wait

        calls = [
            self._executor.submit(each.force_flush, timeout_millis)
            for each in self._span_processors
        ]
        done, late = wait(calls, timeout_millis / 1e3)
        return not late and all(call.result() is not False for call in done)
