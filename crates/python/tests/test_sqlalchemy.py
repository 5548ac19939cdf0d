"""SQLAlchemy: the spans and metrics of the official package 0.66b1, recorded side by side.

Differences that are meant: a statement is one span, not SQLAlchemy's and the driver's; where the
database is a file, its path is not in the names of spans (`SELECT`, not `SELECT /srv/todo.db`),
and so not in `db.operation`.
"""

import pytest

pytest.importorskip("sqlalchemy")

SCOPE = "opentelemetry.instrumentation.sqlalchemy"

PREAMBLE = """
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///todo.db")
with engine.begin() as connection:
    connection.exec_driver_sql("create table task (id integer, title text)")
print("ready")
"""


def statements(result):
    """Spans of statements, those of the first connection left out."""
    return [span for span in result.spans if span["name"] not in ("connect", "PRAGMA", "create")]


def app(body):
    return PREAMBLE + body


def test_a_statement_is_one_span(run_app):
    result = run_app(
        app("""
with engine.connect() as connection:
    print(connection.execute(text("SELECT id FROM task")).fetchall())
""")
    )
    assert result.stdout == "ready\n[]\n"
    (span,) = statements(result)
    assert (span["name"], span["kind"], span["status"]) == ("SELECT", "CLIENT", "UNSET")
    assert span["attributes"] == {
        "db.name": "todo.db",
        "db.statement": "SELECT id FROM task",
        "db.system": "sqlite",
        "db.operation": "SELECT",
    }
    assert span["scope"]["name"] == SCOPE
    connects = [span for span in result.spans if span["name"] == "connect"]
    assert len(connects) == 2
    for connect in connects:
        assert connect["kind"] == "CLIENT" and connect["scope"]["name"] == SCOPE
        assert connect["attributes"] == {"db.name": "todo.db", "db.system": "sqlite"}
    # What SQLAlchemy asks a new connection past its events is the driver's to report.
    pragma = result.span("PRAGMA")
    assert pragma["scope"]["name"] == "opentelemetry.instrumentation.sqlite3"
    assert pragma["parent_id"] == connects[0]["span_id"]


EXPECTED = {
    "database": {
        "db.namespace": "todo.db",
        "db.query.text": "SELECT 1",
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
    },
    "database/dup": {
        "db.name": "todo.db",
        "db.namespace": "todo.db",
        "db.statement": "SELECT 1",
        "db.query.text": "SELECT 1",
        "db.system": "sqlite",
        "db.system.name": "sqlite",
        "db.operation": "SELECT",
        "db.operation.name": "SELECT",
    },
}


@pytest.mark.parametrize("choice", EXPECTED)
def test_conventions(run_app, choice):
    result = run_app(
        app("""
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
"""),
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": choice},
    )
    (span,) = statements(result)
    assert span["attributes"] == EXPECTED[choice]


def test_an_error(run_app):
    result = run_app(
        app("""
from sqlalchemy.exc import OperationalError
with engine.connect() as connection:
    try:
        connection.execute(text("SELECT * FROM nope"))
    except OperationalError as error:
        print(str(error).splitlines()[0])
    connection.execute(text("SELECT 2"))
""")
    )
    assert result.stdout == "ready\n(sqlite3.OperationalError) no such table: nope\n"
    failed, after = statements(result)
    assert (failed["status"], failed["status_description"]) == ("ERROR", "no such table: nope")
    assert failed["events"] == []
    assert after["status"] == "UNSET"


def test_many_parameters_and_scripts(run_app):
    result = run_app(
        app("""
with engine.begin() as connection:
    connection.execute(text("INSERT INTO task VALUES (:id, 'a')"), [{"id": 1}, {"id": 2}])
    connection.exec_driver_sql("INSERT INTO task VALUES (3, 'b')")
    connection.execute(text("/* note */ SELECT count(*) FROM task"))
""")
    )
    assert [span["name"] for span in statements(result)] == ["INSERT", "INSERT", "SELECT"]


def test_the_orm_in_a_request(run_app):
    result = run_app("""
from carafe_engine import _native
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy import Column, Integer, String
Base = declarative_base()
class Task(Base):
    __tablename__ = "task"
    id = Column(Integer, primary_key=True)
    title = Column(String)
engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with _native.provider().tracer("app").start_as_current_span("request"):
    with Session(engine) as session:
        session.add(Task(title="one"))
        session.commit()
        print(session.scalars(select(Task.title)).all())
""")
    assert result.stdout == "['one']\n"
    children = result.children(result.span("request"))
    assert [span["name"] for span in children] == ["connect", "INSERT", "connect", "SELECT"]
    assert {span["scope"]["name"] for span in children} == {SCOPE}


def test_what_goes_past_sqlalchemy_is_the_drivers(run_app):
    result = run_app(
        app("""
raw = engine.raw_connection()
raw.cursor().execute("SELECT 7")
raw.close()
""")
    )
    (span,) = statements(result)
    assert span["scope"]["name"] == "opentelemetry.instrumentation.sqlite3"


def test_without_sqlalchemy_the_driver_reports(run_app):
    result = run_app(
        app("""
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
"""),
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlalchemy"},
    )
    (span,) = statements(result)
    assert span["scope"]["name"] == "opentelemetry.instrumentation.sqlite3"
    assert "connect" not in result.span_names()


def test_asyncio(run_app):
    pytest.importorskip("aiosqlite")
    pytest.importorskip("greenlet")
    result = run_app("""
import asyncio
from carafe_engine import _native
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine("sqlite+aiosqlite://")
async def one(number):
    with _native.provider().tracer("app").start_as_current_span("task %d" % number):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT %d" % number))
async def main():
    await one(0)
    await asyncio.gather(*(one(number) for number in range(1, 4)))
    await engine.dispose()
asyncio.run(main())
""")
    statements = [span for span in result.spans if span["name"] == "SELECT"]
    assert len(statements) == 4
    assert {span["scope"]["name"] for span in statements} == {SCOPE}
    for number in range(4):
        children = result.children(result.span(f"task {number}"))
        assert [span["name"] for span in children] == ["connect", "SELECT"]
        assert children[1]["attributes"]["db.statement"] == f"SELECT {number}"


def test_connections_usage(run_app):
    result = run_app(
        app("""
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
""")
    )
    measurements = result.metric("db.client.connections.usage")
    assert {(item["kind"], item["unit"]) for item in measurements} == {
        ("up_down_counter", "connections")
    }
    sums = {}
    for item in measurements:
        assert item["attributes"]["pool.name"] == "sqlite://:/todo.db"
        state = item["attributes"]["state"]
        sums[state] = sums.get(state, 0) + item["value"]
    assert sums == {"idle": 1, "used": 0}
    assert len(measurements) == 9


def test_flask_sqlalchemy(run_app):
    pytest.importorskip("flask_sqlalchemy")
    result = run_app("""
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app)
class Task(db.Model):
    id = db.Column(db.Integer, primary_key=True)
with app.app_context():
    db.create_all()
    print(Task.query.all())
""")
    assert result.stdout == "[]\n"
    selects = [span for span in result.spans if span["name"] == "SELECT"]
    assert len(selects) == 1 and selects[0]["scope"]["name"] == SCOPE


def test_engines_are_not_kept_alive(run_app):
    run_app("""
import gc, weakref
from sqlalchemy import create_engine, text
def use():
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    return weakref.ref(engine), weakref.ref(engine.dialect)
references = use()
gc.collect()
assert [reference() for reference in references] == [None, None]
""")
