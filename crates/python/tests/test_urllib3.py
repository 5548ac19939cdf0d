"""urllib3, against recordings of the official package."""

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
import io, urllib3
pool = urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0))
"""
CASES = {
    "ok": 'pool.request("GET", BASE + "/ok")',
    "post": 'pool.request("POST", BASE + "/ok", body=b"hello")',
    "file": 'pool.request("PUT", BASE + "/ok", body=io.BytesIO(b"abc"))',
    "unsized": 'pool.request("POST", BASE + "/ok", body=iter([]))',
    "not_found": 'pool.request("GET", BASE + "/status/404")',
    "chunked": 'pool.request("GET", BASE + "/chunked")',
    "lower_case": 'urllib3.connection_from_url(BASE).urlopen("get", "/status/200")',
    "unknown_method": 'pool.request("FOO", BASE + "/ok")',
    "one_pool": 'urllib3.connection_from_url(BASE).request("GET", "/redirect")',
    "stream": """
        response = pool.request("GET", BASE + "/ok", preload_content=False)
        assert b"".join(response.stream()) == b"ok"
        response.release_conn()
    """,
}
#: Case: method, path, status, bytes of the request (None: not measured), of the response.
EXPECTED = {
    "ok": ("GET", "/ok", 200, 0, 2),
    "post": ("POST", "/ok", 200, 5, 2),
    "file": ("PUT", "/ok", 200, 3, 2),
    "unsized": ("POST", "/ok", 200, None, 2),
    "not_found": ("GET", "/status/404", 404, 0, 2),
    "chunked": ("GET", "/chunked", 200, 0, 0),
    "lower_case": ("GET", "/status/200", 200, 0, 2),
    "unknown_method": ("_OTHER", "/ok", 200, 0, 2),
    # Redirects within a pool are part of the call.
    "one_pool": ("GET", "/redirect", 200, 0, 2),
    "stream": ("GET", "/ok", 200, 0, 2),
}


def measured(mode, method, port, status, sizes=("request", "response")):
    old = {
        "http.method": method,
        "http.scheme": "http",
        "http.host": "127.0.0.1",
        "net.peer.name": "127.0.0.1",
        "net.peer.port": port,
        "http.status_code": status,
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
    expected = {}
    if mode != NEW:
        expected["http.client.duration"] = old
        expected.update({f"http.client.{size}.size": old for size in sizes})
    if mode != OLD:
        expected["http.client.request.duration"] = new
        expected.update({f"http.client.{size}.body.size": new for size in sizes})
    return expected


@MODES
def test_calls(run_app, target, mode):
    cases = run_cases(run_app, target, SETUP, CASES, mode)
    for name, (method, path, status, sent, received) in EXPECTED.items():
        case = cases[name]
        span = case.span
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
        if mode != OLD and status >= 400:
            expected["error.type"] = str(status)
        if mode != OLD and method == "_OTHER":
            expected["http.request.method_original"] = "FOO"
        assert span["attributes"] == expected, name
        assert span["name"] == ("HTTP" if method == "_OTHER" else method)
        assert span["kind"] == "CLIENT"
        assert span["status"] == ("ERROR" if status >= 400 else "UNSET")
        assert span["events"] == []
        assert span["scope"]["name"] == "opentelemetry.instrumentation.urllib3"
        assert span["scope"]["schema_url"] == SCHEMA_URLS[mode]
        sizes = ("response",) if sent is None else ("request", "response")
        assert case.measured() == measured(mode, method, target.port, status, sizes), name
        values = case.values()
        for size, value in (("request", sent), ("response", received)):
            for metric in (f"http.client.{size}.size", f"http.client.{size}.body.size"):
                if metric in values:
                    assert values[metric] == value, (name, metric)


@MODES
def test_instruments(run_app, target, mode):
    case = run_cases(run_app, target, SETUP, {"ok": CASES["ok"]}, mode)["ok"]
    instruments = {
        item["name"]: (item["unit"], item["description"], item["boundaries"])
        for item in case.measurements
    }
    expected = {}
    if mode != NEW:
        expected |= {
            "http.client.duration": (
                "ms",
                "Measures the duration of the outbound HTTP request",
                None,
            ),
            "http.client.request.size": ("By", "Measures the size of HTTP request messages.", None),
            "http.client.response.size": (
                "By",
                "Measures the size of HTTP response messages.",
                None,
            ),
        }
    if mode != OLD:
        expected |= {
            "http.client.request.duration": (
                "s",
                "Duration of HTTP client requests.",
                NEW_BOUNDARIES,
            ),
            "http.client.request.body.size": ("By", "Size of HTTP client request bodies.", None),
            "http.client.response.body.size": ("By", "Size of HTTP client response bodies.", None),
        }
    assert instruments == expected


@MODES
def test_exceptions(run_app, target, mode):
    """As the official package: retries are one span, what raises is not measured."""
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "refused": 'quietly(pool.request, "GET", NOWHERE, retries=2)',
            "dropped": 'quietly(pool.request, "GET", BASE + "/drop", retries=False)',
            "statuses": """
                retries = urllib3.Retry(2, status_forcelist=[503], backoff_factor=0)
                quietly(pool.request, "GET", BASE + "/status/503", retries=retries)
            """,
        },
        mode,
    )
    expected = {
        "refused": ("urllib3.exceptions.MaxRetryError", "http://127.0.0.1:1/x"),
        "dropped": ("urllib3.exceptions.ProtocolError", target.url + "/drop"),
        "statuses": ("urllib3.exceptions.MaxRetryError", target.url + "/status/503"),
    }
    for name, (exception, url) in expected.items():
        span = cases[name].span
        assert exception_of(span)["exception.type"] == exception
        assert span["status"] == "ERROR"
        assert span["status_description"].startswith(exception.rpartition(".")[2] + ": ")
        assert span["attributes"] == named(
            mode,
            old={"http.method": "GET", "http.url": url},
            new={"http.request.method": "GET", "url.full": url},
        )
        assert cases[name].measurements == []


def test_redirects_to_other_pools_are_calls(run_app, target):
    spans = run_cases(
        run_app, target, SETUP, {"redirect": 'pool.request("GET", BASE + "/redirect")'}
    )["redirect"].spans
    assert [
        (span["attributes"]["http.url"], span["attributes"]["http.status_code"]) for span in spans
    ] == [
        (target.url + "/redirect", 302),
        (target.url + "/ok", 200),
    ]
    assert target.headers("traceparent") == [
        f"00-{span['trace_id']}-{span['span_id']}-03" for span in spans
    ]


def test_secrets_in_queries_are_redacted(run_app, target):
    """A difference: the official package for urllib3 leaves them in."""
    span = run_cases(
        run_app, target, SETUP, {"ok": 'pool.request("GET", BASE + "/ok?sig=secret")'}
    )["ok"].span
    assert span["attributes"]["http.url"] == target.url + "/ok?sig=REDACTED"


def test_headers_are_sent_and_the_callers_stay(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {
            "dict": """
                headers = {"X-Ask": "me"}
                pool.request("GET", BASE + "/ok", headers=headers)
                assert headers == {"X-Ask": "me"}
            """,
            "of_pool": """
                pool = urllib3.connection_from_url(BASE, headers={"X-Ask": "pool"})
                pool.urlopen("GET", "/ok")
                assert pool.headers == {"X-Ask": "pool"}
            """,
            "own": 'pool.request("GET", BASE + "/ok", headers={"TraceParent": "mine"})',
        },
    )
    sent = target.headers("traceparent")
    for header, name in zip(sent, ("dict", "of_pool")):
        span = cases[name].span
        assert header == f"00-{span['trace_id']}-{span['span_id']}-03"
    assert sent[2] == "mine"
    assert target.headers("x-ask") == ["me", "pool", None]


def test_recorded_headers_keep_all_values(run_app, target):
    """A difference: of a header that comes twice the official package has the last value."""
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    span = run_cases(
        run_app,
        target,
        SETUP,
        {"ok": 'pool.request("GET", BASE + "/ok", headers={"X-Ask": "me"})'},
        env={prefix + "CLIENT_REQUEST": "x-ask", prefix + "CLIENT_RESPONSE": "x-answer"},
    )["ok"].span
    assert span["attributes"]["http.request.header.x_ask"] == ["me"]
    assert span["attributes"]["http.response.header.x_answer"] == ["yes", "again"]


def test_excluded_urls_are_silent_below_as_well(run_app, target):
    cases = run_cases(
        run_app,
        target,
        SETUP,
        {"excluded": CASES["ok"]},
        env={"OTEL_PYTHON_URLLIB3_EXCLUDED_URLS": "/ok$"},
    )
    assert cases["excluded"].spans == []
