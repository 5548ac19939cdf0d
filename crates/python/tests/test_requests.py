"""requests, against recordings of the official package."""

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

CASES = {
    "ok": 'requests.get(BASE + "/ok")',
    "post": 'requests.post(BASE + "/ok", data=b"hello")',
    "not_found": 'requests.get(BASE + "/status/404")',
    "broken": 'requests.get(BASE + "/status/500")',
    "raised_later": 'quietly(requests.get(BASE + "/status/500").raise_for_status)',
    "redirect": 'requests.get(BASE + "/redirect")',
    "chunked": 'requests.get(BASE + "/chunked")',
    "session_send": """
        session = requests.Session()
        session.send(session.prepare_request(requests.Request("GET", BASE + "/ok")))
    """,
    "stream": """
        with requests.get(BASE + "/ok", stream=True) as response:
            assert response.content == b"ok"
    """,
    "unknown_method": 'requests.request("FOO", BASE + "/ok")',
}
#: Case: method, path, status.
EXPECTED = {
    "ok": ("GET", "/ok", 200),
    "post": ("POST", "/ok", 200),
    "not_found": ("GET", "/status/404", 404),
    "broken": ("GET", "/status/500", 500),
    "raised_later": ("GET", "/status/500", 500),
    "redirect": ("GET", "/redirect", 200),
    "chunked": ("GET", "/chunked", 200),
    "session_send": ("GET", "/ok", 200),
    "stream": ("GET", "/ok", 200),
    "unknown_method": ("_OTHER", "/ok", 200),
}


def address(mode, host, port):
    """The server on a span: with both generations, old names come along."""
    attributes = named(
        mode,
        new={
            "server.address": host,
            "server.port": port,
            "network.peer.address": host,
            "network.peer.port": port,
        },
    )
    if mode == BOTH:
        attributes.update({"http.host": host, "net.peer.port": port})
    return attributes


def measured(mode, method, host, port, status=None, error=None):
    old = {
        "http.method": method,
        "http.scheme": "http",
        "http.host": host,
        "net.peer.name": host,
        "net.peer.port": port,
    }
    new = {"http.request.method": method, "server.address": host, "server.port": port}
    if status:
        old.update({"http.status_code": status, "http.flavor": "1.1"})
        new.update({"http.response.status_code": status, "network.protocol.version": "1.1"})
    if error:
        new["error.type"] = error
    expected = {}
    if mode != NEW:
        expected["http.client.duration"] = old
    if mode != OLD:
        expected["http.client.request.duration"] = new
    return expected


@MODES
def test_calls(run_app, target, mode):
    cases = run_cases(run_app, target, "import requests", CASES, mode)
    for name, (method, path, status) in EXPECTED.items():
        case = cases[name]
        span = case.span
        failed = str(status) if status >= 400 else None
        version = named(mode, new={"network.protocol.version": "1.1"})
        if mode == BOTH:
            version["http.flavor"] = "1.1"
        expected = {
            **named(
                mode,
                old={
                    "http.method": method,
                    "http.url": target.url + path,
                    "http.status_code": status,
                },
                new={
                    "http.request.method": method,
                    "url.full": target.url + path,
                    "http.response.status_code": status,
                },
            ),
            **address(mode, "127.0.0.1", target.port),
            **version,
            "user_agent.original": span["attributes"]["user_agent.original"],
        }
        if mode != OLD and method == "_OTHER":
            expected["http.request.method_original"] = "FOO"
        if mode != OLD and failed:
            expected["error.type"] = failed
        assert span["attributes"] == expected, name
        assert span["attributes"]["user_agent.original"].startswith("python-requests/")
        assert span["name"] == ("HTTP" if method == "_OTHER" else method)
        assert span["kind"] == "CLIENT"
        assert span["status"] == ("ERROR" if failed else "UNSET"), name
        assert span["status_description"] == ""
        assert span["events"] == []
        assert span["scope"]["name"] == "opentelemetry.instrumentation.requests"
        assert span["scope"]["schema_url"] == SCHEMA_URLS[mode]
        assert case.measured() == measured(
            mode, method, "127.0.0.1", target.port, status, failed
        ), name
        assert all(item["span"]["span_id"] == span["span_id"] for item in case.measurements)


@MODES
def test_instruments(run_app, target, mode):
    case = run_cases(run_app, target, "import requests", {"ok": CASES["ok"]}, mode)["ok"]
    instruments = {
        item["name"]: (item["kind"], item["unit"], item["description"], item["boundaries"])
        for item in case.measurements
    }
    expected = {}
    if mode != NEW:
        text = "measures the duration of the outbound HTTP request"
        expected["http.client.duration"] = ("histogram", "ms", text, OLD_BOUNDARIES)
        assert isinstance(case.values()["http.client.duration"], int)
    if mode != OLD:
        text = "Duration of HTTP client requests."
        expected["http.client.request.duration"] = ("histogram", "s", text, NEW_BOUNDARIES)
        assert 0 < case.values()["http.client.request.duration"] < 10
    assert instruments == expected
    assert case.measurements[0]["scope"] == case.span["scope"]


