"""An OTLP/gRPC receiver on the official protobuf package.

usage: otlp_sink.py FILE [--fail-first N]

Prints "listening PORT", then appends each accepted request to FILE as one JSON
line {"signal": ..., "metadata": {...}, "request": {...}}. The first N requests
of each signal are refused with UNAVAILABLE.
"""

import argparse
import json
import threading
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Sink:
    def __init__(self, file, fail_first):
        self.file = file
        self.lock = threading.Lock()
        self.to_refuse = {"traces": fail_first, "metrics": fail_first, "logs": fail_first}

    def take(self, signal, request, context):
        with self.lock:
            if self.to_refuse[signal] > 0:
                self.to_refuse[signal] -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "refused on purpose")
            line = {
                "signal": signal,
                "metadata": {key: str(value) for key, value in context.invocation_metadata()},
                "request": MessageToDict(request),
            }
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def servicer(base, sink, signal, response):
    class Servicer(base):
        def Export(self, request, context):
            sink.take(signal, request, context)
            return response()

    return Servicer()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--fail-first", type=int, default=0)
    options = parser.parse_args()
    with open(options.file, "a", encoding="utf-8") as file:
        sink = Sink(file, options.fail_first)
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
            servicer(
                trace_service_pb2_grpc.TraceServiceServicer,
                sink,
                "traces",
                trace_service_pb2.ExportTraceServiceResponse,
            ),
            server,
        )
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
            servicer(
                metrics_service_pb2_grpc.MetricsServiceServicer,
                sink,
                "metrics",
                metrics_service_pb2.ExportMetricsServiceResponse,
            ),
            server,
        )
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
            servicer(
                logs_service_pb2_grpc.LogsServiceServicer,
                sink,
                "logs",
                logs_service_pb2.ExportLogsServiceResponse,
            ),
            server,
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        print(f"listening {port}", flush=True)
        server.wait_for_termination()


if __name__ == "__main__":
    main()
