"""sqlite3: the spans of the official package 0.66b1, whose output was recorded side by side.

Differences that are meant: what `Connection.execute` and its siblings do is seen too, as are
scripts; all comments before a statement are left out of its name, and a statement of comments or
white space alone has none (the official package raises IndexError into the app).
"""

import pytest

PREAMBLE = """
import sqlite3
connection = sqlite3.connect("one.db")
cursor = connection.cursor()
"""

# Made by a connection that is not seen.
TABLE = """
import sqlite3
sqlite3.Connection("one.db").execute("create table one(a)")
"""

SCOPE = "opentelemetry.instrumentation.sqlite3"


def app(body):
    return TABLE + PREAMBLE + body


def only_span(result):
    assert len(result.spans) == 1, result.span_names()
    assert result.dropped == 0
    return result.spans[0]


STATEMENTS = [
    ('cursor.execute("create table t(a, b)")', "create", "create table t(a, b)"),
    (
        'cursor.executemany("DELETE FROM one WHERE a = ?", [(1,), (2,)])',
        "DELETE",
        "DELETE FROM one WHERE a = ?",
    ),
    ('cursor.execute("/* a */ SELECT 1")', "SELECT", "/* a */ SELECT 1"),
    ('cursor.execute("  /* a */ SELECT 1")', "SELECT", "  /* a */ SELECT 1"),
    ('cursor.execute("/* a\\n b */ -- c\\nSELECT 1")', "SELECT", "/* a\n b */ -- c\nSELECT 1"),
    ('cursor.execute("")', "sqlite", ""),
    ('cursor.execute(" /* a */ ")', "sqlite", " /* a */ "),
    ('connection.execute("SELECT ?", (1,))', "SELECT", "SELECT ?"),
    (
        'connection.executemany("DELETE FROM one WHERE a = ?", [(1,)])',
        "DELETE",
        "DELETE FROM one WHERE a = ?",
    ),
    ('cursor.executescript("select 1; select 2")', "select", "select 1; select 2"),
    ('connection.executescript("select 1; select 2")', "select", "select 1; select 2"),
    ('with connection as same: same.cursor().execute("select 1")', "select", "select 1"),
]


@pytest.mark.parametrize("statement, name, text", STATEMENTS)
def test_a_statement_is_one_span(run_app, statement, name, text):
    span = only_span(run_app(app(statement)))
    assert (span["name"], span["kind"], span["status"]) == (name, "CLIENT", "UNSET")
    assert span["attributes"] == {"db.system": "sqlite", "db.statement": text}
    assert list(span["attributes"]) == ["db.system", "db.statement"]
    assert span["scope"]["name"] == SCOPE
    assert span["parent_id"] is None and span["events"] == []


CONVENTIONS = {
    "": {"db.system": "sqlite", "db.statement": "select 1"},
    "http": {"db.system": "sqlite", "db.statement": "select 1"},
    "database": {"db.system.name": "sqlite", "db.query.text": "select 1"},
    "database/dup": {
        "db.system": "sqlite",
        "db.system.name": "sqlite",
        "db.statement": "select 1",
        "db.query.text": "select 1",
    },
}


@pytest.mark.parametrize("choice", CONVENTIONS)
def test_conventions(run_app, choice):
    env = {"OTEL_SEMCONV_STABILITY_OPT_IN": choice}
    result = run_app(app('cursor.execute("select 1")'), env=env)
    assert only_span(result)["attributes"] == CONVENTIONS[choice]
    has_metrics = choice.startswith("database")
    assert bool(result.metric("db.client.operation.duration")) == has_metrics


def test_metrics_of_the_stable_conventions(run_app):
    result = run_app(
        app("""
cursor.execute("create table t(a)")
cursor.executemany("INSERT INTO t VALUES(?)", [(1,), (2,)])
try:
    cursor.execute("SELECT * FROM nope")
except sqlite3.OperationalError:
    pass
"""),
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": "database"},
    )
    durations = result.metric("db.client.operation.duration")
    assert [item["attributes"] for item in durations] == [
        {"db.system.name": "sqlite", "db.operation.name": "create"},
        {"db.system.name": "sqlite", "db.operation.name": "INSERT"},
        {
            "db.system.name": "sqlite",
            "db.operation.name": "SELECT",
            "error.type": "OperationalError",
        },
    ]
    assert {(item["kind"], item["unit"]) for item in durations} == {("histogram", "s")}
    assert all(0 < item["value"] < 10 for item in durations)
    (rows,) = result.metric("db.client.response.returned_rows")
    assert (rows["value"], rows["unit"], rows["kind"]) == (2, "{row}", "histogram")
    assert rows["attributes"] == {"db.system.name": "sqlite", "db.operation.name": "INSERT"}


