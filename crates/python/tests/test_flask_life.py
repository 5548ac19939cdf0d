"""Flask apps of all shapes: how they are made, served and streamed."""

import sys
import threading

import pytest
from wsgi_driver import DRIVER

APP = (
    DRIVER
    + """
import flask
from carafe_engine import _native

tracer = _native.provider().tracer("app")
"""
)

FLASK = "opentelemetry.instrumentation.flask"


def test_shapes_of_apps(run_app):
    """A factory, a blueprint, a subclass, an app made before another, middleware inside."""
    code = (
        APP
        + """
def create():
    app = flask.Flask("made")
    parts = flask.Blueprint("parts", __name__, url_prefix="/parts")

    @parts.route("/<int:id>")
    def part(id):
        return str(id)

    app.register_blueprint(parts)
    return app


class Own(flask.Flask):
    def wsgi_app(self, environ, start_response):
        return super().wsgi_app(environ, start_response)


def middleware(inner):
    def outer(environ, start_response):
        return inner(environ, start_response)

    return outer


print(call(create(), environ("/parts/7")))
own = Own("own")
own.add_url_rule("/own", view_func=lambda: "own")
own.wsgi_app = middleware(own.wsgi_app)
print(call(own, environ("/own")))
print(own.test_client().get("/own").status)
with own.test_request_context("/own"):
    assert flask.request.path == "/own"
with own.test_client() as client:
    assert client.get("/own").status_code == 200
    assert flask.request.path == "/own"
"""
    )
    result = run_app(code)
    assert result.span_names() == ["GET /parts/<int:id>", "GET /own", "GET /own", "GET /own"]
    assert {span["kind"] for span in result.spans} == {"SERVER"}


def test_app_inside_an_app(run_app):
    """Each has a span; the inner one's is a child, and not a server's."""
    code = (
        APP
        + """
from werkzeug.middleware.dispatcher import DispatcherMiddleware

inner = flask.Flask("inner")
inner.add_url_rule("/x", view_func=lambda: "x")
outer = flask.Flask("outer")


@outer.route("/outer")
def through():
    return inner.test_client().get("/x").text


print(call(outer, environ("/outer")))
mounted = DispatcherMiddleware(outer, {"/in": inner})
print(call(mounted, environ("/in/x")))
"""
    )
    result = run_app(code)
    assert result.span_names() == ["GET /x", "GET /outer", "GET /x"]
    child, parent, alone = result.spans
    assert child["parent_id"] == parent["span_id"]
    assert (child["kind"], parent["kind"], alone["kind"]) == ("INTERNAL", "SERVER", "SERVER")


def test_request_inside_a_span(run_app):
    code = (
        APP
        + """
app = flask.Flask("x")
app.add_url_rule("/x", view_func=lambda: "x")
with tracer.start_as_current_span("outer"):
    app.test_client().get("/x")
"""
    )
    result = run_app(code)
    assert [span["kind"] for span in result.spans] == ["INTERNAL", "INTERNAL"]
    assert result.span("GET /x")["parent_id"] == result.span("outer")["span_id"]


def test_server_hands_over(run_app):
    """The server wraps an app that it does not know; there is one span, and it is Flask's."""
    code = (
        APP
        + """
from carafe_engine.instrument import wsgi

flask_app = flask.Flask("x")


@flask_app.route("/hello/<name>")
def hello(name):
    return "hi"


@flask_app.route("/boom")
def boom():
    raise ValueError("kaput")


app = wsgi.told(lambda environ, start_response: flask_app(environ, start_response))
assert wsgi.told(flask_app) is flask_app
print(call(app, environ("/hello/ada")))
print(call(app, environ("/boom")))
print(call(app, environ("/nope")))
"""
    )
    result = run_app(code)
    assert result.span_names() == ["GET /hello/<name>", "GET /boom", "GET"]
    assert {span["scope"]["name"] for span in result.spans} == {FLASK}
    assert {span["kind"] for span in result.spans} == {"SERVER"}
    assert result.spans[0]["attributes"]["http.route"] == "/hello/<name>"
    assert result.spans[1]["status_description"] == "ValueError: kaput"
    durations = result.metric("http.server.duration")
    assert [item["scope"]["name"] for item in durations] == [FLASK] * 3
    assert sum(item["value"] for item in result.metric("http.server.active_requests")) == 0


@pytest.mark.parametrize("with_context", [True, False])
def test_streams(run_app, with_context):
    """The span lasts as long as the stream, and is the parent of what happens in it."""
    wrap = "flask.stream_with_context" if with_context else ""
    code = (
        APP
        + f"""
app = flask.Flask("x")


@app.route("/stream")
def stream():
    def chunks():
        for number in range(2):
            with tracer.start_as_current_span("chunk %d" % number):
                yield b"x"

    return flask.Response({wrap}(chunks()))


print(call(app, environ("/stream")))
assert _native.current() is None
"""
    )
    result = run_app(code)
    assert "b'xx'" in result.stdout
    assert result.span_names() == ["chunk 0", "chunk 1", "GET /stream"]
    parent = result.spans[2]
    assert {span["parent_id"] for span in result.spans[:2]} == {parent["span_id"]}
    assert parent["end_ns"] >= result.spans[1]["end_ns"]
    assert len(result.metric("http.server.duration")) == 1


