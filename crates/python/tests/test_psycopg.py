"""psycopg 3 and psycopg2 with a real server: the spans of the official packages 0.66b1, whose
output was recorded side by side.

Differences that are meant: cursors of all classes are seen, whoever chose the class (the official
packages miss server cursors, and the cursors of psycopg2's own connection classes); statements that
are no `str` have the name of their text (`execute_values` sends `bytes`).
"""

import databases
import pytest

DRIVERS = ["psycopg", "psycopg2"]


@pytest.fixture(scope="module")
def server():
    with databases.postgresql() as running:
        yield running


@pytest.fixture
def run(run_app, server):
    """Runs code with PORT, SOCKETS, `connect()` and a cursor; gives the result."""
    port, sockets = server

    def run(driver, body, **options):
        code = f"""
import {driver}
PORT, SOCKETS = {port}, {sockets!r}
def connect(**options):
    options = {{"host": "127.0.0.1", "port": PORT, "user": "shop", "dbname": "shop", **options}}
    return {driver}.connect(**options)
connection = connect()
cursor = connection.cursor()
"""
        return run_app(code + body, **options)

    run.port, run.sockets = port, sockets
    return run


def only_span(result):
    assert len(result.spans) == 1, result.span_names()
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []
    return result.spans[0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_statement(run, driver):
    pytest.importorskip(driver)
    result = run(driver, 'cursor.execute("SELECT %s", (5,))\nprint(cursor.fetchall())')
    assert result.stdout == "[(5,)]\n"
    span = only_span(result)
    assert (span["name"], span["kind"], span["status"]) == ("SELECT", "CLIENT", "UNSET")
    assert span["scope"]["name"] == "opentelemetry.instrumentation." + driver
    assert span["attributes"] == {
        "db.system": "postgresql",
        "db.name": "shop",
        "db.statement": "SELECT %s",
        "db.user": "shop",
        "net.peer.name": "127.0.0.1",
        "net.peer.port": run.port,
    }


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_stable_conventions(run, driver):
    pytest.importorskip(driver)
    result = run(
        driver,
        'cursor.execute("SELECT 1")',
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"},
    )
    server = {"server.address": "127.0.0.1", "server.port": run.port}
    assert only_span(result)["attributes"] == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.query.text": "SELECT 1",
        **server,
    }
    (duration,) = result.metric("db.client.operation.duration")
    assert duration["attributes"] == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.operation.name": "SELECT",
        **server,
    }
    (rows,) = result.metric("db.client.response.returned_rows")
    assert rows["value"] == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_error(run, driver):
    pytest.importorskip(driver)
    result = run(
        driver,
        f"""
try:
    cursor.execute("SELECT * FROM nope")
except {driver}.errors.UndefinedTable as error:
    print("raised")
""",
    )
    assert result.stdout == "raised\n"
    span = only_span(result)
    assert span["status"] == "ERROR"
    assert span["status_description"].startswith('UndefinedTable: relation "nope" does not exist')
    (event,) = span["events"]
    assert event["attributes"]["exception.type"] == driver + ".errors.UndefinedTable"


@pytest.mark.parametrize("driver", DRIVERS)
def test_other_ways_to_send(run, driver):
    pytest.importorskip(driver)
    result = run(
        driver,
        f"""
from {driver} import sql
cursor.execute("create temporary table t(a int, b int)")
cursor.executemany("INSERT INTO t VALUES(%s, %s)", [(1, 2), (3, 4)])
cursor.execute(sql.SQL("select * from {{}}").format(sql.Identifier("t")))
print(cursor.rowcount)
cursor.execute(sql.SQL("SELECT 5"))
cursor.execute(b"SELECT 6")
cursor.execute(query="/* why */ select 7")
connection.cursor("named").execute("select 8")
with connect(host=SOCKETS) as other:
    other.cursor().execute("SELECT 9")
""",
    )
    assert result.stdout == "2\n"
    found = [(span["name"], span["attributes"]["db.statement"]) for span in result.spans]
    assert found == [
        ("create", "create temporary table t(a int, b int)"),
        ("INSERT", "INSERT INTO t VALUES(%s, %s)"),
        ("select", 'select * from "t"'),
        ("SELECT", "SELECT 5"),
        ("SELECT", "SELECT 6"),
        ("select", "/* why */ select 7"),
        ("select", "select 8"),
        ("SELECT", "SELECT 9"),
    ]
    assert result.spans[-1]["attributes"]["net.peer.name"] == run.sockets


def test_psycopg2_classes(run):
    pytest.importorskip("psycopg2")
    result = run(
        "psycopg2",
        """
from psycopg2 import extensions, extras
assert isinstance(connection, extensions.connection) and isinstance(cursor, extensions.cursor)
assert type(connection).__name__ == "connection" and cursor.connection is connection
assert connection.cursor_factory in (None, extensions.cursor)
extensions.register_type(extensions.UNICODE, connection)
extras.register_uuid(conn_or_curs=cursor)

cursor.execute("create function pg_temp.double(i int) returns int as 'select 2 * $1' language sql")
cursor.callproc("pg_temp.double", [4])
print(cursor.fetchall())
cursor.execute("create temporary table t(a int, b int)")
extras.execute_values(cursor, "insert into t values %s", [(1, 2), (3, 4)])
by_class = connection.cursor(cursor_factory=extras.DictCursor)
assert isinstance(by_class, extras.DictCursor)
by_class.execute("select 1 as one")
print(by_class.fetchone()["one"])
connection.cursor(None, extras.NamedTupleCursor).execute("select 2 as two")

rows = connect(connection_factory=extras.DictConnection)
assert isinstance(rows, extras.DictConnection)
dictionary = rows.cursor()
assert isinstance(dictionary, extras.DictCursor)
dictionary.execute("select 3 as three")
print(dictionary.fetchone()["three"])
real = connect(cursor_factory=extras.RealDictCursor).cursor()
real.execute("select 4 as four")
print(dict(real.fetchone()))

class Mine(extensions.connection):
    def cursor(self, *args, **options):
        options.setdefault("cursor_factory", extras.NamedTupleCursor)
        return super().cursor(*args, **options)
named = psycopg2.connect("host=127.0.0.1 port=%d user=shop dbname=shop" % PORT, Mine).cursor()
named.execute("select 5 as five")
print(named.fetchone().five)
""",
    )
    assert result.stdout == "[(8,)]\n1\n3\n{'four': 4}\n5\n"
    assert result.span_names() == [
        "create",
        "pg_temp.double",
        "create",
        "insert",
        "select",
        "select",
        "select",
        "select",
        "select",
    ]
    assert result.spans[1]["attributes"]["db.statement"] == "pg_temp.double"
    assert result.spans[3]["attributes"]["db.statement"] == "insert into t values (1,2),(3,4)"


