"""http.client, which no official package instruments by itself, and one span for each call."""

import json

import pytest
from clients import MODES, NEW, OLD, exception_of, named, run_cases, target

SETUP = """
import http.client, json
connection = http.client.HTTPConnection(BASE.removeprefix("http://"))
def fetch(method, path, **kwargs):
    connection.request(method, path, **kwargs)
    return connection.getresponse().read()
"""


@MODES
def test_calls(run_app, target, mode):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "ok": 'fetch("GET", "/ok")',
            "kept_alive": 'fetch("POST", "/status/503", body=b"abc")',
            "by_hand": """
                connection.putrequest("GET", "/ok")
                connection.putheader("X-Ask", "me")
                connection.endheaders()
                connection.getresponse().read()
            """,
        },
        mode,
    )
    expected = {
        "ok": ("GET", "/ok", 200),
        "kept_alive": ("POST", "/status/503", 503),
        "by_hand": ("GET", "/ok", 200),
    }
    for name, (method, path, status) in expected.items():
        case = cases[name]
        attributes = named(
            mode,
            old={
                "http.method": method,
                "http.url": target.url + path,
                "http.status_code": status,
            },
            new={
                "http.request.method": method,
                "url.full": target.url + path,
                "server.address": "127.0.0.1",
                "server.port": target.port,
                "http.response.status_code": status,
                "network.protocol.version": "1.1",
            },
        )
        if mode == "http/dup":
            attributes["http.flavor"] = "1.1"
        if mode != OLD and status >= 400:
            attributes["error.type"] = str(status)
        assert case.span["attributes"] == attributes
        assert case.span["name"] == method
        assert case.span["kind"] == "CLIENT"
        assert case.span["status"] == ("ERROR" if status >= 400 else "UNSET")
        assert case.span["scope"]["name"] == "carafe.instrumentation.http_client"
        names = ["http.client.duration"] if mode != NEW else []
        names += ["http.client.request.duration"] if mode != OLD else []
        assert list(case.measured()) == names


def test_failures(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "refused": """
                nowhere = http.client.HTTPConnection("127.0.0.1", 1)
                assert type(quietly(nowhere.request, "GET", "/")) is ConnectionRefusedError
            """,
            "dropped": """
                assert type(quietly(fetch, "GET", "/drop")) is http.client.RemoteDisconnected
            """,
            "misused": """
                connection.putrequest("GET", "/ok")
                error = quietly(connection.putrequest, "GET", "/ok")
                assert type(error) is http.client.CannotSendRequest
                connection.close()
            """,
            "abandoned": """
                connection.request("GET", "/abandoned")
                connection.close()
                fetch("GET", "/ok")
            """,
        },
    )
    refused, dropped = cases["refused"].span, cases["dropped"].span
    assert exception_of(refused)["exception.type"] == "ConnectionRefusedError"
    assert exception_of(dropped)["exception.type"] == "http.client.RemoteDisconnected"
    assert refused["status"] == dropped["status"] == "ERROR"
    # A request whose response nobody has asked for ends when the next one begins.
    paths = [
        (span["attributes"]["http.url"].removeprefix(target.url), span["status"])
        for span in cases["abandoned"].spans
    ]
    assert paths == [("/abandoned", "UNSET"), ("/ok", "UNSET")]


def test_context_goes_along_once(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "child": """
                with mark.start_as_current_span("around"):
                    fetch("GET", "/ok")
            """,
            "own": 'fetch("GET", "/ok", headers={"TRACEPARENT": "mine"})',
        },
    )
    child, around = cases["child"].spans
    assert child["parent_id"] == around["span_id"]
    assert target.headers("traceparent") == [
        f"00-{child['trace_id']}-{child['span_id']}-03",
        "mine",
    ]


