"""What a processor tells about itself, with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED.

Names and attributes are of the semantic conventions for SDK telemetry
(`otel.sdk.processor.*`).
"""

from collections import Counter

# Numbers the processors of a type, for `otel.component.name`.
_component_counter = Counter()

# By signal: what its items are called in the names of metrics, in text, and as a unit.
_ITEMS = {"traces": ("span", "spans", "{span}"), "logs": ("log", "log records", "{log_record}")}


class NoOpProcessorMetrics:
    """Tells nothing."""

    def register_queue_size(self, get_queue_size):
        pass

    def drop_items(self, count, error_type="queue_full"):
        pass

    def finish_items(self, count):
        pass


class ProcessorMetrics:
    """Counts what a processor handed on and dropped; with a capacity, the length of its queue too."""

    def __init__(self, signal, component_type, meter_provider, *, capacity=None):
        kind = getattr(component_type, "value", component_type)
        number = _component_counter[kind]
        _component_counter[kind] += 1
        self._attributes = {
            "otel.component.type": kind,
            "otel.component.name": "{}/{}".format(kind, number),
        }
        self._item, self._items, unit = _ITEMS[signal]
        self._meter = meter_provider.get_meter("opentelemetry-sdk")
        self._processed = self._meter.create_counter(
            "otel.sdk.processor.{}.processed".format(self._item),
            unit=unit,
            description="Number of {} whose processing has finished, exported or failed.".format(
                self._items
            ),
        )
        if capacity is not None:
            self._meter.create_up_down_counter(
                "otel.sdk.processor.{}.queue.capacity".format(self._item),
                unit=unit,
                description="Number of {} that the queue of this processor can hold.".format(
                    self._items
                ),
            ).add(capacity, self._attributes)

    def register_queue_size(self, get_queue_size):
        from opentelemetry.metrics import Observation

        self._meter.create_observable_up_down_counter(
            "otel.sdk.processor.{}.queue.size".format(self._item),
            callbacks=[lambda _options: [Observation(get_queue_size(), self._attributes)]],
            unit="{" + self._item + "}",
            description="Number of {} in the queue of this processor.".format(self._items),
        )

    def drop_items(self, count, error_type="queue_full"):
        self._processed.add(count, {**self._attributes, "error.type": error_type})

    def finish_items(self, count):
        self._processed.add(count, self._attributes)


def create_processor_metrics(signal, component_type, meter_provider, *, capacity=None, enabled):
    """`signal` is "traces" or "logs"; `capacity` that of a queue, None without one."""
    if not enabled:
        return NoOpProcessorMetrics()
    return ProcessorMetrics(signal, component_type, meter_provider, capacity=capacity)
