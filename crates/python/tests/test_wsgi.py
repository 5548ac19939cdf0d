"""WSGI apps without a framework that the engine knows, under several servers. What is expected
was recorded from opentelemetry-instrumentation-wsgi 0.66b1; what differs on purpose is in
docs/differences.md."""

import sys

import pytest
from wsgi_driver import DRIVER, NEW, NEW_DURATION, OLD, OLD_ACTIVE, OLD_DURATION

WSGI = "opentelemetry.instrumentation.wsgi"

APP = (
    DRIVER
    + '''
from carafe_engine import _native
from carafe_engine.instrument import wsgi


class Closing:
    """An iterable that says when it is closed."""

    def __init__(self, chunks):
        self.chunks = chunks

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        print("closed")


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise ValueError("kaput")
    if path.startswith("/status/"):
        status = path[len("/status/"):].replace("_", " ")
        start_response(status, [("X-Reply", "v"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
        return Closing([b"x"])
    if path == "/twice":
        start_response("200 OK", [])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Late", [], sys.exc_info())
        return [b"x"]
    if path == "/chunks/fail":
        start_response("200 OK", [])

        def chunks():
            yield b"x"
            raise KeyError("chunk")

        return chunks()
    if path == "/chunks":
        start_response("200 OK", [])

        def chunks():
            for _ in range(3):
                yield _native.current_span().span_id_hex.encode()

        return chunks()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def lazy(environ, start_response):
    """The whole app is a generator: nothing happens before the first chunk is asked for."""
    start_response("201 Created", [])
    yield b"late"


app = wsgi.told(plain)
'''
)


def requests(*calls, app="app"):
    return APP + "\n".join(f"print(call({app}, environ({arguments})))" for arguments in calls)


def changed(base, changes):
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


# As in test_flask: arguments of `environ`, name, status, description, changes to OLD.
OLD_CASES = [
    ("'/x?y=1'", "GET /x", "UNSET", "", {"http.target": "/x?y=1", "http.status_code": 200}),
    ("'/boom'", "GET /boom", "ERROR", "ValueError: kaput", {"http.target": "/boom"}),
    (
        "'/status/404_NF'",
        "GET",
        "UNSET",
        "",
        {
            "http.target": "/status/404_NF",
            "http.status_code": 404,
        },
    ),
    (
        "'/status/500_ISE'",
        "GET /status/500_ISE",
        "ERROR",
        "",
        {
            "http.target": "/status/500_ISE",
            "http.status_code": 500,
        },
    ),
    (
        "'/status/abc_def'",
        "GET /status/abc_def",
        "ERROR",
        "Non-integer HTTP status: abc",
        {
            "http.target": "/status/abc_def",
        },
    ),
    # PEP 3333 wants a reason after the code; the official package fails the request without.
    (
        "'/status/204'",
        "GET /status/204",
        "UNSET",
        "",
        {
            "http.target": "/status/204",
            "http.status_code": 204,
        },
    ),
    ("'/twice'", "GET /twice", "ERROR", "", {"http.target": "/twice", "http.status_code": 500}),
    (
        "'/chunks/fail'",
        "GET /chunks/fail",
        "ERROR",
        "KeyError: 'chunk'",
        {
            "http.target": "/chunks/fail",
            "http.status_code": 200,
        },
    ),
    (
        "'/x', method='FOO'",
        "HTTP",
        "UNSET",
        "",
        {
            "http.method": "_OTHER",
            "http.target": "/x",
            "http.status_code": 200,
        },
    ),
    ("'/x', PATH_INFO=''", "GET", "UNSET", "", {"http.target": "/x", "http.status_code": 200}),
    # A port that is none: the official package fails the request.
    (
        "'/x', SERVER_PORT='abc'",
        "GET /x",
        "UNSET",
        "",
        {
            "http.target": "/x",
            "net.host.port": None,
            "http.status_code": 200,
        },
    ),
    (
        "'/a b?sig=1&sig=2&c=d+e', RAW_URI=None, HTTP_HOST='u:p@h'",
        "GET /a b",
        "UNSET",
        "",
        {
            "http.host": "u:p@h",
            "net.host.name": "u:p@h",
            "http.target": None,
            "http.url": "http://REDACTED:REDACTED@h/a%20b?sig=REDACTED&c=d+e",
            "http.status_code": 200,
        },
    ),
    (
        "'/x', RAW_URI=None, HTTP_HOST=None, SCRIPT_NAME='/app'",
        "GET /x",
        "UNSET",
        "",
        {
            "http.host": None,
            "net.host.name": None,
            "http.target": None,
            "http.url": "http://127.0.0.1:5000/app/x",
            "http.status_code": 200,
        },
    ),
    (
        "'/x', SERVER_PROTOCOL='SPDY'",
        "GET /x",
        "UNSET",
        "",
        {
            "http.target": "/x",
            "http.flavor": "SPDY",
            "http.status_code": 200,
        },
    ),
    (
        "'/x', HTTP_USER_AGENT=''",
        "GET /x",
        "UNSET",
        "",
        {
            "http.target": "/x",
            "http.user_agent": None,
            "http.status_code": 200,
        },
    ),
]


