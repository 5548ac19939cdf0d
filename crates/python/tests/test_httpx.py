"""httpx, against recordings of the official package."""

import pytest
from clients import (
    BOTH,
    MODES,
    NEW,
    NEW_BOUNDARIES,
    OLD,
    OLD_BOUNDARIES,
    SCHEMA_URLS,
    exception_of,
    named,
    run_cases,
    target,
)

SETUP = """
import asyncio, httpx
def run(method, path, **kwargs):
    async def fetch():
        async with httpx.AsyncClient() as client:
            return await client.request(method, BASE + path, **kwargs)
    return asyncio.run(fetch())
"""
CASES = {
    "ok": 'httpx.get(BASE + "/ok")',
    "post": 'httpx.post(BASE + "/ok", content=b"hello")',
    "not_found": 'httpx.get(BASE + "/status/404")',
    "chunked": 'httpx.get(BASE + "/chunked")',
    "lower_case": 'httpx.request("get", BASE + "/ok")',
    "unknown_method": 'httpx.request("FOO", BASE + "/ok")',
    "stream": """
        with httpx.stream("GET", BASE + "/ok") as response:
            assert b"".join(response.iter_bytes()) == b"ok"
    """,
    "asynchronous": 'run("GET", "/ok")',
    "asynchronous_failure": 'run("GET", "/status/500")',
    "asynchronous_stream": """
        async def fetch():
            async with httpx.AsyncClient() as client:
                async with client.stream("GET", BASE + "/ok") as response:
                    assert b"".join([part async for part in response.aiter_bytes()]) == b"ok"
        asyncio.run(fetch())
    """,
}
#: Case: method, path, status.
EXPECTED = {
    "ok": ("GET", "/ok", 200),
    "post": ("POST", "/ok", 200),
    "not_found": ("GET", "/status/404", 404),
    "chunked": ("GET", "/chunked", 200),
    "lower_case": ("GET", "/ok", 200),
    "unknown_method": ("_OTHER", "/ok", 200),
    "stream": ("GET", "/ok", 200),
    "asynchronous": ("GET", "/ok", 200),
    "asynchronous_failure": ("GET", "/status/500", 500),
    "asynchronous_stream": ("GET", "/ok", 200),
}


def measured(mode, method, port, status):
    old = {"http.method": method, "http.scheme": "http", "http.status_code": status}
    if mode == BOTH:
        old |= {
            "http.host": "127.0.0.1",
            "net.peer.name": "127.0.0.1",
            "net.peer.port": port,
            "http.flavor": "1.1",
        }
    new = {
        "http.request.method": method,
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": status,
        "network.protocol.version": "1.1",
    }
    if status >= 400:
        new["error.type"] = str(status)
    expected = {"http.client.duration": old} if mode != NEW else {}
    return expected | ({"http.client.request.duration": new} if mode != OLD else {})


def requested(mode, method, url, port):
    """What a span has before there is a response."""
    attributes = named(
        mode,
        old={"http.method": method, "http.url": url},
        new={
            "http.request.method": method,
            "url.full": url,
            "server.address": "127.0.0.1",
            "server.port": port,
            "network.peer.address": "127.0.0.1",
            "network.peer.port": port,
        },
    )
    if mode == BOTH:
        attributes |= {"http.host": "127.0.0.1", "net.peer.port": port}
    return attributes


@MODES
@pytest.mark.parametrize("module", ["httpx", "httpx2"])
def test_calls(run_app, target, mode, module):
    pytest.importorskip(module, reason=f"{module} is not installed")
    setup = SETUP.replace("import asyncio, httpx", f"import asyncio, {module} as httpx")
    cases = run_cases(run_app, target, setup, CASES, mode)
    for name, (method, path, status) in EXPECTED.items():
        case = cases[name]
        span = case.span
        expected = requested(mode, method, target.url + path, target.port) | named(
            mode,
            old={"http.status_code": status},
            new={"http.response.status_code": status, "network.protocol.version": "1.1"},
        )
        if mode == BOTH:
            expected["http.flavor"] = "1.1"
        if mode != OLD and status >= 400:
            expected["error.type"] = str(status)
        if mode != OLD and method == "_OTHER":
            expected["http.request.method_original"] = "FOO"
        assert span["attributes"] == expected, name
        assert span["name"] == ("HTTP" if method == "_OTHER" else method)
        assert span["kind"] == "CLIENT"
        assert span["status"] == ("ERROR" if status >= 400 else "UNSET")
        assert span["events"] == []
        assert span["scope"]["name"] == "opentelemetry.instrumentation.httpx"
        assert span["scope"]["schema_url"] == SCHEMA_URLS[mode]
        assert case.measured() == measured(mode, method, target.port, status), name
        bounds = {item["name"]: item["boundaries"] for item in case.measurements}
        assert bounds.get("http.client.duration", OLD_BOUNDARIES) == OLD_BOUNDARIES
        assert bounds.get("http.client.request.duration", NEW_BOUNDARIES) == NEW_BOUNDARIES