def test_stream_that_fails(run_app):
    code = (
        APP
        + """
app = flask.Flask("x")


@app.route("/stream")
def stream():
    def chunks():
        yield b"x"
        raise KeyError("chunk")

    return flask.Response(chunks())


print(repr(call(app, environ("/stream"))))
"""
    )
    result = run_app(code)
    (span,) = result.spans
    assert "KeyError('chunk')" in result.stdout
    assert (span["status"], span["status_description"]) == ("ERROR", "KeyError: 'chunk'")


def test_session_is_opened_inside_the_span(run_app):
    """The official package's span is current only once the session is open."""
    code = (
        APP
        + """
from flask.sessions import SecureCookieSessionInterface


class Sessions(SecureCookieSessionInterface):
    def open_session(self, app, request):
        with tracer.start_as_current_span("session"):
            return super().open_session(app, request)


app = flask.Flask("x")
app.session_interface = Sessions()
app.add_url_rule("/x", view_func=lambda: "x")


@app.teardown_request
def teardown(error):
    with tracer.start_as_current_span("teardown"):
        pass


print(call(app, environ("/x")))
"""
    )
    result = run_app(code)
    assert result.span_names() == ["session", "teardown", "GET /x"]
    assert len(result.children(result.spans[2])) == 2


def test_python_code_sees_the_route_at_the_start(run_app):
    code = (
        APP
        + """
import opentelemetry.trace
from opentelemetry.sdk.trace import SpanProcessor


class Seeing(SpanProcessor):
    def on_start(self, span, parent_context=None):
        print("start", span.name, span.attributes.get("http.route"))

    def on_end(self, span):
        print("end", span.name, span.attributes["http.status_code"], span.instrumentation_scope.name)


opentelemetry.trace.get_tracer_provider().add_span_processor(Seeing())
app = flask.Flask("x")
app.add_url_rule("/hello/<name>", view_func=lambda name: "hi")
print(call(app, environ("/hello/ada")))
print(call(app, environ("/nope")))
"""
    )
    result = run_app(code)
    assert "start GET /hello/<name> /hello/<name>" in result.stdout
    assert f"end GET /hello/<name> 200 {FLASK}" in result.stdout
    assert "start GET None" in result.stdout
    assert result.span_names() == ["GET /hello/<name>", "GET"]


def test_baggage_and_trace_state_are_current(run_app):
    code = (
        APP
        + """
from opentelemetry import baggage, trace

app = flask.Flask("x")


@app.route("/x")
def view():
    state = trace.get_current_span().get_span_context().trace_state
    return "%s %s" % (baggage.get_baggage("user"), state.to_header())


print(call(app, environ(
    "/x", HTTP_TRACEPARENT="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    HTTP_TRACESTATE="vendor=1", HTTP_BAGGAGE="user=ada",
)))
assert baggage.get_all() == {}
"""
    )
    assert "b'ada vendor=1'" in run_app(code).stdout


def test_response_propagator(run_app):
    pytest.importorskip("opentelemetry.instrumentation.propagators")
    code = (
        APP
        + """
from opentelemetry.instrumentation.propagators import (
    TraceResponsePropagator, set_global_response_propagator,
)

app = flask.Flask("x")
app.add_url_rule("/x", view_func=lambda: "x")
print([name for name, _ in call(app, environ("/x"))[2]])
set_global_response_propagator(TraceResponsePropagator())
print(dict(call(app, environ("/x"))[2])["traceresponse"])
"""
    )
    result = run_app(code)
    names, header = result.stdout.splitlines()
    assert "traceresponse" not in names
    assert header.split("-")[1:3] == [result.spans[1]["trace_id"], result.spans[1]["span_id"]]


