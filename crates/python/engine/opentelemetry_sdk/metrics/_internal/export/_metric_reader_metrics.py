"""The time that collections take, as a metric of the SDK itself."""

from __future__ import annotations

from collections import Counter
from os import environ

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED

_numbers: Counter = Counter()


class CollectionMetrics:
    """`otel.sdk.metric_reader.collection.duration`, where the application asked for it."""

    def __init__(self, component_type: str, provider: MeterProvider) -> None:
        wanted = environ.get(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED, "").strip().lower()
        self._duration = None
        if wanted != "true":
            return
        number = _numbers[component_type]
        _numbers[component_type] += 1
        self._attributes = {
            "otel.component.type": component_type,
            "otel.component.name": f"{component_type}/{number}",
        }
        self._duration = provider.get_meter("opentelemetry-sdk").create_histogram(
            "otel.sdk.metric_reader.collection.duration",
            unit="s",
            description="The duration of the collect operation of the metric reader.",
        )

    def record_collection(self, seconds: float) -> None:
        if self._duration is not None:
            self._duration.record(seconds, self._attributes)