def test_old_conventions(run_app):
    result = run_app(requests(*(case[0] for case in OLD_CASES)))
    assert result.dropped == 0
    assert len(result.spans) == len(OLD_CASES), result.stderr
    for span, (arguments, name, status, description, changes) in zip(result.spans, OLD_CASES):
        assert span["name"] == name, arguments
        assert (span["status"], span["status_description"]) == (status, description), arguments
        assert span["attributes"] == changed(OLD, changes), arguments
        assert span["kind"] == "SERVER"
        assert span["scope"]["name"] == WSGI
    assert result.stdout.count("closed") == 4


def test_old_metrics(run_app):
    result = run_app(requests("'/x'", "'/boom'"))
    active = result.metric("http.server.active_requests")
    assert [item["value"] for item in active] == [1, -1, 1, -1]
    assert {item["unit"] for item in active} == {"{request}"}
    assert all(item["attributes"] == OLD_ACTIVE for item in active)
    durations = result.metric("http.server.duration")
    assert [item["attributes"] for item in durations] == [
        {**OLD_DURATION, "http.status_code": 200},
        OLD_DURATION,
    ]


NEW_CASES = [
    (
        "'/x?y=1'",
        "UNSET",
        "",
        {
            "url.path": "/x",
            "url.query": "y=1",
            "http.response.status_code": 200,
        },
        {"http.response.status_code": 200},
    ),
    (
        "'/boom'",
        "ERROR",
        "kaput",
        {"url.path": "/boom", "error.type": "ValueError"},
        {
            "error.type": "ValueError",
        },
    ),
    (
        "'/chunks/fail'",
        "ERROR",
        "KeyError: 'chunk'",
        {
            "url.path": "/chunks/fail",
            "http.response.status_code": 200,
        },
        {"http.response.status_code": 200},
    ),
    (
        "'/status/500_ISE'",
        "ERROR",
        "",
        {
            "url.path": "/status/500_ISE",
            "http.response.status_code": 500,
            "error.type": "500",
        },
        {"http.response.status_code": 500, "error.type": "500"},
    ),
    (
        "'/status/abc_def'",
        "ERROR",
        "Non-integer HTTP status: abc",
        {
            "url.path": "/status/abc_def",
            "error.type": "abc",
        },
        {"error.type": "abc"},
    ),
]


