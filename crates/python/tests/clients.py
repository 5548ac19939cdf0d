"""What the tests of HTTP clients share: a server to call, and calls whose telemetry is told apart.

The expectations in the tests of requests, urllib3, urllib and httpx were recorded with the official
packages (opentelemetry-instrumentation-* 0.66b1) against the same server; where the engine differs
on purpose, the test says so.
"""

import contextlib
import dataclasses
import http.server
import json
import textwrap
import threading

import pytest

#: OTEL_SEMCONV_STABILITY_OPT_IN.
OLD, NEW, BOTH = "", "http", "http/dup"
MODES = pytest.mark.parametrize("mode", [OLD, NEW, BOTH], ids=["old", "http", "http-dup"])

SCHEMA_URLS = {
    OLD: "https://opentelemetry.io/schemas/1.11.0",
    NEW: "https://opentelemetry.io/schemas/1.21.0",
    BOTH: "https://opentelemetry.io/schemas/1.21.0",
}

OLD_BOUNDARIES = [
    0,
    5,
    10,
    25,
    50,
    75,
    100,
    250,
    500,
    750,
    1000,
    2500,
    5000,
    7500,
    10000,
]
NEW_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Answer", "yes")
        self.send_header("X-Answer", "again")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + len(b"\r\n"))
            self.rfile.readline()
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.requests.append((self.command, self.path, list(self.headers.items())))
        if path.startswith("/status/"):
            self._answer(int(path.rpartition("/")[2]), b"st")
        elif path == "/redirect":
            self._answer(302, Location="/ok")
        elif path == "/headers":
            self._answer(200, json.dumps(list(self.headers.items())).encode())
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"2\r\nok\r\n0\r\n\r\n")
        elif path == "/drop":
            self.close_connection = True
        else:
            self._answer(200, b"ok")

    do_GET = do_get = do_POST = do_PUT = do_HEAD = do_FOO = _serve


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@dataclasses.dataclass
class Target:
    """A server of the test's own process, and what it was asked."""

    server: _Server

    @property
    def port(self):
        return self.server.server_port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def headers(self, name):
        """The values of that header in all requests so far, None for each without it."""
        with self.server.lock:
            requests = list(self.server.requests)
        found = []
        for _method, _path, headers in requests:
            values = [value for key, value in headers if key.lower() == name]
            assert len(values) <= 1, f"{name} comes twice: {values}"
            found.append(values[0] if values else None)
        return found


@pytest.fixture
def target():
    server = _Server(("127.0.0.1", 0), _Handler)
    server.requests, server.lock = [], threading.Lock()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with contextlib.closing(server.socket):
        yield Target(server)
        server.shutdown()
        thread.join()


@dataclasses.dataclass
class Case:
    """What one call has left."""

    spans: list
    measurements: list

    @property
    def span(self):
        assert len(self.spans) == 1, [span["name"] for span in self.spans]
        return self.spans[0]

    def measured(self):
        """Name to attributes; every instrument measures a call once."""
        names = [measurement["name"] for measurement in self.measurements]
        assert len(names) == len(set(names)), names
        return {item["name"]: item["attributes"] for item in self.measurements}

    def values(self):
        return {item["name"]: item["value"] for item in self.measurements}


_MARK = "the case "

_APP = """
from carafe_engine import _native
import contextlib
BASE = {base!r}
NOWHERE = "http://127.0.0.1:1/x"
mark = _native.provider().tracer("marks")
def quietly(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error
{setup}
"""


def run_cases(run_app, target, setup, cases, mode=OLD, env=None, is_faultless=True):
    """Runs pieces of code one after another in one app: name to Case.

    In the code, BASE is the target's URL, NOWHERE one that nobody listens at, and
    `quietly(function, ...)` returns what the function raises.
    """
    code = _APP.format(base=target.url, setup=textwrap.dedent(setup))
    for name, case in cases.items():
        body = textwrap.indent(textwrap.dedent(case).strip(), "    ")
        code += f"mark.start_span({_MARK + name!r}).end()\ndef case():\n{body}\ncase()\n"
    code += f"mark.start_span({_MARK!r}).end()\n"
    variables = {"OTEL_SEMCONV_STABILITY_OPT_IN": mode or None, **(env or {})}
    result = run_app(code, env=variables)
    problems = [notice for notice in result.notices if notice["kind"] == "problem"]
    assert bool(problems) != is_faultless, problems
    return split(result)


def split(result):
    """The telemetry between marks: name to Case."""
    marks = [span for span in result.spans if span["name"].startswith(_MARK)]
    cases = {}
    for begin, end in zip(marks, marks[1:]):
        cases[begin["name"].removeprefix(_MARK)] = Case(
            [
                span
                for span in result.spans
                if begin["start_ns"] < span["start_ns"] < end["start_ns"]
            ],
            [
                item
                for item in result.measurements
                if begin["start_ns"] < item["time_ns"] < end["start_ns"]
                and not item["name"].startswith(("cpython.", "process."))
            ],
        )
    return cases


def named(mode, old=None, new=None, always=None):
    """Attributes in that mode."""
    attributes = dict(always or {})
    if mode != NEW:
        attributes.update(old or {})
    if mode != OLD:
        attributes.update(new or {})
    return attributes


def exception_of(span):
    """The attributes of the one exception that a span has recorded."""
    assert [event["name"] for event in span["events"]] == ["exception"]
    attributes = span["events"][0]["attributes"]
    assert sorted(attributes) == [
        "exception.escaped",
        "exception.message",
        "exception.stacktrace",
        "exception.type",
    ]
    return attributes
