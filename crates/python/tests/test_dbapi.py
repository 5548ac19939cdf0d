"""What all drivers have in common, shown with sqlite3."""

import pytest

PREAMBLE = """
import sqlite3
connection = sqlite3.connect(":memory:")
"""


def app(body):
    return PREAMBLE + body


def test_silence_is_kept(run_app):
    result = run_app(
        app("""
from opentelemetry import context
token = context.attach(context.set_value("suppress_instrumentation", True))
connection.execute("select 1")
context.detach(token)
connection.execute("select 2")
""")
    )
    assert [span["attributes"]["db.statement"] for span in result.spans] == ["select 2"]


def test_limits_of_attributes(run_app):
    result = run_app(
        app('connection.execute("select 12345678")'),
        env={"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "8"},
    )
    assert result.spans[0]["attributes"]["db.statement"] == "select 1"
    result = run_app(
        app('connection.execute("select 1")'), env={"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1"}
    )
    (span,) = result.spans
    assert span["attributes"] == {"db.statement": "select 1"}
    assert span["dropped_attributes"] == 1


def test_what_is_not_sampled_is_not_written(run_app):
    result = run_app(
        app("""
from carafe_engine import _native
with _native.provider().tracer("app").start_as_current_span("outer"):
    print(connection.execute("select 1").fetchall())
"""),
        env={"OTEL_TRACES_SAMPLER": "always_off"},
    )
    assert result.spans == [] and result.stdout == "[(1,)]\n"


def test_processors_of_the_app_see_the_spans(run_app):
    result = run_app(
        app("""
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
class Seen(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("seen", True)
    def on_end(self, span):
        print(span.name, span.attributes["db.statement"], span.attributes["seen"])
trace.get_tracer_provider().add_span_processor(Seen())
connection.execute("select 1")
""")
    )
    assert result.stdout == "select select 1 True\n"
    assert result.span("select")["attributes"]["seen"] is True


def test_a_processor_that_fails_does_not_hurt_the_app(run_app):
    result = run_app(
        app("""
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("broken")
    def on_end(self, span):
        raise RuntimeError("broken")
trace.get_tracer_provider().add_span_processor(Broken())
for _ in range(3):
    print(connection.execute("select 1").fetchall())
assert not trace.get_current_span().get_span_context().is_valid
""")
    )
    assert result.stdout == "[(1,)]\n" * 3


SHIMS = """
from carafe_engine import libraries
import logging, sqlite3
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import Dialect

before = sqlite3.connect
assert type(before).__name__ == "Function"
engine = create_engine("sqlite://")
with engine.connect() as connection:
    connection.execute(text("select 1"))
logging.warning("one")
for name in ("sqlite3", "sqlalchemy", "logging"):
    assert libraries.step_back(name, "the test says so")
assert type(sqlite3.connect).__name__ == "builtin_function_or_method"
assert sqlite3.connect is sqlite3.dbapi2.connect
assert type(Engine.connect).__name__ == "function"
assert "do_execute" not in type(engine.dialect).__dict__
assert type(logging.Logger.callHandlers).__name__ == "function"
with create_engine("sqlite:///other").connect() as connection:
    connection.execute(text("select 2"))
logging.warning("two")
"""


def test_stepping_back_restores_everything(run_app):
    result = run_app(SHIMS)
    scope = "opentelemetry.instrumentation.sqlalchemy"
    spans = [span for span in result.spans if span["scope"]["name"] == scope]
    assert [span["name"] for span in spans] == ["connect", "select"]
    assert [item["body"] for item in result.logs] == ["one"]
    left = {notice["name"] for notice in result.notices if notice["kind"] == "left_alone"}
    assert left == {"sqlite3", "sqlalchemy", "logging"}


def test_fork(run_app):
    result = run_app(
        app("""
import os
connection.execute("select 1")
pid = os.fork()
if pid == 0:
    connection.execute("select 2")
    os._exit(0)
os.waitpid(pid, 0)
connection.execute("select 3")
""")
    )
    by_process = {}
    for span in result.spans:
        by_process.setdefault(span["pid"], []).append(span["attributes"]["db.statement"])
    assert sorted(by_process.values()) == [["select 1", "select 3"], ["select 2"]]
    assert len({span["span_id"] for span in result.spans}) == 3


def test_greenlets_may_interleave(run_app):
    pytest.importorskip("gevent")
    result = run_app("""
from gevent import monkey
monkey.patch_all()
import gevent, sqlite3
from sqlalchemy import create_engine, event, text
engine = create_engine("sqlite:///shared.db", pool_size=5)
@event.listens_for(engine, "before_cursor_execute")
def switch(*arguments):
    gevent.sleep(0)
def sends(number):
    with engine.connect() as connection:
        for _ in range(5):
            connection.execute(text("select %d" % number))
    plain = sqlite3.connect(":memory:")
    plain.create_function("pause", 0, lambda: gevent.sleep(0))
    for _ in range(5):
        plain.execute("values (pause())")
gevent.joinall([gevent.spawn(sends, number) for number in range(4)])
""")
    names = [span["name"] for span in result.spans if span["name"] in ("select", "values")]
    assert names.count("select") == 20 and names.count("values") == 20
    scopes = {(span["name"], span["scope"]["name"].rpartition(".")[2]) for span in result.spans}
    assert ("select", "sqlite3") not in scopes
