"""redis, against recordings of the official package 0.66b1 and a real server."""

import shutil
import subprocess

import pytest
from clients import exception_of, run_cases
from ring import free_port, wait_until

needs_server = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="there is no redis-server: it is in Debian's package redis-server",
)

SETUP = """
import asyncio, redis
PORT = int(BASE)
client = redis.Redis(port=PORT)
"""


class Nowhere:
    """In the place of an HTTP target: BASE is the server's port, or one that nobody listens at."""

    def __init__(self, url):
        self.url = url


@pytest.fixture
def server(tmp_path):
    port = free_port()
    log = tmp_path / "log"
    socket = tmp_path / "redis.sock"
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--unixsocket", str(socket)], stdout=output, stderr=output
        )
    try:
        wait_until(lambda: b"Ready to accept" in log.read_bytes(), "redis-server is ready")
        yield Nowhere(str(port))
    finally:
        process.terminate()
        process.wait()


MODES = pytest.mark.parametrize(
    ("mode", "schema"),
    [
        ("", "1.11.0"),
        ("database", "1.25.0"),
        ("http", "1.21.0"),
        ("database,http", "1.25.0"),
        ("database/dup,http/dup", "1.25.0"),
    ],
    ids=["old", "database", "http", "database-http", "dup"],
)


def expected(mode, statement, host, port, database=0, is_socket=False, **always):
    words = mode.split(",")
    old_database = not any(word == "database" for word in words)
    new_database = any(word.startswith("database") for word in words)
    old_http = not any(word == "http" for word in words)
    new_http = any(word.startswith("http") for word in words)
    attributes = {f"db.redis.{key}": value for key, value in always.items()}
    if old_database:
        attributes |= {
            "db.system": "redis",
            "db.statement": statement,
            "db.redis.database_index": database,
        }
    if new_database:
        attributes |= {"db.system.name": "redis", "db.query.text": statement}
    if old_http:
        attributes |= {
            "net.peer.name": host,
            "net.transport": "other" if is_socket else "ip_tcp",
        }
    if new_http:
        attributes |= {
            "server.address": host,
            "network.transport": "unix" if is_socket else "tcp",
        }
    if port is not None:
        attributes |= ({"net.peer.port": port} if old_http else {}) | (
            {"server.port": port} if new_http else {}
        )
    return attributes


@needs_server
@MODES
def test_commands_and_pipelines(run_app, server, tmp_path, mode, schema):
    port = int(server.url)
    path = str(tmp_path / "redis.sock")
    cases = run_cases(
        run_app,
        server,
        SETUP,
        {
            "set": 'client.set("k", "a secret")',
            "get": 'assert client.get("k") == b"a secret"',
            "words": 'client.execute_command("CONFIG GET", "maxmemory")',
            "pipeline": """
                pipeline = client.pipeline()
                pipeline.set("x", 1)
                pipeline.get("x")
                assert pipeline.execute() == [True, b"1"]
            """,
            "without_transaction": """
                with client.pipeline(transaction=False) as pipeline:
                    pipeline.get("x").incr("n")
                    pipeline.execute()
            """,
            "empty": "client.pipeline().execute()",
            "database": 'redis.Redis.from_url(f"redis://127.0.0.1:{PORT}/3").get("k")',
            "socket": f'redis.Redis.from_url("unix://{path}").get("k")',
            "asynchronous": """
                async def run():
                    client = redis.asyncio.Redis(port=PORT)
                    await client.get("k")
                    async with client.pipeline() as pipeline:
                        await pipeline.set("x", 1).get("x").execute()
                    await client.aclose()
                asyncio.run(run())
            """,
        },
        mode,
    )
    local = ("localhost", port)
    single = {
        "set": ("SET", expected(mode, "SET ? ?", *local, args_length=3)),
        "get": ("GET", expected(mode, "GET ?", *local, args_length=2)),
        "words": ("CONFIG GET", expected(mode, "CONFIG GET ?", *local, args_length=2)),
        "pipeline": ("SET GET", expected(mode, "SET ? ?\nGET ?", *local, pipeline_length=2)),
        "without_transaction": (
            "GET INCRBY",
            expected(mode, "GET ?\nINCRBY ? ?", *local, pipeline_length=2),
        ),
        "empty": ("redis", expected(mode, "", *local, pipeline_length=0)),
        "database": ("GET", expected(mode, "GET ?", "127.0.0.1", port, 3, args_length=2)),
        "socket": ("GET", expected(mode, "GET ?", path, None, 0, True, args_length=2)),
    }
    for name, (span_name, attributes) in single.items():
        span = cases[name].span
        assert (span["name"], span["attributes"]) == (span_name, attributes), name
    spans = cases["asynchronous"].spans
    assert [(span["name"], span["attributes"]) for span in spans] == [
        ("GET", single["get"][1]),
        ("SET GET", single["pipeline"][1]),
    ]
    for case in cases.values():
        for span in case.spans:
            assert span["kind"] == "CLIENT" and span["status"] == "UNSET"
            assert span["scope"]["name"] == "opentelemetry.instrumentation.redis"
            assert span["scope"]["schema_url"] == f"https://opentelemetry.io/schemas/{schema}"
        assert case.measurements == []


