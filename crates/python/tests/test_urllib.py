"""urllib.request, against recordings of the official package."""

from clients import (
    MODES,
    NEW,
    NEW_BOUNDARIES,
    OLD,
    SCHEMA_URLS,
    exception_of,
    named,
    run_cases,
    target,
)

SETUP = """
from urllib.request import Request, build_opener, urlopen
"""
CASES = {
    "ok": 'urlopen(BASE + "/ok").read()',
    "post": 'urlopen(BASE + "/ok", data=b"hello").read()',
    "request": 'urlopen(Request(BASE + "/ok?a=1", method="PUT")).read()',
    "request_and_data": 'urlopen(Request(BASE + "/ok"), data=b"abc").read()',
    "own_method": """
        class Head(Request):
            def get_method(self):
                return "HEAD"
        urlopen(Head(BASE + "/ok")).read()
    """,
    "redirect": 'urlopen(BASE + "/redirect").read()',
    "chunked": 'urlopen(BASE + "/chunked", timeout=10).read()',
    "not_found": 'assert quietly(urlopen, BASE + "/status/404").code == 404',
}
#: Case: method, path, status, bytes of the request and of the response.
EXPECTED = {
    "ok": ("GET", "/ok", 200, 0, 2),
    "post": ("POST", "/ok", 200, 5, 2),
    "request": ("PUT", "/ok?a=1", 200, 0, 2),
    "request_and_data": ("POST", "/ok", 200, 3, 2),
    "own_method": ("HEAD", "/ok", 200, 0, 2),
    "redirect": ("GET", "/redirect", 200, 0, 2),
    "chunked": ("GET", "/chunked", 200, 0, 0),
    "not_found": ("GET", "/status/404", 404, 0, 2),
}


def measured(mode, method, url, status=None, error=None):
    old = {"http.method": method, "http.url": url}
    new = {"http.request.method": method}
    if status:
        old.update({"http.status_code": status, "http.flavor": "1.1"})
        new.update({"http.response.status_code": status, "network.protocol.version": "1.1"})
    if error:
        new["error.type"] = error
    names = ("http.client.duration", "http.client.request.size", "http.client.response.size")
    expected = {name: old for name in names} if mode != NEW else {}
    if mode != OLD:
        names = ("request.duration", "request.body.size", "response.body.size")
        expected.update({f"http.client.{name}": new for name in names})
    return expected


@MODES
def test_calls(run_app, target, mode):
    cases = run_cases(run_app, target, SETUP, CASES, mode)
    for name, (method, path, status, sent, received) in EXPECTED.items():
        case = cases[name]
        span = case.span
        error = "HTTPError" if status >= 400 else None
        expected = named(
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
        )
        if mode != OLD and error:
            expected["error.type"] = error
        assert span["attributes"] == expected, name
        assert span["name"] == method
        assert span["kind"] == "CLIENT"
        assert span["scope"]["name"] == "opentelemetry.instrumentation.urllib"
        assert span["scope"]["schema_url"] == SCHEMA_URLS[mode]
        if error:
            assert span["status"] == "ERROR"
            assert span["status_description"] == "HTTPError: HTTP Error 404: Not Found"
            assert exception_of(span)["exception.type"] == "urllib.error.HTTPError"
        else:
            assert span["status"] == "UNSET" and span["events"] == []
        assert case.measured() == measured(mode, method, target.url + path, status, error), name
        values = case.values()
        for size, value in (("request", sent), ("response", received)):
            for metric in (f"http.client.{size}.size", f"http.client.{size}.body.size"):
                assert values.get(metric, value) == value, (name, metric)
        bounds = {item["name"]: item["boundaries"] for item in case.measurements}
        assert bounds.get("http.client.request.duration", NEW_BOUNDARIES) == NEW_BOUNDARIES
        assert bounds.get("http.client.duration") is None


@MODES
def test_refused(run_app, target, mode):
    case = run_cases(run_app, target, SETUP, {"refused": "quietly(urlopen, NOWHERE)"}, mode)[
        "refused"
    ]
    assert case.span["status_description"].startswith("URLError: <urlopen error")
    assert case.measured() == measured(mode, "GET", "http://127.0.0.1:1/x", error="URLError")


def test_context_goes_along_and_the_request_stays_as_it_was(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "request": """
                request = Request(BASE + "/redirect", headers={"X-Ask": "me"})
                urlopen(request).read()
                assert request.headers == {"X-ask": "me"}, request.headers
            """,
            "url": 'urlopen(BASE + "/ok").read()',
            "own": 'urlopen(Request(BASE + "/ok", headers={"traceparent": "mine"})).read()',
            "opener": """
                opener = build_opener()
                opener.addheaders = [("X-Ask", "opener")]
                opener.open(BASE + "/ok").read()
            """,
        },
    )
    hop, redirected, url, own, opener = target.headers("traceparent")
    span = cases["request"].span
    assert hop == redirected == f"00-{span['trace_id']}-{span['span_id']}-03"
    assert url == f"00-{cases['url'].span['trace_id']}-{cases['url'].span['span_id']}-03"
    assert own == "mine"
    assert opener is not None
    assert target.headers("x-ask") == ["me", "me", None, None, "opener"]


def test_only_http_is_a_call(run_app, target):
    """A difference: the official package has spans for files and data, too."""
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "data": 'assert urlopen("data:text/plain,hi").read() == b"hi"',
            "file": 'urlopen("file:///dev/null").read()',
            "unknown": 'assert type(quietly(urlopen, "nonsense")) is ValueError',
        },
    )
    assert [case.spans for case in cases.values()] == [[], [], []]


def test_headers_are_recorded_where_wanted(run_app, target):
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    span = run_cases(
        run_app,
        target,
        SETUP,
        {"ok": 'urlopen(Request(BASE + "/ok", headers={"X-Ask": "me"})).read()'},
        env={prefix + "CLIENT_REQUEST": "x-ask,user-agent", prefix + "CLIENT_RESPONSE": "x-answer"},
    )["ok"].span
    assert span["attributes"]["http.request.header.x_ask"] == ["me"]
    assert span["attributes"]["http.request.header.user_agent"][0].startswith("Python-urllib/")
    assert span["attributes"]["http.response.header.x_answer"] == ["yes", "again"]


def test_excluded_urls_are_silent_below_as_well(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {"excluded": CASES["ok"], "other": CASES["chunked"]},
        env={"OTEL_PYTHON_URLLIB_EXCLUDED_URLS": "/ok"},
    )
    assert cases["excluded"].spans == []
    assert len(cases["other"].spans) == 1