def test_an_error_is_recorded_and_raised(run_app):
    result = run_app(
        app("""
try:
    cursor.execute("SELECT * FROM nope")
except sqlite3.OperationalError as error:
    print(error)
""")
    )
    assert result.stdout == "no such table: nope\n"
    span = only_span(result)
    assert span["status"] == "ERROR"
    assert span["status_description"] == "OperationalError: no such table: nope"
    (event,) = span["events"]
    stack = event["attributes"].pop("exception.stacktrace")
    assert stack == "sqlite3.OperationalError: no such table: nope\n"
    assert event["name"] == "exception"
    assert event["attributes"] == {
        "exception.type": "sqlite3.OperationalError",
        "exception.message": "no such table: nope",
        "exception.escaped": "False",
    }


WRONG_CALLS = ["cursor.execute()", 'cursor.execute(sql="select 1")', 'cursor.execute(b"select 1")']


@pytest.mark.parametrize("call", WRONG_CALLS)
def test_a_wrong_call_raises_what_it_always_raises(run_app, call):
    code = f"""
import sqlite3
def attempt(cursor):
    try:
        {call}
    except TypeError as error:
        # CPython 3.9 puts the class before the name where it is called in another way.
        return str(error).rpartition(".")[2]
plain = attempt(sqlite3.Connection(":memory:").cursor())
assert plain is not None
assert attempt(sqlite3.connect(":memory:").cursor()) == plain
"""
    span = only_span(run_app(code))
    assert span["status"] == "ERROR" and span["status_description"].startswith("TypeError: ")


def test_an_interrupt_is_no_error_of_the_statement(run_app):
    result = run_app(
        app("""
def stop():
    raise KeyboardInterrupt
def rows():
    yield (1,)
    stop()
cursor.execute("create table t(a)")
try:
    cursor.executemany("insert into t values(?)", rows())
except KeyboardInterrupt:
    print("interrupted")
cursor.execute("select 1")
""")
    )
    assert result.stdout == "interrupted\n"
    assert [span["status"] for span in result.spans] == ["UNSET"] * 3
    assert [span["parent_id"] for span in result.spans] == [None] * 3


def test_spans_are_children_of_the_current_span(run_app):
    result = run_app(
        app("""
from carafe_engine import _native
def double(value):
    _native.current_span().set_attribute("doubled", value)
    return 2 * value
connection.create_function("double", 1, double)
with _native.provider().tracer("app").start_as_current_span("outer"):
    print(cursor.execute("select double(1)").fetchall())
""")
    )
    outer, statement = result.span("outer"), result.span("select")
    assert result.children(outer) == [statement]
    # The first row is computed during `execute`, where the statement's span is current.
    assert statement["attributes"]["doubled"] == 1


TYPES = """
import sqlite3, sys
from sqlite3 import dbapi2

connection = sqlite3.connect("file:one?mode=memory", uri=True)
assert isinstance(connection, sqlite3.Connection)
assert type(connection).__name__ == "Connection" and type(connection).__module__ == "sqlite3"
assert repr(connection).startswith("<sqlite3.Connection object at ")
assert isinstance(connection.cursor(), sqlite3.Cursor)
assert isinstance(connection.execute("select 1"), sqlite3.Cursor)
assert connection.cursor().connection is connection
assert not hasattr(connection, "__dict__") or hasattr(sqlite3.Connection(":memory:"), "__dict__")
assert sqlite3.connect.__name__ == "connect" and dbapi2.connect is sqlite3.connect

connection.row_factory = sqlite3.Row
row = connection.execute("select 1 as one").fetchone()
assert isinstance(row, sqlite3.Row) and row["one"] == 1
assert connection.cursor().row_factory is sqlite3.Row

other = sqlite3.connect(":memory:")
connection.execute("create table t(a)")
connection.execute("insert into t values(7)")
connection.commit()
connection.backup(other)
assert other.execute("select a from t").fetchone() == (7,)
assert "CREATE TABLE t(a);" in list(connection.iterdump())
with connection:
    connection.execute("delete from t")
assert connection.total_changes == 2

class Mine(sqlite3.Cursor):
    def execute(self, statement, *rest):
        return super().execute(statement.replace("ONE", "1"), *rest)
mine = connection.cursor(Mine)
assert isinstance(mine, Mine) and mine.execute("select ONE").fetchone()[0] == 1
assert type(connection.cursor(factory=Mine)) is type(mine)
assert type(connection.cursor(factory=type(mine))) is type(mine)

class Own(sqlite3.Connection):
    def cursor(self, factory=Mine):
        return super().cursor(factory)
own = sqlite3.connect(":memory:", 5.0, 0, None, True, Own)
assert isinstance(own, Own) and isinstance(own.cursor(), Mine)
own.cursor().execute("select ONE")
assert isinstance(sqlite3.connect(":memory:", factory=Own), Own)
assert isinstance(sqlite3.connect(":memory:", factory=lambda *a, **k: Own(*a)), Own)

class Holder:
    connect = sqlite3.connect
assert isinstance(Holder().connect(":memory:"), sqlite3.Connection)

import pickle
assert pickle.loads(pickle.dumps(sqlite3.connect)) is sqlite3.connect
for wrong in (int, None, 5):
    try:
        connection.cursor(wrong)
    except TypeError:
        continue
    raise AssertionError(wrong)
"""


