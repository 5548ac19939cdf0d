"""What apps do to the engine that nobody should: their calls go through, their exceptions and
interrupts are theirs, and the telemetry stays sound."""

import pytest

PRELUDE = """
import logging
logging.basicConfig(level=logging.CRITICAL)
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
tracer = trace.get_tracer("test")

class Mute:
    def __str__(self): raise ValueError("mute")
    __repr__ = __len__ = __bool__ = __str__

class Mapping:
    def __iter__(self): return iter(["a"])
    def __len__(self): return 1
    def __getitem__(self, key): return 1
    def items(self): return [("a", 1)]
"""


@pytest.fixture
def run(run_app):
    def run(code, **options):
        return run_app(PRELUDE + code, **options)

    return run


def test_what_is_no_status_sets_none(run):
    result = run(
        """
class Response:
    status_code = 500
with tracer.start_as_current_span("s") as span:
    span.set_status(StatusCode.ERROR, "why")
    for junk in (None, "OK", 7, 300, -1, Response(), SpanKind.CONSUMER, Mute()):
        span.set_status(junk)
"""
    )
    span = result.span("s")
    assert (span["status"], span["status_description"]) == ("ERROR", "why")


def test_what_is_no_time_is_now(run):
    result = run(
        """
import datetime
for time in (-1, 2**64, 2**2000, float("nan"), float("inf"), datetime.datetime.now(), "5", Mute()):
    span = tracer.start_span("s", start_time=time)
    span.add_event("e", timestamp=time)
    span.record_exception(ValueError(), timestamp=time)
    span.end(time)
tracer.start_span("given", start_time=5.5).end(6)
"""
    )
    given = result.span("given")
    assert (given["start_ns"], given["end_ns"]) == (5, 6)
    spans = [span for span in result.spans if span["name"] == "s"]
    assert len(spans) == 8
    for span in spans:
        times = [span["start_ns"], *(event["time_ns"] for event in span["events"]), span["end_ns"]]
        assert times == sorted(times)
        assert times[0] > given["end_ns"] and times[-1] - times[0] < 60e9


def test_odd_options_of_a_span_are_taken_for_the_usual(run):
    result = run(
        """
for kind in (99, 300, -1, "SERVER", object(), Mute()):
    tracer.start_span("kind", kind=kind).end()
for option in (0, 1, "", "yes", [], Mute()):
    with tracer.start_as_current_span("option", record_exception=option, end_on_exit=True):
        pass
tracer.start_span("mapping", attributes=Mapping()).end()
"""
    )
    kinds = [span["kind"] for span in result.spans if span["name"] == "kind"]
    assert kinds == ["INTERNAL"] * 6
    assert len([span for span in result.spans if span["name"] == "option"]) == 6
    assert result.span("mapping")["attributes"] == {"a": 1}


def test_values_without_a_text_raise_nothing(run):
    result = run(
        """
with tracer.start_as_current_span("s", attributes={"a": Mute()}) as span:
    span.set_attribute("b", [Mute(), 1])
    span.set_attributes({"c": {"d": Mute()}})
    span.record_exception(None)
"""
    )
    span = result.span("s")
    assert span["attributes"] == {"a": None, "b": [None, 1], "c": {"d": None}}
    assert span["events"][0]["attributes"]["exception.type"] == "NoneType"


def test_the_engine_asks_no_class_of_the_app_while_it_writes(run):
    result = run(
        """
class Number(int):
    def __str__(self): tracer.start_span("within").end(); return "?"
    __repr__ = __str__
class Text(str):
    def encode(self, *arguments): tracer.start_span("within").end(); return b"?"
with tracer.start_as_current_span("s") as span:
    span.set_attribute("number", Number(2**70))
    span.set_attribute("text", Text("\\ud800é"))
"""
    )
    assert [span["name"] for span in result.spans] == ["s"]
    assert result.span("s")["attributes"] == {"number": str(2**70), "text": "?é"}


def test_the_end_of_an_object_may_come_back_to_its_span(run):
    result = run(
        """
class Text(str):
    def __del__(self):
        span.set_attribute("from the end", 1)
        span.update_name("s")
        tracer.start_span("other").end()
span = tracer.start_span("s")
for number in range(300):
    span.set_attribute(Text(f"key {number}"), Text("value"))
    span.set_attribute("same", Text(str(number)))
    span.set_status(StatusCode.ERROR, Text("why"))
    span.update_name(Text("s"))
span.end()
"""
    )
    assert len(result.span("s")["attributes"]) == 128


