"""How many records were made, as a metric of the SDK itself."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider


class NoOpLoggerMetrics:
    """Counts nothing."""

    def emit_log(self) -> None:
        pass


class LoggerMetrics:
    """`otel.sdk.log.created`."""

    def __init__(self, meter_provider: MeterProvider) -> None:
        self._created = meter_provider.get_meter("opentelemetry-sdk").create_counter(
            "otel.sdk.log.created",
            unit="{log_record}",
            description="The number of logs submitted to enabled SDK Loggers.",
        )

    def emit_log(self) -> None:
        self._created.add(1)


def create_logger_metrics(meter_provider: MeterProvider, enabled: bool):
    """Those that count, where the application asked for them."""
    return LoggerMetrics(meter_provider) if enabled else NoOpLoggerMetrics()
