"""ASGI apps of no framework, as uvicorn, Hypercorn and Daphne call them."""

import sys
import textwrap

import asgi_expected
import pytest
from asgi_expected import MODES, PREFIX, expected_spans, run_group, without_path

PYTHON = sys.executable


def http_metrics(result):
    return [name for name in result.metric_names() if name.startswith("http.")]


@pytest.mark.parametrize("mode", MODES)
def test_spans_are_the_official_packages(run_app, mode):
    _, requests = run_group(run_app, "asgi", mode)
    for name, spans in requests.items():
        expected = expected_spans("asgi", name)
        if name == "unix":
            # The official package makes a port of the missing one: `/run/app.sock:None`.
            expected[0].old["http.host"] = expected[0].http["server.address"] = "/run/app.sock"
        if name == "status_404":
            expected = without_path(expected)
        asgi_expected.assert_same(spans, expected, mode)


def test_old_metrics(run_app):
    result, requests = run_group(run_app, "asgi", "old", "plain", "body", "boom", "socket")
    assert http_metrics(result) == [
        "http.server.active_requests",
        "http.server.duration",
        "http.server.request.size",
        "http.server.response.size",
    ]
    common = {
        "http.scheme": "http",
        "http.host": "127.0.0.1:8000",
        "http.flavor": "1.1",
        "http.server_name": "shop.example:8000",
    }
    active = result.metric("http.server.active_requests")
    get = {**common, "http.method": "GET"}
    post = {**common, "http.method": "POST"}
    assert [(one["value"], one["attributes"]) for one in active] == [
        (1, get),
        (-1, get),
        (1, post),
        (-1, post),
        (1, get),
        (-1, get),
    ]
    assert {one["kind"] for one in active} == {"up_down_counter"}
    assert {one["unit"] for one in active} == {"{request}"}
    assert active[0]["description"] == "Number of active HTTP server requests."

    port = {"net.host.port": 8000}
    duration = result.metric("http.server.duration")
    # WebSockets have none.
    assert [one["attributes"] for one in duration] == [
        {**get, **port, "http.status_code": 200},
        {**post, **port, "http.status_code": 200},
        {**get, **port},
    ]
    assert duration[0]["unit"] == "ms"
    assert duration[0]["boundaries"] is None
    assert duration[0]["description"] == "Measures the duration of inbound HTTP requests."
    assert duration[0]["scope"]["name"] == PREFIX + "asgi"
    assert duration[0]["scope"]["schema_url"] == "https://opentelemetry.io/schemas/1.11.0"
    # The duration is an example of its request.
    (span,) = [span for span in requests["plain"] if span["kind"] == "SERVER"]
    assert duration[0]["span"]["span_id"] == span["span_id"]

    sizes = [(one["value"], one["unit"]) for one in result.metric("http.server.response.size")]
    assert sizes == [(5, "By"), (5, "By")]
    (size,) = result.metric("http.server.request.size")
    assert (size["value"], size["attributes"]) == (4, {**post, **port, "http.status_code": 200})


def test_stable_metrics(run_app):
    result, _ = run_group(run_app, "asgi", "http", "plain", "status_500", "body")
    assert http_metrics(result) == [
        "http.server.active_requests",
        "http.server.request.body.size",
        "http.server.request.duration",
        "http.server.response.body.size",
    ]
    get = {"http.request.method": "GET", "url.scheme": "http"}
    assert result.metric("http.server.active_requests")[0]["attributes"] == get
    get["network.protocol.version"] = "1.1"
    duration = result.metric("http.server.request.duration")
    assert [one["attributes"] for one in duration[:2]] == [
        {**get, "http.response.status_code": 200},
        {**get, "http.response.status_code": 500, "error.type": "500"},
    ]
    assert duration[0]["unit"] == "s"
    assert duration[0]["boundaries"] == [
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
        *(1, 2.5, 5, 7.5, 10),
    ]
    assert duration[0]["scope"]["schema_url"] == "https://opentelemetry.io/schemas/1.21.0"
    assert all(0 <= one["value"] < 10 for one in duration)