@pytest.mark.parametrize("propagators", ["b3", "b3multi", "jaeger", "tracecontext,b3"])
def test_propagators(run_app, target, propagators):
    case = run_cases(
        run_app, target, SETUP, {"ok": 'fetch("GET", "/ok")'}, env={"OTEL_PROPAGATORS": propagators}
    )["ok"]
    trace_id, span_id = case.span["trace_id"], case.span["span_id"]
    expected = {
        "b3": {"b3": f"{trace_id}-{span_id}-1"},
        "b3multi": {"x-b3-traceid": trace_id, "x-b3-spanid": span_id, "x-b3-sampled": "1"},
        "jaeger": {"uber-trace-id": f"{trace_id}:{span_id}:0:1"},
        "tracecontext,b3": {
            "traceparent": f"00-{trace_id}-{span_id}-03",
            "b3": f"{trace_id}-{span_id}-1",
        },
    }[propagators]
    for name, value in expected.items():
        assert target.headers(name) == [value]


def test_one_span_for_each_call_of_any_library(run_app, target):
    """requests is over urllib3, which is over http.client, as is urllib.request."""
    cases = run_cases(
        run_app,
        target,
        SETUP + "import httpx, requests, urllib.request, urllib3\n",
        {
            "http.client": 'fetch("GET", "/ok")',
            "urllib": 'urllib.request.urlopen(BASE + "/ok").read()',
            "urllib3": 'urllib3.PoolManager().request("GET", BASE + "/ok")',
            "requests": 'requests.get(BASE + "/ok")',
            "httpx": 'httpx.get(BASE + "/ok")',
        },
    )
    assert {
        name: case.span["scope"]["name"].rpartition(".")[2] for name, case in cases.items()
    } == {
        "http.client": "http_client",
        "urllib": "urllib",
        "urllib3": "urllib3",
        "requests": "requests",
        "httpx": "httpx",
    }
    assert target.headers("traceparent") == [
        f"00-{case.span['trace_id']}-{case.span['span_id']}-03" for case in cases.values()
    ]


def test_disabled_libraries_leave_the_call_to_those_below(run_app, target):
    cases = run_cases(
        run_app,
        target,
        "import requests",
        {"ok": 'requests.get(BASE + "/ok")'},
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests, urllib3"},
    )
    assert cases["ok"].span["scope"]["name"] == "carafe.instrumentation.http_client"


def test_suppression_by_the_api(run_app, target):
    """The keys of the official packages' `suppress_*_instrumentation`."""
    cases = run_cases(
        run_app,
        target,
        SETUP
        + """
import requests
from opentelemetry import context, trace
def under(key, function):
    token = context.attach(context.set_value(key, True))
    try:
        function()
    finally:
        context.detach(token)
call = lambda: requests.get(BASE + "/ok")
""",
        {
            "all": "under(context._SUPPRESS_INSTRUMENTATION_KEY, call)",
            "http": "under(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY, call)",
            "plain": 'under("suppress_instrumentation", call)',
            "plain_client": """
                under(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY, lambda: fetch("GET", "/ok"))
            """,
            "other": 'under("something", call)',
            "inside": """
                # What an official package below would see while our call is open.
                seen = []
                class Adapter(requests.adapters.BaseAdapter):
                    def send(self, request, **kwargs):
                        key = context._SUPPRESS_HTTP_INSTRUMENTATION_KEY
                        seen.append((context.get_value(key), trace.get_current_span().is_recording()))
                        with trace.get_tracer("app").start_as_current_span("inside"):
                            requests.get(BASE + "/ok")
                        response = requests.Response()
                        response.status_code = 200
                        return response
                session = requests.Session()
                session.mount("fake://", Adapter())
                session.get("fake://host/")
                assert seen == [(True, True)], seen
                assert context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY) is None
            """,
        },
    )
    names = {name: [span["name"] for span in case.spans] for name, case in cases.items()}
    assert names == {
        "all": [],
        "http": [],
        "plain": [],
        "plain_client": [],
        "other": ["GET"],
        "inside": ["inside", "GET"],
    }


def test_unsampled_calls_are_measured(run_app, target):
    result = run_app(
        f"""
        import requests
        requests.get("{target.url}/ok")
        """,
        env={"OTEL_TRACES_SAMPLER": "always_off"},
    )
    assert result.spans == []
    assert len(result.metric("http.client.duration")) == 1
    assert target.headers("traceparent")[0].endswith("-02")