def test_threads(run_app):
    """Requests at the same time do not see each other."""
    code = (
        APP
        + """
import threading

app = flask.Flask("x")
together = threading.Barrier(4)


@app.route("/<name>")
def view(name):
    before = _native.current_span().span_id_hex
    together.wait()
    with tracer.start_as_current_span("inside " + name):
        together.wait()
    assert _native.current_span().span_id_hex == before
    return name


threads = [
    threading.Thread(target=call, args=(app, environ("/%d" % number))) for number in range(4)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    )
    result = run_app(code)
    assert len(result.spans) == 8
    for number in range(4):
        inside = result.span(f"inside {number}")
        (parent,) = [span for span in result.spans if span["span_id"] == inside["parent_id"]]
        assert parent["attributes"]["http.target"] == f"/{number}"


def test_nothing_is_left_of_requests(run_app):
    """Memory, contexts and objects stay as they are over 10,000 requests of all kinds."""
    code = (
        APP
        + '''
import gc
import logging

logging.disable(logging.CRITICAL)
app = flask.Flask("x")


@app.route("/boom")
def boom():
    raise ValueError("kaput")


@app.route("/stream")
def stream():
    return flask.Response(flask.stream_with_context(chunk for chunk in (b"a", b"b")))


app.add_url_rule("/x/<int:id>", view_func=lambda id: "x")


def private_kib():
    """Without the ring, whose pages are written to for the first time one after the other."""
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1])


def serve(count):
    for number in range(count):
        call(app, environ("/x/%d" % number, HTTP_HOST="host%d" % (number % 50)))
        call(app, environ("/nope%d" % number))
        call(app, environ("/boom"))
        call(app, environ("/stream"))


serve(500)
gc.collect()
before, objects = private_kib(), len(gc.get_objects())
serve(2000)
gc.collect()
assert _native.current() is None
print("objects", len(gc.get_objects()) - objects, "KiB", private_kib() - before)
'''
    )
    result = run_app(code, timeout=120)
    _, objects, _, kib = result.stdout.split()
    assert int(objects) < 100, result.stdout
    assert int(kib) < 1_024, result.stdout


@pytest.mark.parametrize("by", ["command", "app", "middleware"])
def test_one_span_for_what_is_around_flask(serve, tmp_path, by):
    """A debugger and a proxy's headers are around the app, the reloader is around the server."""
    (tmp_path / "served.py").write_text(
        """
import os

import flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import run_simple

app = flask.Flask("x")
app.add_url_rule("/hello/<name>", view_func=lambda name: "hi")
port = int(os.environ["PORT"])
if os.environ["BY"] == "app":
    app.run(port=port, debug=True)
elif os.environ["BY"] == "middleware":
    run_simple("127.0.0.1", port, ProxyFix(app.wsgi_app), use_debugger=True)
"""
    )
    served = str(tmp_path / "served.py")
    command = [sys.executable, served]
    if by == "command":
        command = [sys.executable, "-m", "flask", "--app", served, "run", "--debug", "-p", "{port}"]
    with serve(command, env={"BY": by}) as server:
        assert server.request("/hello/ada")[0] == 200
        assert server.request("/hello/ada")[0] == 200
        telemetry = server.wait_for(
            lambda telemetry: sum(span["kind"] == "SERVER" for span in telemetry.spans) == 2,
            "the spans of servers",
        )
        assert telemetry.span_names() == ["GET /hello/<name>"] * 2
        assert {span["scope"]["name"] for span in telemetry.spans} == {FLASK}


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_under_load(serve, tmp_path, worker):
    """Many requests at once: each span has its own child, and nothing is told twice."""
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(
        """
import time
import flask
from carafe_engine import _native

tracer = _native.provider().tracer("app")
app = flask.Flask("x")


@app.route("/wait/<name>")
def wait(name):
    time.sleep(0.01)
    with tracer.start_as_current_span("inside " + name):
        time.sleep(0.01)
    return name
"""
    )
    command = [sys.executable, "-m", "gunicorn", "--chdir", tmp_path, "--preload", "-k", worker]
    command += ["--threads", "8"] if worker == "gthread" else []
    with serve([*command, "-b", "127.0.0.1:{port}", "served:app"]) as server:
        threads = [
            threading.Thread(target=server.request, args=(f"/wait/{number}",))
            for number in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        telemetry = server.wait_for(
            lambda telemetry: len(telemetry.metric("http.server.duration")) == 16, "16 durations"
        )
    assert len(telemetry.spans) == 32
    by_id = {span["span_id"]: span for span in telemetry.spans}
    for number in range(16):
        parent = by_id[telemetry.span(f"inside {number}")["parent_id"]]
        assert parent["attributes"]["http.target"] == f"/wait/{number}"
        assert parent["name"] == "GET /wait/<name>"
        assert parent["parent_id"] is None


def test_asynchronous_view(run_app):
    pytest.importorskip("asgiref")
    code = (
        APP
        + """
import asyncio

app = flask.Flask("x")


@app.route("/x")
async def view():
    await asyncio.sleep(0)
    with tracer.start_as_current_span("inside"):
        return "x"


print(call(app, environ("/x")))
"""
    )
    result = run_app(code)
    assert result.span("inside")["parent_id"] == result.span("GET /x")["span_id"]


def test_context_that_is_copied(run_app):
    """A thread that the view starts, with the request's context, after the request's end."""
    code = (
        APP
        + """
import contextvars
import threading

app = flask.Flask("x")
go = threading.Event()
started = []


@app.route("/x")
def view():
    @flask.copy_current_request_context
    def work():
        go.wait()
        with tracer.start_as_current_span("later " + flask.request.path):
            pass

    started.append(threading.Thread(target=work))
    started[0].start()
    return "x"


print(call(app, environ("/x")))
go.set()
started[0].join()
"""
    )
    result = run_app(code)
    assert result.span_names() == ["GET /x", "later /x"]
    assert len(result.metric("http.server.duration")) == 1
    assert sum(item["value"] for item in result.metric("http.server.active_requests")) == 0