@pytest.mark.parametrize(
    ("interrupt", "caught"),
    [("os.kill(os.getpid(), signal.SIGINT)", "KeyboardInterrupt"), ("sys.exit(3)", "SystemExit")],
)
def test_interrupts_inside_the_engine_reach_the_app(run, interrupt, caught):
    """A signal's handler can run whenever the engine asks the app's code for a text."""
    result = run(
        f"""
import os, signal, sys
class Slow(Exception):
    def __str__(self):
        {interrupt}
        for _ in range(1000): pass
        return "slow"
try:
    try:
        with tracer.start_as_current_span("s"):
            raise Slow()
    except Slow:
        for _ in range(1000): pass
    print("lost")
except BaseException as interrupt:
    print(type(interrupt).__name__)
"""
    )
    assert result.stdout.split() == [caught]


def test_contexts_that_lead_back_to_themselves_are_collected(run):
    result = run(
        """
import contextvars, gc, weakref
class Request: pass
alive = []
def serve():
    request = Request()
    alive.append(weakref.ref(request))
    context.attach(context.set_value("request", request))
    with tracer.start_as_current_span("s"):
        request.context = contextvars.copy_context()
for _ in range(10):
    contextvars.copy_context().run(serve)
gc.collect()
print(sum(request() is not None for request in alive))
"""
    )
    assert result.stdout.split() == ["0"]


def test_a_copy_of_a_span_is_the_span(run):
    run(
        """
import copy
span = tracer.start_span("s")
assert copy.copy(span) is span
"""
    )


def test_wrapped_apps_and_loaders_can_be_copied(run):
    run(
        """
import copy
from carafe_engine import hooks
from carafe_engine.instrument import asgi, wsgi
def app(*arguments): pass
app.name = "app"
for wrapper in (wsgi.Application(app), asgi.App(app, None), hooks._Loader(app)):
    assert copy.copy(wrapper).name == "app"
"""
    )


def test_threads_with_a_will_of_their_own_start(run):
    run(
        """
import threading
class Strict(threading.Thread):
    def __setattr__(self, name, value):
        if name.startswith("_carafe"):
            raise AttributeError(name)
        super().__setattr__(name, value)
with tracer.start_as_current_span("s") as span:
    found = []
    thread = Strict(target=lambda: found.append(trace.get_current_span()))
    thread.start()
    thread.join()
assert found == [span]
"""
    )


def test_flask_takes_the_exception_by_name(run):
    """As an override of the app's may hand it on."""
    result = run(
        """
import flask
class App(flask.Flask):
    def handle_exception(self, e):
        return super().handle_exception(e=e)
app = App("app")
@app.route("/")
def fail(): raise ValueError("why")
assert app.test_client().get("/").status_code == 500
"""
    )
    assert result.span("GET /")["events"][0]["attributes"]["exception.message"] == "why"


def test_subinterpreters_are_left_alone(run):
    """Servers like mod_wsgi run each app in one."""
    result = run(
        """
try:
    import _interpreters as interpreters
    run = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    run = interpreters.run_string
other = interpreters.create()
run(other, "import logging, sys; print('carafe_engine._native' in sys.modules, flush=True)")
interpreters.destroy(other)
tracer.start_span("main").end()
"""
    )
    assert result.stdout == "False\n"
    assert "this is a subinterpreter" in result.stderr
    assert [span["name"] for span in result.spans] == ["main"]


def test_a_request_ends_though_the_app_tidies_its_environment(run):
    result = run(
        """
import io
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
def app(environ, start_response):
    for key in [key for key in environ if key.startswith("carafe")]:
        del environ[key]
    start_response("200 OK", [])
    return [b"cleared"]
environ, out = {}, io.BytesIO()
setup_testing_defaults(environ)
SimpleHandler(io.BytesIO(), out, io.StringIO(), environ).run(app)
assert out.getvalue().endswith(b"cleared")
assert not trace.get_current_span().get_span_context().is_valid
"""
    )
    assert result.span("GET /")["attributes"]["http.status_code"] == 200
    assert not [notice for notice in result.notices if notice["kind"] == "problem"]
