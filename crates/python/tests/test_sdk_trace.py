"""Traces of apps that use the OpenTelemetry API: the global provider, and the SDK behind it."""

import os

import pytest
from distributions import distribution

GLOBAL = """
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
tracer = trace.get_tracer("app", "1.2", schema_url="https://schema", attributes={"team": "blue"})
"""


@pytest.fixture
def run(run_app):
    return lambda code, **options: run_app(GLOBAL + code, **options)


def test_spans_of_the_api_reach_the_ring(run):
    result = run(
        """
with tracer.start_as_current_span("outer", kind=SpanKind.PRODUCER) as outer:
    assert trace.get_current_span() is outer
    with tracer.start_as_current_span("inner", attributes={"n": [1, 2]}) as inner:
        inner.add_event("seen", {"by": "me"})
        inner.set_status(Status(StatusCode.OK))
assert trace.get_current_span() is trace.INVALID_SPAN
"""
    )
    outer, inner = result.span("outer"), result.span("inner")
    assert inner["parent_id"] == outer["span_id"] and outer["parent_id"] is None
    assert outer["kind"] == "PRODUCER" and inner["status"] == "OK"
    assert inner["attributes"] == {"n": [1, 2]}
    assert inner["events"][0]["attributes"] == {"by": "me"}
    assert outer["scope"] == {
        "name": "app",
        "version": "1.2",
        "schema_url": "https://schema",
        "attributes": {"team": "blue"},
    }