def test_both_conventions_have_the_metrics_of_both(run_app):
    result, _ = run_group(run_app, "asgi", "dup", "plain")
    assert {"http.server.duration", "http.server.request.duration"} < set(result.metric_names())
    (active, _) = result.metric("http.server.active_requests")
    assert {"http.method", "http.request.method"} < set(active["attributes"])


def test_headers_are_captured_and_hidden(run_app):
    variable = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    result, _ = run_group(
        run_app,
        "asgi",
        "old",
        "plain",
        env={
            variable + "SERVER_REQUEST": "user-agent,x-.*",
            variable + "SERVER_RESPONSE": "X-Answer,set-cookie",
            variable + "SANITIZE_FIELDS": ".*cookie",
        },
    )
    attributes = result.span("GET /hello")["attributes"]
    captured = {key: value for key, value in attributes.items() if ".header." in key}
    assert captured == {
        "http.request.header.user_agent": ["probe/1.0"],
        "http.response.header.x_answer": ["one", "two"],
        "http.response.header.set_cookie": ["[REDACTED]"],
    }


def test_excluded_urls(run_app):
    own = {"OTEL_PYTHON_ASGI_EXCLUDED_URLS": "hello", "OTEL_PYTHON_EXCLUDED_URLS": "404"}
    result, _ = run_group(run_app, "asgi", "old", "plain", "status_404", env=own)
    assert [span["name"] for span in result.spans if span["kind"] == "SERVER"] == ["GET"]
    assert {one["attributes"].get("http.status_code") for one in result.measurements} == {None, 404}
    assert len(result.metric("http.server.duration")) == 1


def test_unsampled_requests_are_measured(run_app):
    env = {"OTEL_TRACES_SAMPLER": "always_off"}
    result, _ = run_group(run_app, "asgi", "old", "plain", "boom", env=env)
    assert result.spans == []
    assert len(result.metric("http.server.duration")) == 2


SERVED = """
import asyncio
import signal

async def app(scope, receive, send):
    assert scope["type"] in ("http", "lifespan")
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    assert (await receive())["type"] == "http.request"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})

class Middleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)
"""

