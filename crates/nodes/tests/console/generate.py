"""Writes the golden files of the console exporter's tests.

For each signal: the official Python SDK's console output (`*.txt`) and the same data as the
official OTLP encoder writes it (`*.binpb`). Run it in an environment that has
opentelemetry-sdk and opentelemetry-exporter-otlp-proto-common, version 1.45.1:

    python generate.py <output directory>
"""

import io
import json
import pathlib
import random
import struct
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    ConsoleLogRecordExporter,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.version import __version__
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

RESOURCE = Resource(
    {
        "service.name": "todo",
        "service.instance.id": "7c0f",
        "process.pid": 4711,
        "process.command_args": ("python", "app.py"),
        "ratio": 0.25,
        "debug": True,
    },
    schema_url="https://opentelemetry.io/schemas/1.37.0",
)

AWKWARD_TEXT = (
    'quote " backslash \\ slash / tab \t bell \a del \x7f é 漢 \U0001f375 \u2028 \x1b[31m\r\n'
)


# With integers among them, as the official HTTP instrumentation lists them.
HTTP_DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


def main(directory):
    assert __version__ == "1.45.1", __version__
    random.seed(20260823)
    traces(directory)
    metrics(directory)
    logs(directory)
    floats(directory)
    times(directory)


def write(directory, name, text, encoded):
    (directory / f"{name}.txt").write_text(text)
    (directory / f"{name}.binpb").write_bytes(encoded.SerializeToString(deterministic=True))


def traces(directory):
    out, memory = io.StringIO(), InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("talk", "1.2.3")
    start = 1_795_388_448_292_002_000

    tracer.start_span("plain", start_time=start).end(end_time=start + 1)
    state = TraceState([("vendor", "a;b:c"), ("other@sys", "it's")])
    parent = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1), state
    )
    context = set_span_in_context(NonRecordingSpan(parent))
    for kind in SpanKind:
        span = tracer.start_span(
            f"GET /{kind.name.lower()}", context=context, kind=kind, start_time=start + 999_500
        )
        span.set_status(Status(StatusCode.OK))
        span.end(end_time=start + 12_019_499)

    span = tracer.start_span(
        AWKWARD_TEXT,
        start_time=start,
        attributes={
            "http.method": "GET",
            "http.status_code": 500,
            "net.host.port": -1,
            "big": 2**63 - 1,
            "pi": 3.141592653589793,
            "whole": 2.0,
            "tiny": 5e-324,
            "yes": True,
            "no": False,
            "empty": "",
            "strings": ("a", AWKWARD_TEXT),
            "ints": (1, 2, 3),
            "floats": (1.0, 1e16, 1e-5),
            "none": (),
            "clé": "naïve",
        },
        links=[
            Link(SpanContext(7, 8, True, TraceFlags(0), TraceState()), {"why": "retry"}),
            # Without a trace state: the official encoder leaves that of links out.
            Link(SpanContext(parent.trace_id, parent.span_id, True, TraceFlags(1))),
        ],
    )
    span.add_event("exception", {"exception.type": "ValueError", "n": 1}, timestamp=start + 4_567)
    span.add_event("empty", timestamp=start + 5_500)
    span.set_status(Status(StatusCode.ERROR, 'no "such" task'))
    span.end(end_time=start + 3_000_000_123)
    write(directory, "traces", out.getvalue(), encode_spans(memory.get_finished_spans()))