def test_stable_conventions(run_app):
    code = requests(*(case[0] for case in NEW_CASES))
    result = run_app(code, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"})
    assert len(result.spans) == len(NEW_CASES), result.stderr
    durations = result.metric("http.server.request.duration")
    for span, item, case in zip(result.spans, durations, NEW_CASES):
        arguments, status, description, changes, measured = case
        assert (span["status"], span["status_description"]) == (status, description), arguments
        assert span["attributes"] == changed(NEW, changes), arguments
        assert item["attributes"] == {**NEW_DURATION, **measured}, arguments


def test_response_headers_of_one_name(run_app):
    variable = {"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "set-.*"}
    result = run_app(requests("'/status/200_OK'"), env=variable)
    assert result.spans[0]["attributes"]["http.response.header.set_cookie"] == ["a,b"]


def test_span_is_current_while_chunks_are_made(run_app):
    code = requests("'/chunks'") + "\nassert _native.current() is None\n"
    result = run_app(code)
    (span,) = result.spans
    assert result.stdout.count(span["span_id"]) == 3


def test_app_that_is_a_generator(run_app):
    result = run_app(requests("'/x'", app="wsgi.told(lazy)"))
    (span,) = result.spans
    assert span["attributes"]["http.status_code"] == 201


def test_body_that_is_never_asked_for(run_app):
    code = (
        APP
        + """
body = wsgi.told(lazy)(environ("/x"), lambda *arguments: None)
assert _native.current() is None
del body
print("dropped")
"""
    )
    result = run_app(code)
    assert [span["name"] for span in result.spans] == ["GET /x"]
    active = result.metric("http.server.active_requests")
    assert [item["value"] for item in active] == [1, -1]


def test_what_is_not_touched(run_app):
    """Lists, a server's file wrapper, `write`, keywords, the app's attributes."""
    code = (
        APP
        + """
class FileWrapper:
    def __init__(self, file):
        self.file = file

    def __iter__(self):
        return iter([b"file"])

chunks = [b"a", b"b"]
written = []

def serve(environ, start_response):
    write = start_response(status="200 OK", response_headers=[])
    write(b"first")
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](None)
    return chunks

serve.marker = "here"
wrapped = wsgi.told(serve)
assert wrapped.marker == "here"
assert wsgi.told(wrapped) is wrapped

def start_response(status, response_headers):
    return written.append

assert wrapped(environ("/list"), start_response) is chunks
entries = environ("/file", **{"wsgi.file_wrapper": FileWrapper})
assert type(wrapped(entries, start_response)) is FileWrapper
assert written == [b"first", b"first"]
"""
    )
    result = run_app(code)
    assert result.span_names() == ["GET /list", "GET /file"]
    assert result.spans[0]["attributes"]["http.status_code"] == 200


def test_excluded_urls(run_app):
    code = requests("'/x'", "'/y'")
    result = run_app(code, env={"OTEL_PYTHON_EXCLUDED_URLS": "/x$"})
    assert result.span_names() == ["GET /y"]


def test_faults_do_not_reach_the_app(run_app):
    """An environment that breaks PEP 3333 in several ways."""
    entries = "'/x', REQUEST_METHOD=7, SERVER_PROTOCOL=b'x', HTTP_HOST='\\udc80', SERVER_PORT=[]"
    result = run_app(requests(entries))
    assert "'200 OK', b'hello'" in result.stdout
    (span,) = result.spans
    assert "http.host" not in span["attributes"]


SERVED = """
import os
import sys


def app(environ, start_response):
    if environ["PATH_INFO"] == "/boom":
        raise ValueError("kaput")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (chunk for chunk in (b"hel", b"lo"))


port = int(os.environ["PORT"])
"""

SERVERS = {
    "wsgiref": "from wsgiref.simple_server import make_server\n"
    "make_server('127.0.0.1', port, app).serve_forever()\n",
    "werkzeug": "from werkzeug.serving import run_simple\nrun_simple('127.0.0.1', port, app)\n",
    "werkzeug with debugger": "from werkzeug.serving import run_simple\n"
    "run_simple('127.0.0.1', port, app, use_debugger=True)\n",
    "waitress": "import waitress\nwaitress.serve(app, host='127.0.0.1', port=port)\n",
    "cheroot": "from cheroot.wsgi import Server\nServer(('127.0.0.1', port), app).start()\n",
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n"
    "from gevent.pywsgi import WSGIServer\n"
    "WSGIServer(('127.0.0.1', port), app).serve_forever()\n",
}


def check_served(server):
    status, _, body = server.request("/x")
    assert (status, body) == (200, b"hello")
    telemetry = server.wait_for(lambda telemetry: telemetry.spans, "the span")
    assert telemetry.span_names() == ["GET /x"]
    assert telemetry.spans[0]["scope"]["name"] == WSGI
    server.request("/boom")
    telemetry = server.wait_for(lambda telemetry: len(telemetry.spans) == 2, "the second span")
    assert telemetry.spans[1]["status"] == "ERROR"
    return telemetry.spans[1]


@pytest.mark.parametrize("name", SERVERS)
def test_servers(serve, name):
    pytest.importorskip(name.split(" ")[0])
    with serve(SERVED + SERVERS[name]) as server:
        failed = check_served(server)
        # The debugger makes a page of the exception.
        description = "" if "debugger" in name else "ValueError: kaput"
        assert failed["status_description"] == description


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn(serve, tmp_path, worker):
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(SERVED)
    command = [sys.executable, "-m", "gunicorn", "--chdir", tmp_path, "-k", worker]
    with serve([*command, "-b", "127.0.0.1:{port}", "served:app"]) as server:
        check_served(server)


def test_framework_without_a_shim(serve):
    pytest.importorskip("bottle")
    code = (
        "import bottle, os\n"
        "app = bottle.Bottle()\n"
        "@app.route('/hello/<name>')\n"
        "def hello(name):\n"
        "    return 'hi'\n"
        "bottle.run(app, host='127.0.0.1', port=int(os.environ['PORT']))\n"
    )
    with serve(code) as server:
        assert server.request("/hello/ada")[0] == 200
        telemetry = server.wait_for(lambda telemetry: telemetry.spans, "the span")
        assert telemetry.span_names() == ["GET /hello/ada"]
        # The server tells no request line.
        assert telemetry.spans[0]["attributes"]["http.url"].endswith("/hello/ada")


def test_too_many_hosts(run_app):
    """Whoever sends ever new `Host` headers makes no more attribute sets than the limit."""
    code = (
        APP
        + """
for number in range(5000):
    call(app, environ("/x", HTTP_HOST="host%d" % number))
"""
    )
    result = run_app(code)
    assert result.dropped == 0
    active = result.metric("http.server.active_requests")
    assert len(active) == 10_000
    sets = {tuple(sorted(item["attributes"].items())) for item in active}
    assert len(sets) <= 2_049
    assert (("otel.metric.overflow", True),) in sets
    assert sum(item["value"] for item in active) == 0
    assert result.metric("http.server.duration")[-1]["attributes"] == {"otel.metric.overflow": True}