def test_connections_and_cursors_are_what_they_are(run_app):
    result = run_app(TYPES)
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []
    names = [span["attributes"]["db.statement"] for span in result.spans]
    # What the app's own cursor class was called with, once.
    assert names.count("select ONE") == 2 and "select 1" in names


def test_a_class_that_cannot_be_derived_from(run_app):
    result = run_app(
        app("""
class Final(sqlite3.Cursor):
    def __init_subclass__(cls, **keywords):
        raise TypeError("final")
class Callable:
    __hash__ = None
    def __call__(self, connection):
        return sqlite3.Cursor(connection)
print(connection.cursor(Final).execute("select 1").fetchall())
print(connection.cursor(Callable()).execute("select 2").fetchall())
class Last(sqlite3.Connection):
    def __init_subclass__(cls, **keywords):
        raise TypeError("last")
print(sqlite3.connect(":memory:", factory=Last).execute("select 3").fetchall())
cursor.execute("select 4")
""")
    )
    assert result.stdout == "[(1,)]\n[(2,)]\n[(3,)]\n"
    assert [span["attributes"]["db.statement"] for span in result.spans] == ["select 4"]
    problems = [notice["name"] for notice in result.notices if notice["kind"] == "problem"]
    assert problems == ["a class of cursors", "sqlite3.connect"]


def test_many_classes_of_cursors_are_left_alone_beyond_the_limit(run_app):
    result = run_app(
        app("""
for number in range(40):
    class Mine(sqlite3.Cursor):
        pass
    assert isinstance(connection.cursor(Mine), Mine)
    connection.cursor(Mine).execute("select 1")
""")
    )
    assert 10 < len(result.spans) < 40
    assert any(notice["reason"] == "too many classes" for notice in result.notices)


def test_threads_of_their_own(run_app):
    result = run_app("""
import sqlite3, threading
def work(number):
    connection = sqlite3.connect(":memory:")
    for _ in range(50):
        connection.execute("select %d" % number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""")
    assert len(result.spans) == 200 and result.dropped == 0
    assert {span["parent_id"] for span in result.spans} == {None}


def test_aiosqlite(run_app):
    pytest.importorskip("aiosqlite")
    result = run_app("""
import aiosqlite, asyncio
async def main():
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("create table t(a)")
        async with connection.execute("select 1") as cursor:
            print(await cursor.fetchall())
asyncio.run(main())
""")
    assert result.stdout == "[(1,)]\n"
    assert result.span_names() == ["create", "select"]


def test_django(run_app):
    pytest.importorskip("django")
    result = run_app("""
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()
from django.db import connection, models, transaction
class Task(models.Model):
    title = models.CharField(max_length=20)
    class Meta:
        app_label = "todo"
with connection.schema_editor() as editor:
    editor.create_model(Task)
with transaction.atomic():
    Task.objects.create(title="one")
print([task.title for task in Task.objects.filter(title__startswith="o")])
with connection.cursor() as cursor:
    cursor.execute("SELECT %s", [5])
    print(cursor.fetchone())
""")
    assert result.stdout == "['one']\n(5,)\n"
    assert {"PRAGMA", "CREATE", "BEGIN", "INSERT", "SELECT"} <= set(result.span_names())
    statements = [span["attributes"]["db.statement"] for span in result.spans]
    assert statements.count("SELECT %s") == 1


def test_pandas(run_app):
    pytest.importorskip("pandas")
    result = run_app(
        app("""
import pandas
pandas.DataFrame({"a": [1, 2]}).to_sql("t", connection)
print(pandas.read_sql("select a from t", connection)["a"].sum())
""")
    )
    assert result.stdout == "3\n"
    assert {"CREATE", "INSERT", "select"} <= set(result.span_names())


def test_not_where_it_is_not_wanted(run_app):
    code = app("""
assert type(sqlite3.connect).__name__ == "builtin_function_or_method"
assert type(connection) is sqlite3.Connection
cursor.execute("select 1")
""")
    result = run_app(code, env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlite3"})
    assert result.spans == []


def test_nothing_is_leaked(run_app):
    result = run_app("""
import sqlite3
connection = sqlite3.connect(":memory:")
def rounds(count):
    for number in range(count):
        connection.execute("select %d" % number)
        try:
            connection.cursor().execute("nonsense")
        except sqlite3.OperationalError:
            pass
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
rounds(2_000)
before = resident()
rounds(50_000)
print(resident() - before)
""")
    # KiB; what 100,000 statements would leave if each left a byte string behind is over 3,000.
    assert int(result.stdout) < 600