def metrics(directory):
    reader = InMemoryMetricReader()
    views = [
        View(
            instrument_name="exponential",
            aggregation=ExponentialBucketHistogramAggregation(max_size=8),
        )
    ]
    provider = MeterProvider([reader], resource=RESOURCE, views=views)
    tracer = TracerProvider().get_tracer("exemplars")
    meter = provider.get_meter(
        "opentelemetry.instrumentation.flask", "0.66b1", "https://opentelemetry.io/schemas/1.11.0"
    )
    meter.create_counter("hits", "1", "Hits so far").add(3, {"http.method": "GET", "code": 200})
    meter.create_up_down_counter("active", "requests").add(-2)
    meter.create_gauge("temperature", "Cel", AWKWARD_TEXT).set(21.5, {"room": "küche"})
    with tracer.start_as_current_span("measured"):
        duration = meter.create_histogram("http.server.duration", "ms", "whole numbers")
        for value in (12, 7, 4_000):
            duration.record(value, {"http.target": "/"})
        seconds = meter.create_histogram(
            "http.server.request.duration",
            "s",
            explicit_bucket_boundaries_advisory=HTTP_DURATION_BOUNDS,
        )
        for value in (0.0123, 0.5, 7.25):
            seconds.record(value)
        whole = meter.create_histogram(
            "whole.seconds", "s", explicit_bucket_boundaries_advisory=[0.5, 1.0, 2.0]
        )
        whole.record(2.0)
    meter.create_histogram("exponential", "By").record(1.5)
    bare = provider.get_meter("bare")
    bare.create_counter("floats").add(0.1 + 0.2)
    bare.create_histogram("no.exemplars", "By").record(77, {"k": [1, 2]})

    data = reader.get_metrics_data()
    out = io.StringIO()
    ConsoleMetricExporter(out=out).export(data)
    write(directory, "metrics", out.getvalue(), encode_metrics(data))


def logs(directory):
    out, memory = io.StringIO(), InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=out)))
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("werkzeug", "3.1")
    start = 1_795_388_442_241_417_000
    logger.emit(
        LogRecord(
            timestamp=start,
            observed_timestamp=start + 76_000,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body="\x1b[31m\x1b[1mWARNING\x1b[0m\n * Running on http://127.0.0.1:5055",
        )
    )
    parent = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1)
    )
    logger.emit(
        LogRecord(
            timestamp=start + 1_000,
            observed_timestamp=start + 2_000,
            context=set_span_in_context(NonRecordingSpan(parent)),
            severity_number=SeverityNumber.ERROR3,
            severity_text="CRITICAL",
            body={
                "text": AWKWARD_TEXT,
                "list": [1, 2.5, None, {"deep": [[]]}],
                "bytes": b"\x00\xff",
            },
            attributes={"code.lineno": 12, "nested": {"a": [True, {}]}, "raw": b"abc"},
            event_name="task.failed",
        )
    )
    logger.emit(LogRecord(observed_timestamp=start + 3_000))
    records = memory.get_finished_logs()
    write(directory, "logs", out.getvalue(), encode_logs(records))


def floats(directory):
    """`repr` of doubles of every magnitude, as `<bits in hex> <text>`."""
    values = [0.0, -0.0, 1e16, 9999999999999998.0, 1e-4, 9.999e-5, 1e22, 1e23, 0.1, 123456.0]
    values += [float("inf"), float("-inf"), 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308]
    values += [10.0**e for e in range(-25, 26)]
    values += [random.uniform(-1, 1) * 10.0 ** random.randint(-30, 30) for _ in range(400)]
    while len(values) < 1_000:
        value = struct.unpack(">d", random.randbytes(8))[0]
        if value == value:
            values.append(value)
    lines = [f"{struct.pack('>d', value).hex()} {json.dumps(value)}\n" for value in values]
    (directory / "floats.txt").write_text("".join(lines))


def times(directory):
    """Nanoseconds and what the SDK prints for them, which passes through a double."""
    from opentelemetry.sdk.util import ns_to_iso_str

    values = [0, 1, 499, 500, 501, 1_500, 999_999_499, 999_999_500, 999_999_999_999]
    values += [random.randint(0, 4_102_444_800_000_000_000) for _ in range(300)]
    values += [1_795_388_442_000_000_000 + random.randint(0, 10**9) for _ in range(300)]
    lines = [f"{value} {ns_to_iso_str(value)}\n" for value in values]
    (directory / "times.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