def test_no_thread_and_no_sdk_module_for_spans_alone(run):
    result = run(
        """
import sys, threading
with tracer.start_as_current_span("one"):
    pass
assert threading.active_count() == 1
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    )
    assert result.span_names() == ["one"]
    assert result.stdout.strip() == "[]"


def test_the_global_objects_are_the_sdks(run):
    run(
        """
from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer, TracerProvider
provider = trace.get_tracer_provider()
assert isinstance(provider, TracerProvider) and isinstance(tracer, Tracer)
span = tracer.start_span("s")
assert isinstance(span, Span) and isinstance(span, ReadableSpan) and isinstance(span, trace.Span)
assert provider.force_flush() is True
assert provider.sampler.get_description().startswith("ParentBased")
"""
    )


def test_a_second_provider_is_refused_and_works_on_its_own(run):
    result = run(
        """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
own, memory = TracerProvider(), InMemorySpanExporter()
own.add_span_processor(SimpleSpanProcessor(memory))
before = trace.get_tracer_provider()
trace.set_tracer_provider(own)
assert trace.get_tracer_provider() is before
with tracer.start_as_current_span("global") as parent:
    with own.get_tracer("own").start_as_current_span("own") as child:
        assert trace.get_current_span() is child
        with tracer.start_as_current_span("below"):
            pass
(kept,) = memory.get_finished_spans()
assert kept.name == "own" and kept.parent == parent.get_span_context()
print("%016x" % kept.context.span_id)
"""
    )
    assert "Overriding of current TracerProvider is not allowed" in result.stderr
    assert sorted(result.span_names()) == ["below", "global"]
    assert result.span("below")["parent_id"] == result.stdout.strip()


def test_processors_of_the_app_see_all_spans(run):
    result = run(
        """
import carafe_engine._native as native
from opentelemetry.sdk.trace import SpanProcessor
class Mark(SpanProcessor):
    seen = []
    def on_start(self, span, parent_context=None):
        parent = trace.get_current_span(parent_context)
        self.seen.append(("start", span.name, getattr(parent, "name", None)))
        span.set_attribute("marked", True)
    def _on_ending(self, span):
        span.set_attribute("late", 1)
    def on_end(self, span):
        self.seen.append(("end", span.name, span.end_time is not None, dict(span.attributes)))
    def shutdown(self):
        print("shut down")
trace.get_tracer_provider().add_span_processor(Mark())
with tracer.start_as_current_span("outer"):
    with native.provider().tracer("built-in").start_as_current_span("inner"):
        pass
assert Mark.seen == [
    ("start", "outer", None),
    ("start", "inner", "outer"),
    ("end", "inner", True, {"marked": True, "late": 1}),
    ("end", "outer", True, {"marked": True, "late": 1}),
], Mark.seen
"""
    )
    assert result.stdout == "shut down\n"
    assert result.span("inner")["attributes"] == {"marked": True, "late": 1}


def test_what_apps_do_beside_the_api_works(run):
    result = run(
        """
from opentelemetry import context
assert trace.get_tracer(7, 1.0).instrumentation_scope.version == "1.0"
assert tracer.resource.attributes["telemetry.sdk.language"] == "python"
odd = trace.set_span_in_context("no span")
span = tracer.start_span("s", odd)
assert span.parent is None
span.mine = "kept"
assert span.mine == "kept" and span._start_time == span.start_time and span._name == "s"
assert not hasattr(span, "_absent")
span.end()
"""
    )
    assert result.span("s")["parent_id"] is None


def test_a_processor_that_raises_is_the_apps_to_see(run):
    result = run(
        """
from opentelemetry.sdk.trace import SpanProcessor
class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise ValueError("mine")
trace.get_tracer_provider().add_span_processor(Broken())
try:
    tracer.start_span("s")
except ValueError as error:
    print(error)
"""
    )
    assert result.stdout == "mine\n"


# What a span can be told, in both ways: with the native spans of the global provider, and with
# those in Python of a provider of the app's own.
SCENARIOS = {
    "attributes": """
span.set_attributes({"a": 1, "none": None, "mixed": [1, "b", None, {"c": b"d"}], "map": {"x": {"y": 2}}})
span.set_attribute("", "no key")
span.set_attribute(7, "no text")
span.set_attribute("a", "again")
class Quiet: pass
class Loud:
    def __str__(self): return "loud"
span.set_attribute("quiet", Quiet())
span.set_attribute("loud", Loud())
""",
    "too many attributes": """
for number in range(150):
    span.set_attribute("k%d" % number, number)
span.set_attribute("k100", "again")
""",
    "events": """
for number in range(130):
    span.add_event("e%d" % number, {"n": number, "list": [1, 2]}, timestamp=number + 1)
""",
    "links": """
context = trace.SpanContext(5, 6, True, trace.TraceFlags(1), trace.TraceState([("a", "b")]))
span.add_link(context, {"n": 1})
span.add_link(trace.INVALID_SPAN_CONTEXT)
span.add_link(trace.INVALID_SPAN_CONTEXT, {"only": "attributes"})
span.add_link(None)
for number in range(130):
    span.add_link(trace.SpanContext(5, number + 1, False))
""",
    "status": """
span.set_status(StatusCode.ERROR, "why")
span.set_status(StatusCode.UNSET)
span.set_status(Status(StatusCode.ERROR, "because"))
""",
    "status stays ok": """
span.set_status(Status(StatusCode.OK))
span.set_status(StatusCode.ERROR, "too late")
""",
    "exception": """
try:
    raise KeyError("missing")
except KeyError as error:
    span.record_exception(error, {"mine": 1, "exception.message": "other"}, timestamp=9)
    span.record_exception(error, escaped=True, timestamp=10)
""",
    "name": "span.update_name('other')",
    "after the end": """
span.end()
span.set_attribute("late", 1)
span.add_event("late")
span.update_name("late")
span.set_status(StatusCode.ERROR)
span.end()
""",
}

BOTH = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from opentelemetry.sdk.trace import TracerProvider
def readings(tracer):
    links = [Link(trace.SpanContext(1, 2, True), {"first": 1}), None, Link(trace.INVALID_SPAN_CONTEXT)]
    span = tracer.start_span("name", attributes={"given": (1, 2)}, links=links, start_time=1000, kind=SpanKind.CLIENT)
    exec(sys.argv[1], {**globals(), "span": span})
    if span.is_recording():
        span.end(2000)
    reading = json.loads(json.dumps(json.loads(span.to_json()), default=repr)) if not has_bytes(span) else {}
    for key in ("context", "resource"):
        reading.pop(key, None)
    if span.end_time != 2000:
        reading.pop("end_time", None)
    for event in span.events:
        assert event.name and event.timestamp
    return {
        **reading,
        "attributes": repr(dict(span.attributes)),
        "events": [(e.name, e.timestamp, stack_free(dict(e.attributes)), e.dropped_attributes) for e in span.events],
        "links": [(l.context.trace_id, l.context.span_id, repr(l.context.trace_state), dict(l.attributes)) for l in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "status": (span.status.status_code.name, span.status.description),
        "start": span.start_time,
        "recording": span.is_recording(),
        "kind": repr(span.kind),
    }
def has_bytes(span):
    return "b'" in repr(dict(span.attributes))
def stack_free(attributes):
    if "exception.stacktrace" in attributes:
        attributes["exception.stacktrace"] = attributes["exception.stacktrace"].splitlines()[-1]
    return attributes
ours = readings(tracer)
theirs = readings(TracerProvider().get_tracer("own"))
for key in sorted(set(ours) | set(theirs)):
    if ours.get(key) != theirs.get(key):
        print(key, ours.get(key), theirs.get(key), sep="\\n  ")
"""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_native_spans_read_as_those_in_python(run, scenario):
    result = run(BOTH, args=[SCENARIOS[scenario]])
    assert result.stdout == ""


def test_exceptions_that_leave_a_block(run):
    result = run(
        """
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")
def leave(block, error):
    try:
        with block:
            raise error
    except BaseException as seen:
        assert seen is error
leave(tracer.start_as_current_span("current"), ValueError("why"))
leave(tracer.start_span("not current"), ValueError("why"))
leave(tracer.start_as_current_span("quiet", record_exception=False, set_status_on_exception=False), ValueError())
leave(tracer.start_as_current_span("cancelled"), GeneratorExit())
leave(tracer.start_as_current_span("mute"), Mute())
"""
    )
    current, other = result.span("current"), result.span("not current")
    for span, escaped in ((current, "False"), (other, "True")):
        assert (span["status"], span["status_description"]) == ("ERROR", "ValueError: why")
        assert span["events"][0]["attributes"]["exception.escaped"] == escaped
    for name in ("quiet", "cancelled", "mute"):
        assert (result.span(name)["status"], result.span(name)["events"]) == ("UNSET", [])


def test_limits_of_the_environment_hold_for_native_spans(run):
    result = run(
        """
context = trace.SpanContext(5, 6, False)
with tracer.start_as_current_span("s", links=[Link(context, {"a": "123456", "b": 2})] * 3) as span:
    for key in "abc":
        span.set_attribute(key, "123456")
    for key in "xyz":
        span.add_event(key, {"a": "123456", "b": 2})
""",
        env={
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
            "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
            "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1",
            "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "1",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        },
    )
    span = result.span("s")
    assert span["attributes"] == {"b": "1234", "c": "1234"}
    assert [event["name"] for event in span["events"]] == ["y", "z"]
    assert span["events"][0]["attributes"] == {"b": 2}
    assert [link["attributes"] for link in span["links"]] == [{"b": 2}]
    dropped = [span[f"dropped_{what}"] for what in ("attributes", "events", "links")]
    assert dropped == [1, 1, 2]


def test_a_decorator_makes_a_span_for_each_call(run):
    result = run(
        """
import asyncio
@tracer.start_as_current_span("plain")
def plain():
    return trace.get_current_span().name
@tracer.start_as_current_span("awaited")
async def awaited():
    await asyncio.sleep(0)
    return trace.get_current_span().name
assert plain() == plain() == "plain"
assert asyncio.run(awaited()) == "awaited"
"""
    )
    assert sorted(result.span_names()) == ["awaited", "plain", "plain"]


def test_contexts_of_the_api_are_those_of_the_engine(run):
    result = run(
        """
from opentelemetry import baggage, context, propagate
import carafe_engine._native as native
token = context.attach(baggage.set_baggage("user", "7"))
with native.provider().tracer("built-in").start_as_current_span("s") as span:
    assert trace.get_current_span() is span
    assert baggage.get_baggage("user") == "7"
    headers = {}
    propagate.inject(headers)
    assert headers["baggage"] == "user=7"
    assert headers["traceparent"].split("-")[1:3] == [span.trace_id_hex, span.span_id_hex]
    assert dict(native.inject())["traceparent"] == headers["traceparent"]
context.detach(token)
assert not context.get_current()
parent = propagate.extract({"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
tracer.start_span("child", parent).end()
"""
    )
    assert result.span("child")["trace_id"] == "a" * 32


@pytest.fixture
def parts(tmp_path):
    """A distribution with one of everything that the environment can name."""
    return distribution(
        tmp_path,
        "user_parts",
        entry_points={
            "opentelemetry_traces_sampler": {
                "picky": "user_parts:Picky",
                "broken": "user_parts:nothing",
            },
            "opentelemetry_id_generator": {"counting": "user_parts:Counting"},
            "opentelemetry_resource_detector": {"where": "user_parts:Where"},
            "opentelemetry_traces_exporter": {"file": "user_parts:File"},
            "opentelemetry_propagator": {"note": "user_parts:Note"},
            "_opentelemetry_tracer_configurator": {"quiet": "user_parts:quiet"},
        },
        modules={
            "user_parts": """
            import itertools, os
            from opentelemetry import trace
            from opentelemetry.propagators import textmap
            from opentelemetry.sdk.resources import Resource, ResourceDetector
            from opentelemetry.sdk.trace import IdGenerator, _TracerConfig
            from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
            from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
            class Picky(Sampler):
                def __init__(self, argument):
                    self.argument = argument
                def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None,
                                  links=None, trace_state=None):
                    kept = Decision.DROP if name.startswith("drop") else Decision.RECORD_AND_SAMPLE
                    return SamplingResult(kept, {**(attributes or {}), "sampler": self.argument})
                def get_description(self):
                    return "Picky"
            class Counting(IdGenerator):
                def __init__(self):
                    self.next = itertools.count(1)
                def generate_trace_id(self):
                    return 0xabc
                def generate_span_id(self):
                    return next(self.next)
            class Where(ResourceDetector):
                def is_process_dependent(self):
                    return True
                def detect(self):
                    return Resource({"where": "here", "where.pid": os.getpid()})
            class File(SpanExporter):
                def export(self, spans):
                    print(*[span.name for span in spans])
                    return SpanExportResult.SUCCESS
            class Note(textmap.TextMapPropagator):
                fields = {"X-Note"}
                def extract(self, carrier, context=None, getter=textmap.default_getter):
                    ids = getter.get(carrier, "X-Note")
                    if not ids:
                        return context
                    trace_id, span_id = (int(part, 16) for part in ids[0].split("/"))
                    parent = trace.SpanContext(trace_id, span_id, True, trace.TraceFlags(1))
                    return trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
                def inject(self, carrier, context=None, setter=textmap.default_setter):
                    current = trace.get_current_span(context).get_span_context()
                    setter.set(carrier, "X-Note", f"{current.trace_id:x}/{current.span_id:x}")
            def quiet(scope):
                return _TracerConfig(is_enabled=scope.name != "app")
            """
        },
    )


@pytest.fixture
def run_with_parts(run, engine_dir, parts):
    def run_with_parts(code, **env):
        path = os.pathsep.join([str(engine_dir), parts])
        return run(code, env={"PYTHONPATH": path, **env})

    return run_with_parts


def test_a_sampler_of_the_users_decides(run_with_parts):
    result = run_with_parts(
        """
with tracer.start_as_current_span("kept"):
    with tracer.start_as_current_span("dropped") as span:
        assert not span.is_recording() and span.get_span_context().is_valid
assert trace.get_tracer_provider().sampler.get_description() == "Picky"
""",
        OTEL_TRACES_SAMPLER="picky",
        OTEL_TRACES_SAMPLER_ARG="x",
    )
    assert result.span_names() == ["kept"]
    assert result.span("kept")["attributes"] == {"sampler": "x"}


def test_what_cannot_be_loaded_is_said_and_does_no_harm(run_with_parts):
    result = run_with_parts(
        "tracer.start_span('s').end()",
        OTEL_TRACES_SAMPLER="broken",
        OTEL_PYTHON_ID_GENERATOR="absent",
    )
    assert result.span_names() == ["s"]
    problems = {n["name"]: n["reason"] for n in result.notices if n["kind"] == "problem"}
    assert problems["broken"].startswith("OTEL_TRACES_SAMPLER: AttributeError")
    assert problems["absent"].startswith("OTEL_PYTHON_ID_GENERATOR: LookupError")


def test_an_id_generator_of_the_users_makes_the_ids(run_with_parts):
    result = run_with_parts(
        """
with tracer.start_as_current_span("one"):
    tracer.start_span("two").end()
""",
        OTEL_PYTHON_ID_GENERATOR="counting",
    )
    assert {span["trace_id"] for span in result.spans} == {"abc".rjust(32, "0")}
    assert sorted(int(span["span_id"], 16) for span in result.spans) == [1, 2]
    # Not random, and not said to be.
    assert {span["flags"] & 0xFF for span in result.spans} == {1}


def test_resource_detectors_of_the_users_describe_every_process(run_with_parts):
    result = run_with_parts(
        """
import os
if not os.fork():
    tracer.start_span("child").end()
    os._exit(0)
os.wait()
tracer.start_span("parent").end()
assert trace.get_tracer_provider().resource.attributes["where"] == "here"
""",
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="where,otel",
    )
    assert len(result.spans) == 2
    for span in result.spans:
        resource = result.resources[span["pid"]]
        assert (resource["where"], resource["where.pid"]) == ("here", span["pid"])


def test_an_exporter_of_the_users_gets_the_spans(run_with_parts):
    result = run_with_parts("tracer.start_span('s').end()", OTEL_TRACES_EXPORTER="file")
    assert result.stdout == "s\n" and result.span_names() == ["s"]
    assert any(n["name"] == "file" and n["kind"] == "instrumented" for n in result.notices)


def test_a_propagator_of_the_users_reads_and_writes_headers(run_with_parts):
    result = run_with_parts(
        """
import carafe_engine._native as native
def requests_headers(name):
    return {"x-note": "abc/def"}.get(name)
token = native.attach(native.extract(requests_headers))
with tracer.start_as_current_span("served") as span:
    assert native.inject() == [("x-note", "abc/%x" % span.get_span_context().span_id)]
native.detach(token)
assert native.extract(lambda name: None) is None
""",
        OTEL_PROPAGATORS="note,baggage",
    )
    served = result.span("served")
    assert int(served["trace_id"], 16) == 0xABC and int(served["parent_id"], 16) == 0xDEF


def test_a_tracer_configurator_turns_scopes_off(run_with_parts):
    result = run_with_parts(
        """
assert not tracer.start_span("off").is_recording()
trace.get_tracer("other").start_span("on").end()
""",
        OTEL_PYTHON_TRACER_CONFIGURATOR="quiet",
    )
    assert result.span_names() == ["on"]


def test_the_resource_is_that_of_the_process(run):
    result = run(
        """
import os
provider = trace.get_tracer_provider()
def tell():
    tracer.start_span("s").end()
    print(os.getpid(), provider.resource.attributes["service.instance.id"], flush=True)
tell()
if not os.fork():
    tell()
    os._exit(0)
os.wait()
assert provider.resource.attributes["telemetry.distro.name"] == "carafe"
assert provider.resource.attributes["service.name"] == "shop"
""",
        env={"OTEL_SERVICE_NAME": "shop"},
    )
    told = dict(line.split() for line in result.stdout.splitlines())
    assert len(set(told.values())) == 2
    for span in result.spans:
        assert result.resources[span["pid"]]["service.instance.id"] == told[str(span["pid"])]


@pytest.mark.parametrize("teapot", ["teapot", "pika"])
def test_official_packages_that_we_lack_are_activated(run_app, engine_dir, tmp_path, teapot):
    # Of a library that the engine has heard of (at its import), and of one that it has not.
    directory = distribution(
        tmp_path,
        f"opentelemetry_instrumentation_{teapot}",
        requires=[f"{teapot} >= 1 ; extra == 'instruments'"],
        entry_points={"opentelemetry_instrumentor": {teapot: "teapot_instrumentor:Teapot"}},
        modules={
            "teapot_instrumentor": f"""
            from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
            class Teapot(BaseInstrumentor):
                def instrumentation_dependencies(self):
                    return ["{teapot} >= 1"]
                def _instrument(self, **kwargs):
                    import {teapot}
                    {teapot}.is_told = True
                def _uninstrument(self, **kwargs):
                    pass
            """,
            teapot: "is_told = False",
        },
    )
    code = f"import sys; api = 'opentelemetry' in sys.modules; import {teapot}; print({teapot}.is_told, api)"
    env = {"PYTHONPATH": os.pathsep.join([str(engine_dir), directory])}

    def told(**more):
        result = run_app(code, env={**env, **more})
        (notice,) = [n for n in result.notices if n["name"] == teapot] or [None]
        is_told, has_api = result.stdout.split()
        assert has_api == str(teapot == "teapot")
        return is_told, notice and notice["kind"]

    # The library is a module without a distribution: the package's needs are not met.
    assert told() == ("False", None)
    metadata = tmp_path / f"{teapot}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {teapot}\nVersion: 1.2\n")
    assert told() == ("True", "instrumented")
    disabled = told(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=teapot)
    assert disabled == ("False", "left_alone")


@pytest.mark.parametrize(
    "activate", ["FlaskInstrumentor().instrument()", "FlaskInstrumentor().instrument_app(app)"]
)
def test_ours_steps_back_where_the_app_activates_the_official_one(run_app, activate):
    before = activate.replace("instrument()", "instrument()") if "_app" not in activate else ""
    after = activate if "_app" in activate else ""
    result = run_app(
        f"""
from opentelemetry.instrumentation.flask import FlaskInstrumentor
{before}
import flask
app = flask.Flask("app")
{after}
@app.route("/hello/<name>")
def hello(name):
    return "hello " + name
assert app.test_client().get("/hello/you").data == b"hello you"
"""
    )
    (span,) = result.spans
    assert span["name"] == "GET /hello/<name>" and span["kind"] == "SERVER"
    assert span["scope"]["name"] == "opentelemetry.instrumentation.flask"
    assert span["scope"]["version"].startswith("0.66")
    left = [n for n in result.notices if n["kind"] == "left_alone" and n["name"] == "flask"]
    assert left and "opentelemetry-instrumentation-flask" in left[0]["reason"]


def test_without_the_api_nothing_of_this_is_loaded(run_app):
    result = run_app(
        """
import sys
print([name for name in sys.modules if name.startswith("opentelemetry")], "carafe_engine.traces" in sys.modules)
"""
    )
    assert result.stdout.strip() == "[] False"


def test_an_api_of_another_generation_is_left_alone(run_app, engine_dir, tmp_path):
    for module, source in {
        "opentelemetry/version/__init__.py": "__version__ = '2.0.0'",
        "opentelemetry/trace/__init__.py": "def set_tracer_provider(provider): raise SystemExit('set')",
        "opentelemetry/sdk/__init__.py": "mine = True",
    }.items():
        path = tmp_path / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    result = run_app(
        "import opentelemetry.trace, opentelemetry.sdk; print(opentelemetry.sdk.mine)",
        env={"PYTHONPATH": os.pathsep.join([str(engine_dir), str(tmp_path)])},
    )
    assert result.stdout.strip() == "True"
    (notice,) = [n for n in result.notices if n["name"] == "opentelemetry-api"]
    assert (notice["kind"], notice["version"]) == ("left_alone", "2.0.0")
