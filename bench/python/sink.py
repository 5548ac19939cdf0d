"""An OTLP/HTTP receiver that takes everything and counts what came: the agents' backend.

Prints its port, then serves until it is ended. `GET /count` gives the number of spans, metric
data points and log records as JSON; it decodes only then, so that receiving stays cheap.
"""

import json
import socketserver
import sys

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

#: Bodies that wait to be counted; the oldest are counted beyond this.
WAITING_LIMIT_BYTES = 64 << 20

counts = {"spans": 0, "logs": 0, "posts": 0}
waiting = []
waiting_bytes = 0


def count():
    global waiting_bytes
    for path, body in waiting:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                counts["spans"] += sum(len(scope.spans) for scope in resource.scope_spans)
        elif path == "/v1/logs":
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                counts["logs"] += sum(len(scope.log_records) for scope in resource.scope_logs)
    waiting.clear()
    waiting_bytes = 0


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        global waiting_bytes
        while line := self.rfile.readline():
            method, path, _ = line.decode().split()
            headers = {}
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, value = header.decode().split(":", 1)
                headers[name.lower()] = value.strip()
            if "100-continue" in headers.get("expect", ""):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(headers.get("content-length", 0)))
            answer = b""
            if method == "GET":
                count()
                answer = json.dumps(counts).encode()
            else:
                counts["posts"] += 1
                waiting.append((path, body))
                waiting_bytes += len(body)
                if waiting_bytes > WAITING_LIMIT_BYTES:
                    count()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n"
            kind = "application/json" if answer else "application/x-protobuf"
            self.wfile.write(f"{head}Content-Type: {kind}\r\n\r\n".encode() + answer)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(0)
