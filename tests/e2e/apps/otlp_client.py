"""An OTLP/gRPC client on the official protobuf package. Usage: otlp_client.py ADDRESS

Sends a trace of two spans and a log record, and prints the trace id.
"""

import os
import sys
import time

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def text(key, value):
    return KeyValue(key=key, value=AnyValue(string_value=value))


resource = Resource(attributes=[text("service.name", "shop")])
trace_id, parent, child = os.urandom(16), os.urandom(8), os.urandom(8)
end = time.time_ns()
spans = [
    Span(
        trace_id=trace_id,
        span_id=parent,
        name="GET /cart",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=end - 5_000_000,
        end_time_unix_nano=end,
        attributes=[text("http.method", "GET"), text("customer", "<b>Ada</b>")],
    ),
    Span(
        trace_id=trace_id,
        span_id=child,
        parent_span_id=parent,
        name="SELECT",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end - 3_000_000,
        end_time_unix_nano=end - 1_000_000,
    ),
]
record = LogRecord(
    time_unix_nano=end,
    severity_number=13,
    severity_text="WARN",
    body=AnyValue(string_value="the cart is nearly full"),
    trace_id=trace_id,
    span_id=child,
)

with grpc.insecure_channel(sys.argv[1]) as channel:
    traces = trace_service_pb2.ExportTraceServiceRequest()
    traces.resource_spans.add(resource=resource).scope_spans.add(spans=spans)
    answer = trace_service_pb2_grpc.TraceServiceStub(channel).Export(traces, timeout=30)
    assert answer.partial_success.rejected_spans == 0, answer
    logs = logs_service_pb2.ExportLogsServiceRequest()
    logs.resource_logs.add(resource=resource).scope_logs.add(log_records=[record])
    answer = logs_service_pb2_grpc.LogsServiceStub(channel).Export(logs, timeout=30)
    assert answer.partial_success.rejected_log_records == 0, answer
print(trace_id.hex())
