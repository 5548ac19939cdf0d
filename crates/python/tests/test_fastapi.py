"""FastAPI apps."""

import sys
import textwrap

import asgi_expected
import pytest
from asgi_expected import MODES, expected_spans, run_group, with_route

#: Requests through mounts: the official package has a span for each app, ours one with the whole
#: route.
MOUNTED = {
    "sub_app": "/sub/parts/{part}",
    "sub_starlette": "/tree/leaf/{n}",
}


@pytest.mark.parametrize("mode", MODES)
def test_spans_are_the_official_packages(run_app, mode):
    result, requests = run_group(run_app, "fastapi", mode)
    for name, spans in requests.items():
        expected = expected_spans("fastapi", name)
        if name in MOUNTED:
            expected = with_route(expected, MOUNTED[name])
        if name == "stream_boom":
            # The official package records the exception twice.
            del expected[0].exceptions[1:]
        asgi_expected.assert_same(spans, expected, mode)
    errors = [notice for notice in result.notices if notice["kind"] == "problem"]
    assert errors == []


@pytest.mark.parametrize("mode", MODES)
def test_middleware(run_app, mode):
    _, requests = run_group(run_app, "fastapi_middleware", mode)
    for name, spans in requests.items():
        asgi_expected.assert_same(spans, expected_spans("fastapi_middleware", name), mode)


def test_exceptions_have_their_stack_trace(run_app):
    result, _ = run_group(run_app, "fastapi", "old", "boom")
    (event,) = result.span("GET /boom")["events"]
    trace = event["attributes"]["exception.stacktrace"]
    assert trace.startswith("Traceback (most recent call last):")
    assert 'raise Boom("out of order")' in trace


TARGETS = {
    "plain": "/items/{item_id}",
    "not_found": None,
    "included": "/api/v2/things/{thing}",
    "root_path": "/base/items/{item_id}",
    "sub_app": "/sub/parts/{part}",
    "sub_raw": "/raw",
    "not_allowed": "/items/{item_id}",
}


@pytest.mark.parametrize("mode", ["old", "http"])
def test_metrics_have_the_route(run_app, mode):
    result, requests = run_group(run_app, "fastapi", mode, *TARGETS)
    name = "http.server.duration" if mode == "old" else "http.server.request.duration"
    measured = [one["attributes"] for one in result.metric(name)]
    expected = []
    for request, target in TARGETS.items():
        (span,) = [span for span in requests[request] if span["kind"] == "SERVER"]
        expected.append(asgi_expected.duration_attributes(span["attributes"], mode, target))
    assert measured == expected


def test_fastapis_own_telemetry_steps_back(run_app):
    result, _ = run_group(run_app, "fastapi", "old", "plain", "boom")
    assert {span["scope"]["name"] for span in result.spans} == {asgi_expected.PREFIX + "fastapi"}
    measured = [one for one in result.measurements if one["name"].startswith("http.")]
    assert {one["scope"]["name"] for one in measured} == {asgi_expected.PREFIX + "fastapi"}
    assert result.logs == []


def test_fastapis_own_telemetry_keeps_its_own_destination(run_app):
    """An app that gave FastAPI a provider still gets its spans there, and ours in the ring."""
    result = run_app(
        """
        import asyncio

        import httpx
        from fastapi import FastAPI
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        app = FastAPI(telemetry={"tracer_provider": provider})

        @app.get("/items/{item_id}")
        async def item(item_id: int):
            return {"id": item_id}

        async def main():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                await client.get("/items/7")

        asyncio.run(main())
        print([span.name for span in exporter.get_finished_spans()][-1])
        """,
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"},
    )
    assert result.stdout.strip() == "GET /items/{item_id}"
    servers = [span for span in result.spans if span["kind"] == "SERVER"]
    assert [span["name"] for span in servers] == ["GET /items/{item_id}"]


def test_a_processor_in_python_sees_all_spans(run_app):
    result = run_app(
        """
        import asyncio

        import httpx
        from fastapi import FastAPI
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor

        class Names(SpanProcessor):
            def on_start(self, span, parent_context=None):
                print("start", span.name)

            def on_end(self, span):
                print("end", span.name, span.attributes.get("asgi.event.type"))

        trace.get_tracer_provider().add_span_processor(Names())
        app = FastAPI(openapi_url=None)

        @app.get("/items/{item_id}")
        async def item(item_id: int):
            return {"id": item_id}

        async def main():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                await client.get("/items/7")

        asyncio.run(main())
        """,
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"},
    )
    name = "GET /items/{item_id}"
    assert result.stdout.splitlines() == [
        "start GET",
        f"start {name} http send",
        f"end {name} http send http.response.start",
        f"start {name} http send",
        f"end {name} http send http.response.body",
        f"end {name} None",
    ]
    assert sorted(result.span_names()) == [name, name + " http send", name + " http send"]


def test_excluded_urls(run_app):
    env = {"OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "items/4,boom"}
    result, _ = run_group(run_app, "fastapi", "old", "plain", "teapot", "boom", env=env)
    assert [span["name"] for span in result.spans if span["kind"] == "SERVER"] == ["GET /teapot"]
    assert len(result.metric("http.server.duration")) == 1


def test_disabled(run_app):
    env = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "fastapi"}
    result, _ = run_group(run_app, "fastapi", "old", "plain", env=env)
    assert [span for span in result.spans if "instrumentation" in span["scope"]["name"]] == []


APP = """
from fastapi import BackgroundTasks, FastAPI
from starlette.responses import StreamingResponse

app = FastAPI()

@app.get("/items/{item_id}")
async def item(item_id: int):
    return {"id": item_id}

@app.get("/sync/{item_id}")
def sync(item_id: int):
    return {"id": item_id}

@app.get("/boom")
async def boom():
    raise ValueError("boom")

class Around:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/early":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await self.app(scope, receive, send)

around = Around(app)
"""


@pytest.mark.parametrize("app", ["app", "around"])
def test_under_uvicorn(serve, tmp_path, app):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    command = [
        *("env", "-C", tmp_path, sys.executable, "-m", "uvicorn"),
        *("--port", "{port}", f"app:{app}"),
    ]
    with serve(command) as running:
        assert running.request("/items/7")[0] == 200
        assert running.request("/boom")[0] == 500
        paths = ["/items/{item_id}", "/boom"]
        if app == "around":
            assert running.request("/early")[0] == 204
            paths.append(None)
        telemetry = running.wait_for(
            lambda telemetry: len(telemetry.metric("http.server.duration")) == len(paths)
        )
    servers = [span for span in telemetry.spans if span["kind"] == "SERVER"]
    assert [span["attributes"].get("http.route") for span in servers] == paths
    assert {span["scope"]["name"] for span in servers} == {asgi_expected.PREFIX + "fastapi"}
    assert [event["name"] for event in servers[1]["events"]] == ["exception"]


def test_workers_add_up(serve, tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    command = [
        *("env", "-C", tmp_path, sys.executable, "-m", "uvicorn"),
        *("--workers", "2", "--port", "{port}", "app:app"),
    ]
    with serve(command) as running:
        for number in range(20):
            assert running.request(f"/items/{number}")[0] == 200
        telemetry = running.wait_for(
            lambda telemetry: len(telemetry.metric("http.server.duration")) == 20
        )
    assert len([span for span in telemetry.spans if span["kind"] == "SERVER"]) == 20