@needs_server
def test_errors(run_app, server):
    cases = run_cases(
        run_app,
        server,
        SETUP,
        {
            "unknown": """
                assert type(quietly(client.execute_command, "NOSUCH", "x")) is redis.ResponseError
            """,
            "pipeline": """
                client.set("k", 1)
                pipeline = client.pipeline()
                pipeline.incr("k")
                pipeline.lpush("k", 1)
                assert type(quietly(pipeline.execute)) is redis.ResponseError
            """,
            "watched": """
                pipeline = client.pipeline()
                pipeline.watch("k")
                client.set("k", 2)
                pipeline.multi()
                pipeline.set("k", 3)
                assert type(quietly(pipeline.execute)) is redis.WatchError
            """,
            "asynchronous": """
                async def run():
                    client = redis.asyncio.Redis(port=PORT)
                    try:
                        await client.execute_command("NOSUCH")
                    except redis.ResponseError:
                        pass
                    async with client.pipeline() as pipeline:
                        await pipeline.watch("k")
                        await client.set("k", 9)
                        pipeline.multi()
                        pipeline.set("k", 1)
                        try:
                            await pipeline.execute()
                        except redis.WatchError:
                            pass
                    await client.aclose()
                asyncio.run(run())
            """,
        },
    )
    unknown = cases["unknown"].span
    assert exception_of(unknown)["exception.type"] == "redis.exceptions.ResponseError"
    assert unknown["status"] == "ERROR"
    assert unknown["status_description"].startswith("ResponseError: unknown command 'NOSUCH'")
    pipeline = cases["pipeline"].spans[1]
    assert (pipeline["name"], pipeline["status"]) == ("INCRBY LPUSH", "ERROR")
    # A key that somebody else has changed is no error of a pipeline.
    assert [(span["name"], span["status"], span["events"]) for span in cases["watched"].spans] == [
        ("WATCH", "UNSET", []),
        ("SET", "UNSET", []),
        ("SET", "UNSET", []),
    ]
    assert [(span["name"], span["status"]) for span in cases["asynchronous"].spans] == [
        ("NOSUCH", "ERROR"),
        ("WATCH", "UNSET"),
        ("SET", "UNSET"),
        ("SET", "UNSET"),
    ]


def test_without_a_server(run_app):
    cases = run_cases(
        run_app,
        Nowhere("1"),
        SETUP,
        {
            "refused": 'assert type(quietly(client.get, "k")) is redis.ConnectionError',
            "long": 'quietly(client.mset, {"a%d" % i: i for i in range(400)})',
            # A difference: the official package calls this b'GET'.
            "bytes": 'quietly(client.execute_command, b"GET", "k")',
            "pipeline": """
                pipeline = client.pipeline()
                pipeline.get("k")
                quietly(pipeline.execute)
            """,
            "asynchronous": """
                async def run():
                    client = redis.asyncio.Redis(port=PORT)
                    try:
                        await client.get("k")
                    except redis.ConnectionError:
                        pass
                asyncio.run(run())
            """,
        },
    )
    refused = cases["refused"].span
    assert exception_of(refused)["exception.type"] == "redis.exceptions.ConnectionError"
    assert refused["attributes"] == expected("", "GET ?", "localhost", 1, args_length=2)
    statement = cases["long"].span["attributes"]["db.statement"]
    assert statement == ("MSET" + " ?" * 800)[:997] + "..."
    assert cases["bytes"].span["name"] == "GET"
    assert cases["bytes"].span["attributes"]["db.statement"] == "GET ?"
    assert cases["pipeline"].span["attributes"]["db.statement"] == "GET ?"
    assert cases["asynchronous"].span["status"] == "ERROR"