@MODES
def test_exceptions(run_app, target, mode):
    cases = run_cases(
        run_app,
        target,
        "import requests",
        {
            "refused": "assert type(quietly(requests.get, NOWHERE)).__name__ == 'ConnectionError'",
            "too_many": """
                session = requests.Session()
                session.max_redirects = 0
                error = quietly(session.get, BASE + "/redirect")
                assert type(error) is requests.TooManyRedirects
            """,
            "interrupted": """
                class Stop(BaseException):
                    pass
                class Adapter(requests.adapters.BaseAdapter):
                    def send(self, *args, **kwargs):
                        raise Stop
                session = requests.Session()
                session.mount("http://", Adapter())
                try:
                    session.get(BASE)
                except Stop:
                    pass
            """,
        },
        mode,
    )
    refused = cases["refused"]
    error = exception_of(refused.span)
    assert error["exception.type"] == "requests.exceptions.ConnectionError"
    assert refused.span["status"] == "ERROR"
    assert refused.span["status_description"].startswith("ConnectionError: HTTPConnectionPool(")
    assert "http.status_code" not in refused.span["attributes"]
    assert refused.measured() == measured(mode, "GET", "127.0.0.1", 1, error="ConnectionError")
    # The response that an exception carries is described, too.
    too_many = cases["too_many"]
    assert too_many.span["status_description"] == "TooManyRedirects: Exceeded 0 redirects."
    assert too_many.measured() == measured(
        mode, "GET", "127.0.0.1", target.port, 302, "TooManyRedirects"
    )
    if mode != OLD:
        assert refused.span["attributes"]["error.type"] == "ConnectionError"
        assert too_many.span["attributes"]["error.type"] == "TooManyRedirects"
        assert too_many.span["attributes"]["http.response.status_code"] == 302
    # What is no `Exception` ends the span and says nothing of it.
    interrupted = cases["interrupted"]
    assert interrupted.span["status"] == "UNSET" and interrupted.span["events"] == []
    assert interrupted.measurements == []


def test_urls_are_redacted(run_app, target):
    cases = run_cases(
        run_app,
        target,
        "import requests",
        {
            "credentials": 'requests.get(BASE.replace("//", "//user:secret@") + "/ok")',
            "signature": 'requests.get(BASE + "/sig=1/ok?sig=secret&x=a%20b&y=")',
            "escaped_name": 'requests.get(BASE + "/ok?Signat%75re=secret")',
            "harmless": 'requests.get(BASE + "/ok?x=a%20b&y=")',
        },
    )
    urls = {name: case.span["attributes"]["http.url"] for name, case in cases.items()}
    assert urls == {
        "credentials": f"http://REDACTED:REDACTED@127.0.0.1:{target.port}/ok",
        "signature": f"{target.url}/sig=1/ok?sig=REDACTED&x=a+b",
        # requests itself has written the name without its escape.
        "escaped_name": f"{target.url}/ok?Signature=REDACTED",
        "harmless": f"{target.url}/ok?x=a%20b&y=",
    }


def test_headers_are_recorded_where_wanted(run_app, target):
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    case = run_cases(
        run_app,
        target,
        "import requests",
        {"ok": 'requests.get(BASE + "/ok", headers={"X-Ask": "me", "X-Key": "k"})'},
        env={
            prefix + "CLIENT_REQUEST": "x-.*,accept",
            prefix + "CLIENT_RESPONSE": "X-Answer,content-.*",
            prefix + "SANITIZE_FIELDS": ".*key,content-length",
        },
    )["ok"]
    headers = {
        key: value
        for key, value in case.span["attributes"].items()
        if key.startswith(("http.request.header", "http.response.header"))
    }
    assert headers == {
        "http.request.header.x_ask": ["me"],
        "http.request.header.x_key": ["[REDACTED]"],
        "http.request.header.accept": ["*/*"],
        "http.response.header.x_answer": ["yes, again"],
        "http.response.header.content_length": ["[REDACTED]"],
    }


@pytest.mark.parametrize(
    ("agent", "kind"),
    [('b"x AlwaysOn"', "test"), ('"Mozilla Googlebot/2"', "bot"), ('"curl"', None)],
)
def test_synthetic_user_agents(run_app, target, agent, kind):
    code = f'requests.get(BASE + "/ok", headers={{"User-Agent": {agent}}})'
    span = run_cases(run_app, target, "import requests", {"ok": code})["ok"].span
    assert span["attributes"].get("user_agent.synthetic.type") == kind


@pytest.mark.parametrize(
    "variable", ["OTEL_PYTHON_REQUESTS_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"]
)
def test_excluded_urls(run_app, target, variable):
    """Nothing below requests has a span for them either: the official package for urllib3 has."""
    cases = run_cases(
        run_app,
        target,
        "import requests",
        {"excluded": 'requests.get(BASE + "/status/204")', "other": 'requests.get(BASE + "/ok")'},
        env={variable: "health, status/20."},
    )
    assert cases["excluded"].spans == [] and cases["excluded"].measurements == []
    assert cases["other"].span["name"] == "GET"
    assert target.headers("traceparent")[0] is None


def test_context_goes_along(run_app, target):
    cases = run_cases(
        run_app,
        target,
        "import requests",
        {
            "child": """
                with mark.start_as_current_span("around"):
                    requests.get(BASE + "/redirect")
            """,
            "again": """
                request = requests.Request("GET", BASE + "/ok").prepare()
                session = requests.Session()
                session.send(request)
                session.send(request)
            """,
            "own": 'requests.get(BASE + "/ok", headers={"traceparent": "mine"})',
        },
    )
    hop, redirected, first, second, own = target.headers("traceparent")
    child, around = cases["child"].spans
    assert hop == redirected == f"00-{child['trace_id']}-{child['span_id']}-03"
    assert child["parent_id"] == around["span_id"]
    # A request that is sent again does not keep the headers of the time before.
    for header, span in zip((first, second), cases["again"].spans):
        assert header == f"00-{span['trace_id']}-{span['span_id']}-03"
    assert own == "mine"
    assert cases["own"].span["name"] == "GET"
