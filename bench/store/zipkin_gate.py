"""Takes OTLP/HTTP and hands it to Zipkin as Zipkin's own JSON; answers when Zipkin has.

Usage: zipkin_gate.py OTLP_PORT ZIPKIN_PORT. Prints a line when it listens. Its own CPU is not
counted against Zipkin.
"""

import gzip
import http.client
import json
import socketserver
import sys
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
ERROR = 2


def text(value):
    """An attribute's value as the text that Zipkin keeps."""
    which = value.WhichOneof("value")
    if which is None:
        return ""
    plain = getattr(value, which)
    if which == "bool_value":
        return "true" if plain else "false"
    return str(plain)


def zipkin_span(span, service):
    tags = {attribute.key: text(attribute.value) for attribute in span.attributes}
    if span.status.code == ERROR:
        tags["error"] = span.status.message or "true"
    start_us = span.start_time_unix_nano // 1000
    translated = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": start_us,
        "duration": max(1, span.end_time_unix_nano // 1000 - start_us),
        "localEndpoint": {"serviceName": service},
        "tags": tags,
    }
    if span.parent_span_id:
        translated["parentId"] = span.parent_span_id.hex()
    if span.kind in KINDS:
        translated["kind"] = KINDS[span.kind]
    if span.events:
        translated["annotations"] = [
            {"timestamp": event.time_unix_nano // 1000, "value": event.name}
            for event in span.events
        ]
    return translated


def translate(body):
    spans = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        attributes = resource.resource.attributes
        names = [text(each.value) for each in attributes if each.key == "service.name"]
        service = names[0] if names else "unknown_service"
        for scope in resource.scope_spans:
            spans += [zipkin_span(span, service) for span in scope.spans]
    return json.dumps(spans).encode()


class Handler(socketserver.StreamRequestHandler):
    zipkin_port = 0
    local = threading.local()

    def post(self, body):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection("127.0.0.1", self.zipkin_port)
        headers = {"Content-Type": "application/json"}
        self.local.connection.request("POST", "/api/v2/spans", body, headers)
        answer = self.local.connection.getresponse()
        answer.read()
        return answer.status

    def handle(self):
        while line := self.rfile.readline():
            headers = {}
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, value = header.decode().split(":", 1)
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            path = line.split()[1]
            # Zipkin has no logs and no metrics: taken and forgotten.
            status = self.post(translate(body)) if path.endswith(b"/v1/traces") else 202
            status = 200 if status == 202 else 503
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/x-protobuf\r\n"
            self.wfile.write(f"{head}Content-Length: 0\r\n\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    Handler.zipkin_port = int(sys.argv[2])
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        print("listening", flush=True)
        server.serve_forever()
