"""PyMySQL and mysqlclient with a real server: the spans of the official packages 0.66b1, whose
output was recorded side by side."""

import databases
import pytest

DRIVERS = ["pymysql", "MySQLdb"]
NAMES = {"pymysql": "pymysql", "MySQLdb": "mysqlclient"}


@pytest.fixture(scope="module")
def server():
    with databases.mariadb() as running:
        yield running


@pytest.fixture
def run(run_app, server):
    """Runs code with PORT, SOCKET, `connect()` and a cursor of the database `shop`."""
    port, socket = server

    def run(driver, body, **options):
        pytest.importorskip(driver)
        code = f"""
import {driver}, {driver}.cursors
PORT, SOCKET = {port}, {socket!r}
def connect(**options):
    return {driver}.connect(**{{"host": "127.0.0.1", "port": PORT, "user": "root", **options}})
connect().query("create database if not exists shop")
connection = connect(database="shop")
cursor = connection.cursor()
"""
        return run_app(code + body, **options)

    run.port = port
    return run


def only_span(result):
    assert len(result.spans) == 1, result.span_names()
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []
    return result.spans[0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_statement(run, driver):
    result = run(driver, 'cursor.execute("SELECT %s", (5,))\nprint(cursor.fetchall())')
    assert result.stdout == "((5,),)\n"
    span = only_span(result)
    assert (span["name"], span["kind"], span["status"]) == ("SELECT", "CLIENT", "UNSET")
    assert span["scope"]["name"] == "opentelemetry.instrumentation." + NAMES[driver]
    assert span["attributes"] == {
        "db.system": "mysql",
        "db.name": "shop",
        "db.statement": "SELECT %s",
        "db.user": "root",
        "net.peer.name": "127.0.0.1",
        "net.peer.port": run.port,
    }


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_stable_conventions(run, driver):
    env = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"}
    result = run(driver, 'cursor.execute("SELECT 1")', env=env)
    assert only_span(result)["attributes"] == {
        "db.system.name": "mysql",
        "db.namespace": "shop",
        "db.query.text": "SELECT 1",
        "server.address": "127.0.0.1",
        "server.port": run.port,
    }
    (rows,) = result.metric("db.client.response.returned_rows")
    assert rows["value"] == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_other_ways_to_send(run, driver):
    result = run(
        driver,
        f"""
cursor.execute("create temporary table t(a int, b int)")
cursor.executemany("INSERT INTO t VALUES(%s, %s)", [(1, 2), (3, 4)])
cursor.executemany("UPDATE t SET b = %s WHERE a = %s", [(5, 1), (6, 3), (7, 1)])
cursor.execute(query="/* why */ select 7")
cursor.execute(b"SELECT 8")
rows = connection.cursor({driver}.cursors.DictCursor)
rows.execute("select 9 as nine")
print(rows.fetchall())
try:
    cursor.callproc("nope", (1,))
except {driver}.err.Error if hasattr({driver}, "err") else {driver}.Error:
    print("raised")
class Mine({driver}.cursors.SSCursor):
    def execute(self, *args):
        return super().execute(*args)
mine = connection.cursor(Mine)
mine.execute("select 10")
mine.fetchall()
closed = connection.cursor()
closed.close()
try:
    closed.execute("select 11")
except Exception as error:
    print(type(error).__name__)
""",
    )
    assert result.stdout == "({'nine': 9},)\nraised\nProgrammingError\n".replace(
        "({", "[{" if driver == "pymysql" else "({"
    ).replace("},)", "}]" if driver == "pymysql" else "},)")
    assert result.span_names() == [
        "create",
        "INSERT",
        "UPDATE",
        "select",
        "SELECT",
        "select",
        "nope",
        "select",
        "select",
    ]
    statuses = [span["status"] for span in result.spans]
    assert statuses == ["UNSET"] * 6 + ["ERROR", "UNSET", "ERROR"]
    assert len(result.spans[6]["events"]) == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_below_sqlalchemy(run, driver):
    pytest.importorskip("sqlalchemy")
    result = run(
        driver,
        f"""
from sqlalchemy import create_engine, text
engine = create_engine("mysql+{NAMES[driver] if driver == "pymysql" else "mysqldb"}://root@127.0.0.1:%d/shop" % PORT)
with engine.begin() as connection:
    connection.execute(text("create temporary table t(a int)"))
    connection.execute(text("insert into t values (:a)"), [{{"a": 1}}, {{"a": 2}}])
    print(connection.execute(text("select count(*) from t")).scalar())
""",
    )
    assert result.stdout == "2\n"
    scope = "opentelemetry.instrumentation.sqlalchemy"
    # What the dialect asks a server at first is below `connect`.
    spans = [span for span in result.spans if span["parent_id"] is None]
    assert {span["scope"]["name"] for span in spans} == {scope}
    assert [span["name"] for span in spans] == [
        "connect",
        "create shop",
        "insert shop",
        "select shop",
    ]
    assert spans[3]["attributes"] == {
        "net.peer.name": "127.0.0.1",
        "net.peer.port": run.port,
        "db.name": "shop",
        "db.user": "root",
        "db.statement": "select count(*) from t",
        "db.system": "mysql",
        "db.operation": "select shop",
    }
