"""The native half alone: no framework and no OpenTelemetry package in the app."""

import os

import pytest
import ring

PRELUDE = """
import carafe_engine._native as native
tracer = native.provider().tracer("test", "1.0")
"""


@pytest.fixture
def run(run_app):
    def run(code, **options):
        return run_app(PRELUDE + code, **options)

    return run


def test_spans_nest_and_carry_what_they_were_given(run):
    result = run(
        """
with tracer.start_as_current_span("outer", kind=1, attributes={"a": 1, "b": 2.5}) as outer:
    outer.set_attribute("c", True)
    outer.set_attribute("a", "again")
    with tracer.start_as_current_span("inner") as inner:
        inner.set_attributes({"list": ["x", "y"], "big": 2**70, "text": "\\ud800é"})
        inner.add_event("happened", {"n": 1}, timestamp=5)
    assert native.current_span() is outer
assert native.current() is None
"""
    )
    outer, inner = result.span("outer"), result.span("inner")
    assert result.children(outer) == [inner]
    assert outer["parent_id"] is None and outer["kind"] == "SERVER"
    assert outer["attributes"] == {"a": "again", "b": 2.5, "c": True}
    assert inner["attributes"] == {"list": ["x", "y"], "big": str(2**70), "text": "?é"}
    assert inner["events"][0]["name"] == "happened" and inner["events"][0]["time_ns"] == 5
    assert outer["start_ns"] <= inner["start_ns"] <= inner["end_ns"] <= outer["end_ns"]
    assert outer["scope"]["name"] == "test" and outer["scope"]["version"] == "1.0"
    assert outer["flags"] & 0xFF == 3


def test_an_exception_is_recorded_and_goes_on(run):
    result = run(
        """
class Broken(Exception): pass
try:
    with tracer.start_as_current_span("broken"):
        raise Broken("why")
except Broken:
    pass
else:
    raise AssertionError("swallowed")
"""
    )
    span = result.span("broken")
    assert (span["status"], span["status_description"]) == ("ERROR", "Broken: why")
    attributes = span["events"][0]["attributes"]
    assert attributes["exception.type"] == "__main__.Broken"
    assert attributes["exception.message"] == "why"
    assert "raise Broken" in attributes["exception.stacktrace"]


def test_what_is_no_attribute_is_made_one_or_left_out_and_said(run):
    result = run(
        """
with tracer.start_as_current_span("s", attributes={"": 1, "o": object(), "m": [1, "x"], "ok": 1}) as s:
    s.set_attribute(3, "x")
s.set_attribute("late", 1)
s.end()
"""
    )
    assert result.span("s")["attributes"] == {"ok": 1, "o": None, "m": [1, "x"]}
    for text in ("Invalid attribute key", "invalid key", "Invalid type object", "on ended span"):
        assert text in result.stderr


@pytest.mark.parametrize(
    ("variables", "sampled"),
    [
        ({}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1"}, True),
        ({"CARAFE_SIGNALS": "metrics,logs"}, None),
    ],
)
def test_samplers(run, variables, sampled):
    result = run(
        """
with tracer.start_as_current_span("root") as root:
    with tracer.start_as_current_span("child") as child:
        print(root.is_sampled, child.is_sampled, child.trace_id_hex == root.trace_id_hex)
""",
        env=variables,
    )
    # Without an exporter spans are made, for others to continue, but not written.
    expected = sampled is not False
    assert result.stdout.split() == [str(expected), str(expected), "True"]
    assert len(result.spans) == (2 if sampled else 0)


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("propagators", "headers"),
    [
        ("tracecontext", {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "v=1,w=2"}),
        ("b3", {"b3": f"{TRACE}-{SPAN}-1"}),
        ("b3multi", {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}),
        ("jaeger", {"uber-trace-id": f"{TRACE}:{SPAN}:0:1"}),
    ],
)
def test_headers_come_in_and_go_out(run, propagators, headers):
    result = run(
        f"""
context = native.extract({headers!r}.get)
token = native.attach(context)
with tracer.start_as_current_span("served") as span:
    print(dict(native.inject()))
    print(span.span_id_hex)
native.detach(token)
assert native.current() is None
""",
        env={"OTEL_PROPAGATORS": propagators},
    )
    served = result.span("served")
    assert (served["trace_id"], served["parent_id"]) == (TRACE, SPAN)
    assert served["flags"] & 0x300 == 0x300
    out, own = result.stdout.splitlines()
    assert eval(out) == {name: value.replace(SPAN, own.strip()) for name, value in headers.items()}


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "garbage"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-01-more"},
        {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}"},
        {"traceparent": ""},
        {},
    ],
)
def test_bad_headers_start_a_new_trace(run, headers):
    result = run(f"assert native.extract({headers!r}.get) is None")
    assert result.returncode == 0