def test_search(run_app):
    """`FT.*` commands tell of their index and of what they find."""
    cases = run_cases(
        run_app,
        Nowhere("1"),
        SETUP
        + """
def answer(response):
    # Below what the engine has wrapped: the answer of a server with the module.
    class Connection:
        retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        should_reconnect = staticmethod(lambda: False)
        disconnect = staticmethod(lambda *args, **kwargs: None)
        send_command = staticmethod(lambda *args, **kwargs: None)
        read_response = staticmethod(lambda *args, **kwargs: response)
        host, port, db = "host", 1, 0
    class Pool(redis.ConnectionPool):
        get_connection = lambda self, *args, **kwargs: Connection
        release = lambda self, connection: None
    return redis.Redis(connection_pool=Pool(host="host", port=1))
""",
        {
            "create": """
                answer(b"OK").execute_command(
                    "FT.CREATE", "idx", "ON", "HASH", "SCHEMA", "title", "TEXT", "age", "NUMERIC"
                )
            """,
            "search": """
                answer([1, "doc:1", ["title", "x"]]).execute_command("FT.SEARCH", "idx", "@title:x")
            """,
            "names_only": """
                answer([1, "doc:1"]).execute_command("FT.SEARCH", "idx", "*", "NOCONTENT")
            """,
        },
    )
    create = cases["create"].span
    assert create["name"] == "redis.create_index"
    assert create["attributes"]["redis.create_index.index"] == "idx"
    assert create["attributes"]["redis.create_index.fields"] == (
        "Field(name: title, type: TEXT);Field(name: age, type: NUMERIC);"
    )
    search = cases["search"].span
    assert search["name"] == "redis.search"
    found = {key: value for key, value in search["attributes"].items() if "search" in key}
    assert found == {
        "redis.search.index": "idx",
        "redis.search.query": "@title:x",
        "redis.search.total": 1,
        "redis.search.xdoc_doc:1.title": "x",
    }
    names = cases["names_only"].span["attributes"]
    assert names["redis.search.total"] == 1
    assert not any("xdoc" in key for key in names)


def test_cluster_pipelines_are_described(run_app):
    """Clusters keep their queue elsewhere, and know no single server."""
    cases = run_cases(
        run_app,
        Nowhere("1"),
        SETUP
        + """
from carafe_engine.instrument import redis as shim
class Command:
    def __init__(self, *args):
        self.args = args
class Strategy:
    command_queue = [Command("SET", "k", 1), Command("GET", "k")]
class AsyncStrategy:
    _command_queue = Strategy.command_queue
class Pipeline:
    command_stack = []
    def __init__(self, strategy):
        self._execution_strategy = strategy
""",
        {
            "wrapped": """
                from redis.asyncio.cluster import ClusterPipeline as Async, RedisCluster
                from redis.cluster import ClusterPipeline, RedisCluster as Sync
                for owner, name in (
                    (Sync, "execute_command"),
                    (ClusterPipeline, "execute"),
                    (RedisCluster, "execute_command"),
                    (Async, "execute"),
                ):
                    assert hasattr(vars(owner)[name], "__wrapped__"), (owner, name)
            """,
            "sync": "shim._begin(shim._describe_pipeline, Pipeline(Strategy())).end()",
            "async": "shim._begin(shim._describe_pipeline, Pipeline(AsyncStrategy())).end()",
        },
    )
    for name in ("sync", "async"):
        span = cases[name].span
        assert span["name"] == "SET GET"
        assert span["attributes"] == {
            "db.system": "redis",
            "db.statement": "SET ? ?\nGET ?",
            "db.redis.pipeline_length": 2,
        }


def test_suppression_and_stepping_back(run_app):
    cases = run_cases(
        run_app,
        Nowhere("1"),
        SETUP + "\nfrom opentelemetry import context\n",
        {
            "suppressed": """
                key = context._SUPPRESS_INSTRUMENTATION_KEY
                token = context.attach(context.set_value(key, True))
                quietly(client.get, "k")
                context.detach(token)
            """,
            "other": """
                key = context._SUPPRESS_HTTP_INSTRUMENTATION_KEY
                token = context.attach(context.set_value(key, True))
                quietly(client.get, "k")
                context.detach(token)
            """,
            "stepped_back": """
                from carafe_engine import libraries
                assert libraries.step_back("redis", "a test says so")
                quietly(client.get, "k")
            """,
        },
    )
    assert [len(case.spans) for case in cases.values()] == [0, 1, 0]