def test_a_patched_library_is_restored(run_app, target):
    """`uninstrument` gives the originals back, and calls under a foreign wrapper pass through."""
    result = run_app(
        f"""
        import requests
        from carafe_engine import libraries
        ours = requests.Session.send
        assert ours.__wrapped__.__qualname__ == ours.__qualname__ == "Session.send"
        import urllib3
        urlopen = urllib3.HTTPConnectionPool.urlopen
        def foreign(self, *args, **kwargs):
            return urlopen(self, *args, **kwargs)
        urllib3.HTTPConnectionPool.urlopen = foreign
        for name in ("requests", "urllib3", "http_client"):
            assert libraries.step_back(name, "a test says so")
        assert requests.Session.send is ours.__wrapped__
        assert urllib3.HTTPConnectionPool.urlopen is foreign
        assert requests.get("{target.url}/ok").text == "ok"
        """
    )
    assert result.spans == []
    left_alone = {item["name"] for item in result.notices if item["kind"] == "left_alone"}
    assert left_alone == {"requests", "urllib3", "http_client"}


def test_an_engine_fault_leaves_the_call_alone(run_app, target):
    """Objects that do not look as expected are the library's to judge, and are sent once."""
    result = run_app(
        f"""
        import requests
        class Odd:
            method = "GET"
            @property
            def url(self):
                raise RuntimeError("odd")
        try:
            requests.Session().send(Odd())
        except Exception as error:
            print(type(error).__name__, error)
        print(requests.get("{target.url}/ok").status_code)
        """
    )
    assert result.stdout.split("\n")[1] == "200"
    assert [span["name"] for span in result.spans] == ["GET"]
    assert json.dumps(result.notices).count("fault of the engine") == 1


def test_a_fault_while_the_call_is_open_leaves_nothing_behind(run_app, target):
    """Headers that cannot be set: the call is made without ours, and ends."""
    cases = run_cases(
        run_app,
        target,
        """
        import requests
        from carafe_engine import _native
        class Frozen(requests.structures.CaseInsensitiveDict):
            def __setitem__(self, name, value):
                if name == "traceparent":
                    raise TypeError("frozen")
                super().__setitem__(name, value)
        """,
        {
            "frozen": """
                request = requests.Request("GET", BASE + "/ok").prepare()
                request.headers = Frozen(request.headers)
                assert requests.Session().send(request).text == "ok"
                assert _native.current_span() is None
            """
        },
        is_faultless=False,
    )
    assert cases["frozen"].span["attributes"]["http.status_code"] == 200
    assert target.headers("traceparent") == [None]


@pytest.mark.parametrize("library", ["requests", "urllib3", "httpx", "urllib"])
def test_the_official_package_wins(run_app, target, library):
    """Where the app activates it, ours steps back, and one span is left of each call."""
    pytest.importorskip(
        f"opentelemetry.instrumentation.{library}",
        reason=f"opentelemetry-instrumentation-{library} is not installed",
    )
    calls = {
        "requests": 'requests.get(BASE + "/ok")',
        "urllib3": 'urllib3.PoolManager().request("GET", BASE + "/ok")',
        "httpx": 'httpx.get(BASE + "/ok")',
        "urllib": 'urllib.request.urlopen(BASE + "/ok").read()',
    }
    instrumentor = {
        "requests": "RequestsInstrumentor",
        "urllib3": "URLLib3Instrumentor",
        "httpx": "HTTPXClientInstrumentor",
        "urllib": "URLLibInstrumentor",
    }[library]
    module = "urllib.request" if library == "urllib" else library
    cases = run_cases(
        run_app,
        target,
        f"""
        import {module}
        import opentelemetry.instrumentation.{library} as official
        """,
        {
            "before": calls[library],
            "after": f"""
                official.{instrumentor}().instrument()
                {calls[library]}
            """,
        },
    )
    versions = {name: case.span["scope"]["version"] for name, case in cases.items()}
    assert versions["before"] != versions["after"]
    assert {case.span["scope"]["name"] for case in cases.values()} == {
        f"opentelemetry.instrumentation.{library}"
    }