def test_baggage_is_passed_on_as_it_came(run):
    result = run(
        """
token = native.attach(native.extract({"baggage": "user=x%20y,k=v;p=1"}.get))
with tracer.start_as_current_span("s"):
    print(dict(native.inject())["baggage"])
"""
    )
    assert result.stdout.strip() == "user=x%20y,k=v;p=1"
    assert result.span("s")["parent_id"] is None


def test_a_forked_process_has_a_ring_and_an_id_of_its_own(run):
    result = run(
        """
import os
counter = native.meter("m").instrument(0, "count", "1", "Things.")
counter.add(1, {"k": "v"})
with tracer.start_as_current_span("before"): pass
if os.fork() == 0:
    counter.add(2, {"k": "v"})
    with tracer.start_as_current_span("child"): pass
    os._exit(0)
os.wait()
counter.add(4, {"k": "v"})
"""
    )
    parent, child = result.span("before")["pid"], result.span("child")["pid"]
    assert parent != child
    ids = {result.resources[pid]["service.instance.id"] for pid in (parent, child)}
    assert len(ids) == 2
    values = [(item["pid"], item["value"], item["attributes"]) for item in result.metric("count")]
    assert sorted(values) == sorted(
        [(parent, 1, {"k": "v"}), (parent, 4, {"k": "v"}), (child, 2, {"k": "v"})]
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_worker_that_gives_up_root_keeps_its_ring(run):
    result = run(
        """
import os
if os.fork() == 0:
    os.setgid(65534)
    os.setuid(65534)
    with tracer.start_as_current_span("worker"): pass
    os._exit(0)
os.wait()
"""
    )
    assert result.span_names() == ["worker"]


def test_the_resource_names_the_engine(run):
    (resource,) = run("native.notice(0, 'x', '', '')").resources.values()
    assert resource["telemetry.sdk.language"] == "python"
    assert resource["telemetry.distro.name"] == "carafe"
    users = run(
        "native.notice(0, 'x', '', '')",
        env={"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.instance.id=mine"},
    )
    (resource,) = users.resources.values()
    # The launcher knows what the user gave.
    assert "service.instance.id" not in resource


def test_measurements_keep_their_types_and_spans(run):
    result = run(
        """
meter = native.meter("m", "2")
counter = meter.instrument(0, "count")
with tracer.start_as_current_span("s"):
    counter.add(1, {"v": 1})
counter.add(1, {"v": True})
counter.add(0.5, {"v": 1.0})
counter.add(1, {"b": 1, "a": 2})
counter.add(1, {"a": 2, "b": 1})
counter.add(-1)
counter.add("many")
native.meter("m").instrument(2, "size", "By", "", [1.0, 2.0]).record(7)
"""
    )
    first, second, third, *rest = result.metric("count")
    assert first["attributes"] == {"v": 1} and type(first["attributes"]["v"]) is int
    assert second["attributes"]["v"] is True and type(third["attributes"]["v"]) is float
    assert first["span"]["span_id"] == result.span("s")["span_id"] and second["span"] is None
    assert [type(item["value"]) for item in (first, third)] == [int, float]
    assert [item["attributes"] for item in rest] == [{"a": 2, "b": 1}] * 2
    assert result.stderr.count("ignores it") == 2
    assert result.metric("size")[0]["boundaries"] == [1.0, 2.0]


def test_log_records(run):
    result = run(
        """
logger = native.logger("app")
with tracer.start_as_current_span("s"):
    logger.emit_fields(1, 2, 9, "INFO", {"nested": [1, {"x": b"y"}]}, {"k": "v"}, "event")
logger.emit_fields(None, None, None, None, None, None)
"""
    )
    first, second = result.logs
    assert first["body"] == {"nested": [1, {"x": b"y"}]}
    assert (first["time_ns"], first["observed_ns"]) == (1, 2)
    assert first["span_id"] == result.span("s")["span_id"]
    assert (first["severity_number"], first["severity_text"]) == (9, "INFO")
    assert first["event_name"] == "event" and first["scope"]["name"] == "app"
    assert second["span_id"] is None and second["observed_ns"] > 0


def test_limits_of_the_environment(run):
    result = run(
        """
with tracer.start_as_current_span("s", attributes={"a": "xyz", "b": 1, "c": 1}) as span:
    for number in range(3):
        span.add_event(str(number), {"t": "long text"})
""",
        env={
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "1",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        },
    )
    span = result.span("s")
    assert len(span["attributes"]) == 2 and span["dropped_attributes"] == 1
    assert [event["name"] for event in span["events"]] == ["2"] and span["dropped_events"] == 2
    assert span["events"][0]["attributes"] == {"t": "long"}


def test_a_span_that_is_too_long_is_cut_not_lost(run):
    result = run(
        """
with tracer.start_as_current_span("long", attributes={"statement": "é" * 1_000_000, "ok": 1}): pass
native.logger("l").emit_fields(None, None, None, None, "x" * 3_000_000, None)
"""
    )
    attributes = result.span("long")["attributes"]
    assert attributes["ok"] == 1 and set(attributes["statement"]) == {"é"}
    assert 1_000 < len(attributes["statement"]) < 1_000_000
    assert 1_000 < len(result.logs[0]["body"]) < 3_000_000
    assert result.dropped == 0


def test_a_full_ring_drops_and_tells_again_what_it_must_know(run):
    result = run(
        """
fill = native.logger("fill")
while fill.emit_fields(None, None, None, None, "x" * 100_000, None): pass
native.meter("m").instrument(0, "lost").add(1, {"k": "v"})
"""
    )
    # Nobody reads this ring: the point is that the app goes on, and that the loss is counted.
    assert result.dropped >= 1 and result.returncode == 0


def test_threads_do_not_share_what_is_current(run):
    result = run(
        """
import threading
def work(name):
    assert native.current() is None
    with tracer.start_as_current_span(name): pass
with tracer.start_as_current_span("main"):
    token = native.attach(None)
    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    native.detach(token)
""",
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "threading"},
    )
    assert sorted(result.span_names()) == sorted([*map(str, range(8)), "main"])


@pytest.mark.parametrize(
    "variables", [{"OTEL_SDK_DISABLED": "true"}, {"CARAFE_RING_DIR": "/nowhere"}]
)
def test_the_engine_stays_off_and_the_app_runs(run, variables):
    result = run(
        """
with tracer.start_as_current_span("s") as span: print(span.trace_id_hex)
print(native.is_on())
""",
        env=variables,
    )
    assert result.stdout.split()[-1] == "False" and len(result.stdout.split()[0]) == 32
    assert not result.spans


def test_the_apps_own_sitecustomize_runs_too(run_app, tmp_path, engine_dir):
    (tmp_path / "sitecustomize.py").write_text("marker = 'mine'\n")
    result = run_app(
        "import sitecustomize; print(sitecustomize.marker)",
        env={"PYTHONPATH": f"{engine_dir}:{tmp_path}"},
    )
    assert result.stdout.strip() == "mine"


def test_reading_foreign_rings_finds_nothing(tmp_path):
    assert ring.read(tmp_path).spans == []