SERVERS = {
    "uvicorn": [PYTHON, "-m", "uvicorn", "--port", "{port}", "app:app"],
    "uvicorn-h11": [PYTHON, "-m", "uvicorn", "--http", "h11", "--port", "{port}", "app:app"],
    "uvicorn-factory": [
        *(PYTHON, "-c"),
        "import uvicorn, app; uvicorn.run(app.Middleware(app.app), port={port})",
    ],
    "hypercorn": [PYTHON, "-m", "hypercorn", "--bind", "127.0.0.1:{port}", "app:app"],
    "daphne": [PYTHON, "-m", "daphne", "-p", "{port}", "app:app"],
    "gunicorn": [PYTHON, "-m", "gunicorn", "-k", "asgi", "-b", "127.0.0.1:{port}", "app:app"],
    "granian": [PYTHON, "-m", "granian", "--interface", "asgi", "--port", "{port}", "app:app"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_servers(serve, tmp_path, server):
    pytest.importorskip(server.partition("-")[0])
    if server == "gunicorn":
        pytest.importorskip("gunicorn.workers.gasgi")
    (tmp_path / "app.py").write_text(textwrap.dedent(SERVED))
    command = [*("env", "-C", tmp_path), *SERVERS[server]]
    with serve(command) as running:
        status, _, body = running.request("/served?x=1", headers={"User-Agent": "tester"})
        assert (status, body) == (200, b"served")
        telemetry = running.wait_for(
            lambda telemetry: len(telemetry.metric("http.server.duration")) == 1
        )
        span = telemetry.span("GET /served")
        assert span["kind"] == "SERVER"
        assert span["scope"]["name"] == PREFIX + "asgi"
        assert span["attributes"]["net.host.port"] == running.port
        assert span["attributes"]["net.peer.ip"] == "127.0.0.1"
        assert span["attributes"]["http.url"] == f"http://127.0.0.1:{running.port}/served?x=1"


def test_forwarded_clients_are_seen(serve, tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(SERVED))
    command = [*("env", "-C", tmp_path), *SERVERS["uvicorn"], "--forwarded-allow-ips", "*"]
    headers = {"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Proto": "https"}
    with serve(command) as running:
        running.request("/served", headers=headers)
        telemetry = running.wait_for(lambda telemetry: len(telemetry.spans) == 4)
    attributes = telemetry.span("GET /served")["attributes"]
    assert attributes["net.peer.ip"] == "198.51.100.9"
    assert attributes["http.scheme"] == "https"


def test_a_gone_client_and_a_cancelled_app_leave_nothing_behind(run_app):
    """10,000 requests: apps that fail, clients that go away, apps that are cancelled."""
    result = run_app(
        """
        import asyncio
        import gc
        import resource

        import uvicorn
        from carafe_engine import _native

        async def app(scope, receive, send):
            if scope["path"] == "/boom":
                raise ValueError("boom")
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if scope["path"] == "/slow":
                await asyncio.Event().wait()
            await send({"type": "http.response.body", "body": b"x"})

        config = uvicorn.Config(app, lifespan="off", log_config=None)
        config.load()
        app = config.loaded_app

        def scope(path):
            return {
                "type": "http", "method": "GET", "path": path, "scheme": "http",
                "http_version": "1.1", "headers": [(b"host", b"x")], "query_string": b"",
                "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9),
            }

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            pass

        async def gone(message):
            raise OSError("gone")

        async def one(number):
            kind = number % 4
            if kind == 0:
                try:
                    await app(scope("/boom"), receive, send)
                except ValueError:
                    pass
            elif kind == 1:
                try:
                    await app(scope("/"), receive, gone)
                except OSError:
                    pass
            elif kind == 2:
                task = asyncio.ensure_future(app(scope("/slow"), receive, send))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass
            else:
                await app(scope("/"), receive, send)
            assert _native.current() is None

        def size():
            gc.collect()
            # The ring is shared with its reader, and fills up where there is none.
            with open("/proc/self/status") as status:
                (line,) = [line for line in status if line.startswith("RssAnon")]
            return int(line.split()[1]) * 1024, len(gc.get_objects())

        async def main():
            for number in range(1_000):
                await one(number)
            rss, objects = size()
            for number in range(10_000):
                await one(number)
            rss_after, objects_after = size()
            assert len(asyncio.all_tasks()) == 1
            assert rss_after - rss < 4_000_000, (rss, rss_after)
            assert objects_after - objects < 100, (objects, objects_after)

        asyncio.run(main())
        """
    )
    assert len(result.metric("http.server.duration")) > 1_000
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []


def test_requests_to_itself_are_internal(run_app):
    result = run_app(
        """
        import asyncio

        import httpx
        import uvicorn

        async def inner(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

        def served(app):
            config = uvicorn.Config(app, lifespan="off", log_config=None)
            config.load()
            return config.loaded_app

        inner = served(inner)

        async def outer(scope, receive, send):
            transport = httpx.ASGITransport(inner)
            async with httpx.AsyncClient(transport=transport) as client:
                await client.get("http://inner/in")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

        async def main():
            transport = httpx.ASGITransport(served(outer))
            async with httpx.AsyncClient(transport=transport) as client:
                await client.get("http://outer/out")

        asyncio.run(main())
        """,
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"},
    )
    outer, inner = result.span("GET /out"), result.span("GET /in")
    assert (outer["kind"], inner["kind"]) == ("SERVER", "INTERNAL")
    assert inner["parent_id"] == outer["span_id"]


def test_the_app_can_ask_for_silence(run_app):
    result = run_app(
        """
        import asyncio

        import httpx
        import uvicorn
        from opentelemetry import context

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

        config = uvicorn.Config(app, lifespan="off", log_config=None)
        config.load()

        async def get(path):
            transport = httpx.ASGITransport(config.loaded_app)
            async with httpx.AsyncClient(transport=transport) as client:
                await client.get("http://x" + path)

        async def main():
            for key in (
                "suppress_instrumentation",
                context._SUPPRESS_INSTRUMENTATION_KEY,
                context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,
            ):
                token = context.attach(context.set_value(key, True))
                await get("/silent")
                context.detach(token)
            await get("/told")

        asyncio.run(main())
        """,
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"},
    )
    assert [span["name"] for span in result.spans if span["kind"] == "SERVER"] == ["GET /told"]


def test_the_response_propagator_of_the_app(run_app):
    pytest.importorskip("opentelemetry.instrumentation")
    result = run_app(
        """
        import asyncio

        import uvicorn
        from opentelemetry.instrumentation.propagators import (
            TraceResponsePropagator,
            set_global_response_propagator,
        )

        set_global_response_propagator(TraceResponsePropagator())

        async def app(scope, receive, send):
            headers = ((b"x-own", b"1"),)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x"})

        config = uvicorn.Config(app, lifespan="off", log_config=None)
        config.load()

        async def send(message):
            for name, value in message.get("headers", ()):
                print(name.decode(), value.decode())

        scope = {
            "type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": [],
            "http_version": "1.1", "query_string": b"",
        }
        asyncio.run(config.loaded_app(scope, None, send))
        """
    )
    span = result.span("GET /")
    headers = dict(line.split(" ") for line in result.stdout.splitlines())
    assert headers["x-own"] == "1"
    assert headers["traceresponse"] == f"00-{span['trace_id']}-{span['span_id']}-03"


def test_odd_scopes_are_served(run_app):
    """Whatever a server or a test puts into a scope: the app is called once, and nothing breaks."""
    result = run_app(
        """
        import asyncio
        import collections
        import copy
        import pickle

        import uvicorn
        from carafe_engine import _native

        calls = []

        async def app(scope, receive, send):
            calls.append(scope)
            if scope is whole:
                # The app may keep its scope, and copy it.
                assert _native.ASGI_SCOPE_KEY in scope
                for other in (copy.deepcopy(scope), pickle.loads(pickle.dumps(scope))):
                    assert {**scope, _native.ASGI_SCOPE_KEY: None} == other
            await send({"type": "http.response.start", "status": scope.get("status", 200)})
            await send({"type": "http.response.body"})

        config = uvicorn.Config(app, lifespan="off", log_config=None, proxy_headers=False)
        config.load()
        app = config.loaded_app

        class Odd(collections.UserDict):
            pass

        whole = {
            "type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": [],
            "http_version": "1.1", "query_string": b"", "server": ("a", 1), "client": ("b", 2),
        }
        scopes = [
            whole,
            {"type": "http"},
            {"type": "unheard-of"},
            {},
            Odd(whole),
            {**whole, "headers": iter([(b"host", b"x")])},
            {**whole, "headers": None},
            {**whole, "headers": [(b"host",), b"x", ("host", "x"), [b"a", b"b"], (b"a", b"b", b"c")]},
            {**whole, "headers": [(b"host", b"\\xff\\xfe"), (b"user-agent", b"\\xff")]},
            {**whole, "headers": [(b"content-length", b"many")]},
            {**whole, "method": None, "path": None, "scheme": None, "http_version": None},
            {**whole, "method": 7, "path": b"/bytes", "scheme": 1.5, "http_version": object()},
            {**whole, "server": (), "client": 3},
            {**whole, "server": ("a", "port"), "client": [None, None]},
            {**whole, "query_string": None, "path": "/\\ud800"},
            {**whole, "query_string": b"%ff%fe&%zz=%"},
            {**whole, "status": "odd"},
            {**whole, "status": None},
            {**whole, "status": -1},
            {**whole, "root_path": None, "path": "x" * 100_000},
        ]
        sent = []

        async def send(message):
            sent.append(message)

        async def main():
            for scope in scopes:
                await app(scope, None, send)

        asyncio.run(main())
        assert [id(scope) for scope in calls] == [id(scope) for scope in scopes]
        assert len(sent) == 2 * len(scopes)
        # Nothing of the request stays.
        assert _native.ASGI_SCOPE_KEY not in whole
        """
    )
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []
    assert len([span for span in result.spans if span["kind"] == "SERVER"]) == 17
