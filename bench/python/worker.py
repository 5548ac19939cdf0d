"""Runs in the process under measurement: takes one order per line of stdin, answers with JSON.

    {"do": "wsgi", "path": "/ping", "count": 5000}
    {"do": "micro", "what": "span", "count": 20000}

Times are CPU nanoseconds of the thread that does the work, and of the whole process meanwhile.
"""

import io
import json
import logging
import sys
import time


def wsgi_environ(path):
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "RAW_URI": path,
        "REQUEST_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "41234",
        "HTTP_HOST": "127.0.0.1:5000",
        "HTTP_USER_AGENT": "bench/1.0",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


class Worker:
    def __init__(self):
        from flask_app import app

        self.app = app
        self.micro = None

    def serve(self, path, count):
        """`count` requests by the WSGI protocol, with no socket in between."""
        app, base, statuses = self.app, wsgi_environ(path), set()

        def start_response(status, headers, exc_info=None):
            statuses.add(status)
            return None

        started = time.thread_time_ns(), time.process_time_ns()
        for _ in range(count):
            environ = base.copy()
            environ["wsgi.input"] = io.BytesIO()
            body = app(environ, start_response)
            for _ in body:
                pass
            body.close()
        spent = time.thread_time_ns() - started[0], time.process_time_ns() - started[1]
        if statuses != {"200 OK"}:
            raise RuntimeError(f"{path} answers {statuses}")
        return spent

    def measure_micro(self, what, count):
        """`count` times one call of the API, less an empty loop."""
        if self.micro is None:
            self.micro = micro_calls()
        call = self.micro[what]
        call()
        started = time.thread_time_ns(), time.process_time_ns()
        for _ in range(count):
            call()
        spent = time.thread_time_ns() - started[0], time.process_time_ns() - started[1]
        empty = time.thread_time_ns()
        for _ in range(count):
            nothing()
        empty = time.thread_time_ns() - empty
        return spent[0] - empty, spent[1] - empty


def nothing():
    pass


def micro_calls():
    from opentelemetry import metrics, trace

    tracer = trace.get_tracer("bench")
    meter = metrics.get_meter("bench")
    counter = meter.create_counter("bench.counter")
    histogram = meter.create_histogram("bench.histogram", unit="ms")
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    # The record goes to the agent alone: nothing is printed on any side.
    logging.getLogger().addHandler(logging.NullHandler())
    ten = {
        "http.method": "GET",
        "http.scheme": "http",
        "http.host": "127.0.0.1:5000",
        "http.target": "/ping",
        "http.route": "/ping",
        "http.flavor": "1.1",
        "net.peer.ip": "127.0.0.1",
        "net.peer.port": 41234,
        "http.status_code": 200,
        "http.user_agent": "bench/1.0",
    }
    two = {"route": "/ping", "status": 200}
    pairs = list(ten.items())

    def span():
        tracer.start_span("GET /ping", attributes=ten).end()

    def current_span():
        with tracer.start_as_current_span("GET /ping") as current:
            for key, value in pairs:
                current.set_attribute(key, value)

    return {
        "span": span,
        "current span": current_span,
        "counter": lambda: counter.add(1, two),
        "histogram": lambda: histogram.record(12.5, two),
        "log record": lambda: logger.info("a message with %s", "one argument"),
    }


def main():
    worker = Worker()
    worker.serve("/ping", 1)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "wsgi":
            spent = worker.serve(order["path"], order["count"])
        else:
            spent = worker.measure_micro(order["what"], order["count"])
        print(json.dumps({"thread_ns": spent[0], "process_ns": spent[1]}), flush=True)


if __name__ == "__main__":
    main()
