"""An OTLP receiver on the official protobuf package, over gRPC or HTTP.

usage: otlp_sink.py FILE [--http] [--fail-first N] [--tls CERTIFICATE KEY]

Prints "listening PORT", then appends each accepted request to FILE as one JSON
line {"signal": ..., "metadata": {...}, "request": {...}}. The first N requests
of each signal are refused with UNAVAILABLE or 503.  TLS is for gRPC only.
"""

import argparse
import gzip
import http.server
import json
import threading
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SIGNALS = {
    "traces": ("Trace", trace_service_pb2, trace_service_pb2_grpc),
    "metrics": ("Metrics", metrics_service_pb2, metrics_service_pb2_grpc),
    "logs": ("Logs", logs_service_pb2, logs_service_pb2_grpc),
}


class Sink:
    """Refuses the first requests of each signal and writes the others down."""

    def __init__(self, file, fail_first):
        self.file = file
        self.lock = threading.Lock()
        self.to_refuse = dict.fromkeys(SIGNALS, fail_first)

    def take(self, signal, request, metadata):
        with self.lock:
            if self.to_refuse[signal] > 0:
                self.to_refuse[signal] -= 1
                return False
            line = {
                "signal": signal,
                "metadata": {key.lower(): str(value) for key, value in metadata},
                "request": MessageToDict(request),
            }
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
            return True


def add_servicer(server, sink, signal):
    name, messages, services = SIGNALS[signal]

    class Servicer(getattr(services, f"{name}ServiceServicer")):
        def Export(self, request, context):
            if not sink.take(signal, request, context.invocation_metadata()):
                context.abort(grpc.StatusCode.UNAVAILABLE, "refused on purpose")
            return getattr(messages, f"Export{name}ServiceResponse")()

    getattr(services, f"add_{name}ServiceServicer_to_server")(Servicer(), server)


def serve_grpc(sink, tls):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    for signal in SIGNALS:
        add_servicer(server, sink, signal)
    if tls:
        certificate, key = (Path(name).read_bytes() for name in tls)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening {port}", flush=True)
    server.wait_for_termination()


def serve_http(sink):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            signal = self.path.rpartition("/v1/")[2]
            name, messages, _ = SIGNALS[signal]
            request = getattr(messages, f"Export{name}ServiceRequest").FromString(body)
            metadata = [*self.headers.items(), (":path", self.path)]
            accepted = sink.take(signal, request, metadata)
            answer = getattr(messages, f"Export{name}ServiceResponse")().SerializeToString()
            self.send_response(200 if accepted else 503)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening {server.server_port}", flush=True)
    server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--fail-first", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    with open(options.file, "a", encoding="utf-8") as file:
        sink = Sink(file, options.fail_first)
        if options.http:
            serve_http(sink)
        else:
            serve_grpc(sink, options.tls)


if __name__ == "__main__":
    main()