@MODES
def test_exceptions(run_app, target, mode):
    """As the official package: what raises is not measured."""
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "refused": "assert type(quietly(httpx.get, NOWHERE)) is httpx.ConnectError",
            "dropped": """
                assert type(quietly(httpx.get, BASE + "/drop")) is httpx.RemoteProtocolError
            """,
            "asynchronous": """
                async def fetch():
                    async with httpx.AsyncClient() as client:
                        await client.get(NOWHERE)
                assert type(quietly(asyncio.run, fetch())) is httpx.ConnectError
            """,
            "cancelled": """
                async def fetch():
                    class Slow(httpx.AsyncHTTPTransport):
                        pass
                    async with httpx.AsyncClient() as client:
                        task = asyncio.ensure_future(client.get(BASE + "/ok"))
                        await asyncio.sleep(0)
                        task.cancel()
                        try:
                            await task
                        except asyncio.CancelledError:
                            pass
                asyncio.run(fetch())
            """,
        },
        mode,
    )
    for name, exception, url, port in (
        ("refused", "ConnectError", "http://127.0.0.1:1/x", 1),
        ("dropped", "RemoteProtocolError", target.url + "/drop", target.port),
        ("asynchronous", "ConnectError", "http://127.0.0.1:1/x", 1),
    ):
        span = cases[name].span
        assert exception_of(span)["exception.type"] == "httpx." + exception
        assert span["status_description"].startswith(exception + ": ")
        expected = requested(mode, "GET", url, port)
        if mode != OLD:
            expected["error.type"] = exception
        assert span["attributes"] == expected
        assert cases[name].measurements == []
    cancelled = cases["cancelled"]
    assert all(span["status"] == "UNSET" and not span["events"] for span in cancelled.spans)
    assert cancelled.measurements == []


def test_each_hop_is_a_call(run_app, target):
    spans = run_cases(
        run_app,
        target,
        SETUP,
        {"redirect": 'httpx.get(BASE + "/redirect", follow_redirects=True)'},
    )["redirect"].spans
    assert [span["attributes"]["http.status_code"] for span in spans] == [302, 200]
    # The second hop is made of the first's request: its headers are of another trace.
    assert spans[0]["trace_id"] != spans[1]["trace_id"]
    assert target.headers("traceparent") == [
        f"00-{span['trace_id']}-{span['span_id']}-03" for span in spans
    ]


def test_context_goes_along(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "concurrent": """
                async def fetch():
                    with mark.start_as_current_span("around"):
                        async with httpx.AsyncClient() as client:
                            await asyncio.gather(*(client.get(BASE + "/ok") for _ in range(5)))
                asyncio.run(fetch())
            """,
            "shared_extensions": """
                extensions = {"sni_hostname": "x"}
                with httpx.Client() as client:
                    request = httpx.Request("GET", BASE + "/ok", extensions=extensions)
                    client.send(request)
                    client.send(request)
                assert extensions == {"sni_hostname": "x"}
            """,
            "own": 'httpx.get(BASE + "/ok", headers={"Traceparent": "mine"})',
        },
    )
    sent = target.headers("traceparent")
    *calls, around = sorted(cases["concurrent"].spans, key=lambda span: span["name"] != "GET")
    assert {span["parent_id"] for span in calls} == {around["span_id"]}
    assert set(sent[:5]) == {f"00-{span['trace_id']}-{span['span_id']}-03" for span in calls}
    assert sent[5:7] == [
        f"00-{span['trace_id']}-{span['span_id']}-03" for span in cases["shared_extensions"].spans
    ]
    assert sent[7] == "mine"


def test_other_transports_are_no_calls(run_app, target):
    """As the official package: only those that use the network are."""
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "mock": """
                transport = httpx.MockTransport(lambda request: httpx.Response(201))
                assert httpx.Client(transport=transport).get("http://host/").status_code == 201
            """,
            "own": """
                class Transport(httpx.HTTPTransport):
                    def handle_request(self, request):
                        return super().handle_request(request)
                with httpx.Client(transport=Transport()) as client:
                    client.get(BASE + "/ok")
            """,
        },
    )
    assert cases["mock"].spans == []
    assert cases["own"].span["name"] == "GET"


def test_redaction_exclusion_and_headers(run_app, target):
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "ok": """
                url = BASE.replace("//", "//user:secret@") + "/ok?sig=secret&x=a%20b"
                httpx.get(url, headers={"X-Ask": "me, too"})
            """,
            "excluded": 'httpx.get(BASE + "/status/204")',
            "excluded_asynchronous": 'run("GET", "/status/204")',
        },
        env={
            "OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "status/2",
            prefix + "CLIENT_REQUEST": "x-ask,authorization",
            prefix + "CLIENT_RESPONSE": "x-answer",
            prefix + "SANITIZE_FIELDS": "auth",
        },
    )
    attributes = cases["ok"].span["attributes"]
    assert attributes["http.url"] == (
        f"http://REDACTED:REDACTED@127.0.0.1:{target.port}/ok?sig=REDACTED&x=a+b"
    )
    assert attributes["http.request.header.x_ask"] == ["me", "too"]
    assert attributes["http.request.header.authorization"] == ["[REDACTED]"]
    assert attributes["http.response.header.x_answer"] == ["yes", "again"]
    assert cases["excluded"].spans == cases["excluded_asynchronous"].spans == []