def test_psycopg_classes(run):
    pytest.importorskip("psycopg")
    result = run(
        "psycopg",
        """
from psycopg.rows import dict_row
assert type(cursor) is psycopg.Cursor
connection.execute("select 1")
print(connection.cursor(row_factory=dict_row).execute("select 2 as two").fetchone())
psycopg.ClientCursor(connection).execute("select %s", [3])
with connection.cursor("named") as named:
    named.execute("select 4")
""",
    )
    assert result.stdout == "{'two': 2}\n"
    assert result.span_names() == ["select"] * 4


def test_psycopg_asyncio(run):
    pytest.importorskip("psycopg")
    result = run(
        "psycopg",
        """
import asyncio
from carafe_engine import _native
tracer = _native.provider().tracer("app")
async def one(number):
    with tracer.start_as_current_span("task %d" % number):
        connection = await psycopg.AsyncConnection.connect(
            host="127.0.0.1", port=PORT, user="shop", dbname="shop")
        async with connection:
            cursor = connection.cursor()
            await cursor.execute("select pg_sleep(0.01), %s", [number])
            await connection.execute("select 2")
            try:
                await cursor.execute("nonsense")
            except psycopg.errors.SyntaxError:
                pass
        assert _native.current_span().trace_id_hex
async def main():
    await asyncio.gather(*(one(number) for number in range(3)))
    slow = asyncio.create_task(one(3))
    await asyncio.sleep(0)
asyncio.run(main())
""",
    )
    for number in range(3):
        children = result.children(result.span(f"task {number}"))
        assert [span["name"] for span in children] == ["select", "select", "nonsense"]
        assert [span["status"] for span in children] == ["UNSET", "UNSET", "ERROR"]


ENGINES = ["postgresql+psycopg2", "postgresql+psycopg"]


@pytest.mark.parametrize("dialect", ENGINES)
def test_below_sqlalchemy(run, dialect):
    pytest.importorskip("sqlalchemy")
    driver = dialect.partition("+")[2]
    pytest.importorskip(driver)
    result = run(
        driver,
        f"""
from sqlalchemy import create_engine, text
engine = create_engine("{dialect}://shop@127.0.0.1:%d/shop" % PORT)
with engine.begin() as connection:
    connection.execute(text("create temporary table t(a int)"))
    connection.execute(text("insert into t values (:a)"), [{{"a": 1}}, {{"a": 2}}])
    print(connection.execute(text("select count(*) from t")).scalar())
local = create_engine("{dialect}://shop@/shop?host=%s&port=%d" % (SOCKETS, PORT))
with local.connect() as connection:
    connection.execute(text("select 'local'"))
    connection.execute(text("select 'again'"))
""",
    )
    assert result.stdout == "2\n"
    # What the dialect asks a server at first is below `connect`.
    spans = [span for span in result.spans if span["parent_id"] is None]
    assert [span["name"] for span in spans] == [
        "connect",
        "create shop",
        "insert shop",
        "select shop",
        "connect",
        "select shop",
        "select shop",
    ]
    assert spans[3]["attributes"] == {
        "net.peer.name": "127.0.0.1",
        "net.peer.port": run.port,
        "db.name": "shop",
        "db.user": "shop",
        "db.statement": "select count(*) from t",
        "db.system": "postgresql",
        "db.operation": "select shop",
    }
    assert spans[5]["attributes"] == {
        "db.name": "shop",
        "db.user": "shop",
        "net.transport": "other",
        "net.peer.name": f"{run.sockets}/.s.PGSQL.{run.port}",
        "db.statement": "select 'local'",
        "db.system": "postgresql",
        "db.operation": "select shop",
    }
    below = {span["attributes"]["db.statement"] for span in result.spans if span not in spans}
    assert "select pg_catalog.version()" in below


def test_below_sqlalchemy_asyncio(run):
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    pytest.importorskip("greenlet")
    result = run(
        "psycopg",
        """
import asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def main():
    engine = create_async_engine("postgresql+psycopg://shop@127.0.0.1:%d/shop" % PORT)
    async with engine.connect() as connection:
        print((await connection.execute(text("select 7"))).scalar())
    await engine.dispose()
asyncio.run(main())
""",
    )
    assert result.stdout == "7\n"
    spans = [span["name"] for span in result.spans if span["parent_id"] is None]
    assert spans == ["connect", "select shop"]
    scopes = {span["scope"]["name"] for span in result.spans}
    assert scopes == {"opentelemetry.instrumentation.sqlalchemy"}
