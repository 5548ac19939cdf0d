"""The metrics of the garbage collector, as the official system-metrics package names them.

The collector itself says when to look: no thread, and nothing while the app is idle.
"""

import atexit
import gc
from time import monotonic

from carafe_engine import _native

SCOPE = "opentelemetry.instrumentation.system_metrics"

# The place in the wire's list of instrument kinds.
OBSERVABLE_COUNTER = 4

# The least time between two reports, in seconds.
REPORT_INTERVAL = 5.0

# Name, unit, description, and the key of gc.get_stats().
METRICS = (
    (
        "cpython.gc.collections",
        "{collection}",
        "The number of times a generation was collected since interpreter start.",
        "collections",
    ),
    (
        "cpython.gc.collected_objects",
        "{object}",
        "The total number of objects collected since interpreter start.",
        "collected",
    ),
    (
        "cpython.gc.uncollectable_objects",
        "{object}",
        "The total number of uncollectable objects found since interpreter start.",
        "uncollectable",
    ),
)

# The context of what belongs to no span: the one at hand is of whoever made the garbage.
_NOWHERE = {}

_reporter = None


class _Reporter:
    def __init__(self):
        meter = _native.meter(SCOPE, _native.VERSION)
        self._instruments = [
            (meter.instrument(OBSERVABLE_COUNTER, name, unit, description), key)
            for name, unit, description, key in METRICS
        ]
        self._attributes = [
            {"cpython.gc.generation": generation, "generation": str(generation)}
            for generation in range(len(gc.get_stats()))
        ]
        self._due = 0.0

    def __call__(self, phase, _info):
        if phase == "stop" and monotonic() >= self._due:
            self.report()

    def report(self):
        self._due = monotonic() + REPORT_INTERVAL
        for attributes, stats in zip(self._attributes, gc.get_stats()):
            for instrument, key in self._instruments:
                instrument.observe(stats[key], attributes, _NOWHERE)


def instrument(_module):
    global _reporter
    if not _native.signals()[1]:
        return
    _reporter = _Reporter()
    gc.callbacks.append(_reporter)
    atexit.register(_reporter.report)


def uninstrument():
    global _reporter
    if _reporter is not None:
        gc.callbacks.remove(_reporter)
        atexit.unregister(_reporter.report)
        _reporter = None
