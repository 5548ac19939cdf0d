"""What a tracer tells about its spans, with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED.

Names and attributes are of the semantic conventions for SDK telemetry
(`otel.sdk.span.*`).
"""


def noop():
    """What to call at the end of a span that nobody counts."""


class NoOpTracerMetrics:
    """Tells nothing."""

    def start_span(self, parent_span_context, sampling_decision):
        return noop


class TracerMetrics:
    """Counts the spans started, and those that have not ended yet."""

    def __init__(self, meter_provider):
        meter = meter_provider.get_meter("opentelemetry-sdk")
        self._started_spans = meter.create_counter(
            "otel.sdk.span.started",
            unit="{span}",
            description="Number of spans started, sampled or not.",
        )
        self._live_spans = meter.create_up_down_counter(
            "otel.sdk.span.live",
            unit="{span}",
            description="Number of recording spans that have not ended yet.",
        )

    def start_span(self, parent_span_context, sampling_decision):
        """Counts a start; what it returns is to be called at the span's end."""
        origin = "none"
        if parent_span_context is not None:
            origin = "remote" if parent_span_context.is_remote else "local"
        result = {"otel.span.sampling_result": sampling_decision.name}
        self._started_spans.add(1, {"otel.span.parent.origin": origin, **result})
        if not sampling_decision.is_recording():
            return noop
        self._live_spans.add(1, result)
        return lambda: self._live_spans.add(-1, result)


def create_tracer_metrics(meter_provider, enabled):
    return TracerMetrics(meter_provider) if enabled else NoOpTracerMetrics()
