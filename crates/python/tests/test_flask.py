"""Flask apps. What is expected was recorded from opentelemetry-instrumentation-flask 0.66b1; what
differs on purpose is in docs/differences.md."""

import pathlib

import pytest
from wsgi_driver import (
    DRIVER,
    NEW,
    NEW_BOUNDARIES,
    NEW_DURATION,
    OLD,
    OLD_ACTIVE,
    OLD_DURATION,
)

APP = (
    DRIVER
    + """
import flask
from carafe_engine import _native

app = flask.Flask("todo")


@app.route("/hello/<name>", methods=["GET", "POST"])
def hello(name):
    return "hi", 200, {"X-Reply": "v", "Set-Cookie": "a=b"}


@app.route("/any", methods=["GET", "FOO"])
def anything():
    return "x"


@app.route("/boom")
def boom():
    raise ValueError("kaput")


@app.route("/abort/<int:code>")
def abort(code):
    flask.abort(code)


@app.route("/odd/<status>")
def odd(status):
    return flask.Response("x", status=status)


@app.route("/current")
def current():
    span = _native.current_span()
    return "%s %s" % (span.trace_id_hex, span.span_id_hex)
"""
)

FLASK = "opentelemetry.instrumentation.flask"
OLD_SCHEMA = "https://opentelemetry.io/schemas/1.11.0"
NEW_SCHEMA = "https://opentelemetry.io/schemas/1.21.0"


def requests(*calls):
    """The app, and these requests to it."""
    lines = [f"print(call(app, environ({arguments})))" for arguments in calls]
    return APP + "\n".join(lines) + "\n"


def one(run_app, arguments, **env):
    result = run_app(requests(arguments), env=env)
    assert len(result.spans) == 1, result.stderr
    assert result.dropped == 0
    return result, result.spans[0]


# Arguments of `environ`, the span's name, its status, and how its attributes differ from OLD:
# None is a key that is not there.
OLD_CASES = [
    (
        "'/hello/ada?x=1'",
        "GET /hello/<name>",
        "UNSET",
        {
            "http.target": "/hello/ada?x=1",
            "http.route": "/hello/<name>",
            "http.status_code": 200,
        },
    ),
    (
        "'/hello/ada', method='HEAD'",
        "HEAD /hello/<name>",
        "UNSET",
        {
            "http.method": "HEAD",
            "http.target": "/hello/ada",
            "http.route": "/hello/<name>",
            "http.status_code": 200,
        },
    ),
    ("'/nope'", "GET", "UNSET", {"http.target": "/nope", "http.status_code": 404}),
    (
        "'/hello/ada', method='DELETE'",
        "DELETE",
        "UNSET",
        {
            "http.method": "DELETE",
            "http.target": "/hello/ada",
            "http.status_code": 405,
        },
    ),
    (
        "'/any', method='FOO'",
        "HTTP /any",
        "UNSET",
        {
            "http.method": "_OTHER",
            "http.target": "/any",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', method='get'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/boom'",
        "GET /boom",
        "ERROR",
        {
            "http.target": "/boom",
            "http.route": "/boom",
            "http.status_code": 500,
        },
    ),
    (
        "'/abort/404'",
        "GET /abort/<int:code>",
        "UNSET",
        {
            "http.target": "/abort/404",
            "http.route": "/abort/<int:code>",
            "http.status_code": 404,
        },
    ),
    (
        "'/abort/503'",
        "GET /abort/<int:code>",
        "ERROR",
        {
            "http.target": "/abort/503",
            "http.route": "/abort/<int:code>",
            "http.status_code": 503,
        },
    ),
    (
        "'/odd/word'",
        "GET /odd/<status>",
        "ERROR",
        {
            "http.target": "/odd/word",
            "http.route": "/odd/<status>",
            "http.status_code": 0,
        },
    ),
    (
        "'/odd/999%20Odd', PATH_INFO='/odd/999 Odd'",
        "GET /odd/<status>",
        "ERROR",
        {
            "http.target": "/odd/999%20Odd",
            "http.route": "/odd/<status>",
            "http.status_code": 999,
        },
    ),
    # A server that does not tell the request line: the URL, without secrets.
    (
        "'/any?Signature=abc&a=b', RAW_URI=None",
        "GET /any",
        "UNSET",
        {
            "http.target": None,
            "http.url": "http://localhost:5000/any?Signature=REDACTED&a=b",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any?q=1', RAW_URI=None, REQUEST_URI='/any?q=1'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any?q=1",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', HTTP_HOST=None",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "http.host": None,
            "net.host.name": None,
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', REMOTE_HOST='peer.example', HTTP_X_FORWARDED_FOR='1.2.3.4'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "net.peer.name": "peer.example",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', HTTP_USER_AGENT='Mozilla/5.0 (Googlebot/2.1)'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "http.user_agent": "Mozilla/5.0 (Googlebot/2.1)",
            "user_agent.synthetic.type": "bot",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', HTTP_USER_AGENT='AlwaysOn'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "http.user_agent": "AlwaysOn",
            "user_agent.synthetic.type": "test",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
    (
        "'/any', SERVER_PORT='', REMOTE_PORT=None, SERVER_PROTOCOL='http/1.0'",
        "GET /any",
        "UNSET",
        {
            "http.target": "/any",
            "net.host.port": None,
            "net.peer.port": None,
            "http.flavor": "1.0",
            "http.route": "/any",
            "http.status_code": 200,
        },
    ),
]


def changed(base, changes):
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def test_old_conventions(run_app):
    result = run_app(requests(*(case[0] for case in OLD_CASES)))
    assert result.dropped == 0
    assert len(result.spans) == len(OLD_CASES), result.stderr
    for span, (arguments, name, status, changes) in zip(result.spans, OLD_CASES):
        assert span["name"] == name, arguments
        assert span["status"] == status, arguments
        assert span["attributes"] == changed(OLD, changes), arguments
        assert span["kind"] == "SERVER"
        assert span["parent_id"] is None
        assert span["scope"]["name"] == FLASK
        assert span["scope"]["schema_url"] == OLD_SCHEMA


NEW_CASES = [
    (
        "'/hello/ada?x=1'",
        "GET /hello/<name>",
        "UNSET",
        {
            "url.path": "/hello/ada",
            "url.query": "x=1",
            "http.route": "/hello/<name>",
            "http.response.status_code": 200,
        },
    ),
    (
        "'/any', method='FOO'",
        "HTTP /any",
        "UNSET",
        {
            "http.request.method": "_OTHER",
            "http.request.method_original": "FOO",
            "url.path": "/any",
            "http.route": "/any",
            "http.response.status_code": 200,
        },
    ),
    (
        "'/any', method='get'",
        "GET /any",
        "UNSET",
        {
            "http.request.method_original": "get",
            "url.path": "/any",
            "http.route": "/any",
            "http.response.status_code": 200,
        },
    ),
    (
        "'/boom'",
        "GET /boom",
        "ERROR",
        {
            "url.path": "/boom",
            "http.route": "/boom",
            "http.response.status_code": 500,
            "error.type": "500",
        },
    ),
    ("'/nope'", "GET", "UNSET", {"url.path": "/nope", "http.response.status_code": 404}),
    (
        "'/any?q=1', RAW_URI=None",
        "GET /any",
        "UNSET",
        {
            "url.path": "/any",
            "url.query": "q=1",
            "http.route": "/any",
            "http.response.status_code": 200,
        },
    ),
    (
        "'/any', REMOTE_HOST='peer.example'",
        "GET /any",
        "UNSET",
        {
            "url.path": "/any",
            "client.address": "peer.example",
            "http.route": "/any",
            "http.response.status_code": 200,
        },
    ),
]


def test_stable_conventions(run_app):
    code = requests(*(case[0] for case in NEW_CASES))
    result = run_app(code, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"})
    assert len(result.spans) == len(NEW_CASES), result.stderr
    for span, (arguments, name, status, changes) in zip(result.spans, NEW_CASES):
        assert span["name"] == name, arguments
        assert span["status"] == status, arguments
        assert span["attributes"] == changed(NEW, changes), arguments
        assert span["scope"]["schema_url"] == NEW_SCHEMA


def test_both_conventions(run_app):
    opt_in = {"OTEL_SEMCONV_STABILITY_OPT_IN": "database, http/dup"}
    result, span = one(run_app, "'/any?q=1'", **opt_in)
    assert span["attributes"] == {
        **OLD,
        **NEW,
        "http.target": "/any?q=1",
        "url.path": "/any",
        "url.query": "q=1",
        "http.route": "/any",
        "http.status_code": 200,
        "http.response.status_code": 200,
    }
    assert [name for name in result.metric_names() if name.startswith("http.")] == [
        "http.server.active_requests",
        "http.server.duration",
        "http.server.request.duration",
    ]
    assert span["scope"]["schema_url"] == NEW_SCHEMA


def test_old_metrics(run_app):
    result = run_app(requests("'/hello/ada'", "'/nope'", "'/hello/bob'"))
    active = result.metric("http.server.active_requests")
    assert [item["value"] for item in active] == [1, -1] * 3
    assert {item["unit"] for item in active} == {"requests"}
    assert all(item["attributes"] == OLD_ACTIVE for item in active)
    durations = result.metric("http.server.duration")
    routed = {**OLD_DURATION, "http.status_code": 200, "http.target": "/hello/<name>"}
    unrouted = {**OLD_DURATION, "http.status_code": 404}
    assert [item["attributes"] for item in durations] == [routed, unrouted, routed]
    for item, span in zip(durations, result.spans):
        assert item["unit"] == "ms"
        assert item["kind"] == "histogram"
        assert isinstance(item["value"], int)
        assert item["span"]["span_id"] == span["span_id"]


def test_stable_metrics(run_app):
    code = requests("'/hello/ada'", "'/boom'")
    result = run_app(code, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"})
    active = result.metric("http.server.active_requests")
    assert active[0]["attributes"] == {"http.request.method": "GET", "url.scheme": "http"}
    assert active[0]["unit"] == "{request}"
    durations = result.metric("http.server.request.duration")
    assert [item["attributes"] for item in durations] == [
        {**NEW_DURATION, "http.response.status_code": 200, "http.route": "/hello/<name>"},
        {
            **NEW_DURATION,
            "http.response.status_code": 500,
            "http.route": "/boom",
            "error.type": "500",
        },
    ]
    assert durations[0]["unit"] == "s"
    assert durations[0]["boundaries"] == NEW_BOUNDARIES
    assert 0 < durations[0]["value"] < 5
    assert result.metric("http.server.duration") == []


def test_exception(run_app):
    _, span = one(run_app, "'/boom'")
    assert span["status_description"] == "ValueError: kaput"
    (event,) = span["events"]
    assert event["name"] == "exception"
    attributes = event["attributes"]
    assert attributes["exception.type"] == "ValueError"
    assert attributes["exception.message"] == "kaput"
    assert attributes["exception.escaped"] == "False"
    assert 'raise ValueError("kaput")' in attributes["exception.stacktrace"]


def test_exception_that_leaves_the_app(run_app):
    code = APP + "app.testing = True\nprint(repr(call(app, environ('/boom'))))\n"
    result = run_app(code)
    assert "ValueError('kaput')" in result.stdout
    (span,) = result.spans
    assert (span["status"], span["status_description"]) == ("ERROR", "ValueError: kaput")
    assert len(span["events"]) == 1
    assert "http.status_code" not in span["attributes"]
    assert [item["value"] for item in result.metric("http.server.active_requests")] == [1, -1]


def test_parent_of_the_request(run_app):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    header = f"HTTP_TRACEPARENT='00-{trace}-{parent}-01', HTTP_BAGGAGE='k=v'"
    result, span = one(run_app, f"'/current', {header}")
    assert (span["trace_id"], span["parent_id"]) == (trace, parent)
    assert f"{trace} {span['span_id']}" in result.stdout


def test_unsampled_parent(run_app):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = f"HTTP_TRACEPARENT='00-{trace}-00f067aa0ba902b7-00'"
    result = run_app(requests(f"'/current', {header}"))
    assert result.spans == []
    assert trace in result.stdout
    assert len(result.metric("http.server.duration")) == 1


@pytest.mark.parametrize(
    "variable", ["OTEL_PYTHON_FLASK_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"]
)
def test_excluded_urls(run_app, variable):
    code = requests("'/hello/ada'", "'/any?probe=1'")
    result = run_app(code, env={variable: "localhost:5000/hello/.*, nothing"})
    assert result.span_names() == ["GET /any"]
    assert len(result.metric("http.server.duration")) == 1
    assert len(result.metric("http.server.active_requests")) == 4


def test_captured_headers(run_app):
    _, span = one(
        run_app,
        "'/hello/ada', HTTP_X_CUSTOM='one', HTTP_X_SESSION_ID='secret', HTTP_OTHER='no'",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST="x-custom,X-Session.*",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE="x-reply,set-cookie",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS=".*session.*,set-cookie",
    )
    captured = {key: value for key, value in span["attributes"].items() if ".header." in key}
    assert captured == {
        "http.request.header.x_custom": ["one"],
        "http.request.header.x_session_id": ["[REDACTED]"],
        "http.response.header.x_reply": ["v"],
        "http.response.header.set_cookie": ["[REDACTED]"],
    }


def test_pattern_that_is_none(run_app):
    result, _ = one(run_app, "'/any'", OTEL_PYTHON_FLASK_EXCLUDED_URLS="(")
    (notice,) = [notice for notice in result.notices if notice["kind"] == "problem"]
    assert notice["name"] == "OTEL_PYTHON_FLASK_EXCLUDED_URLS"


def test_all_methods(run_app):
    variable = {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "1"}
    _, span = one(run_app, "'/any', method='foo'", **variable)
    assert span["attributes"]["http.method"] == "FOO"
    assert span["name"] == "FOO /any"


def test_disabled(run_app):
    result = run_app(requests("'/any'"), env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask"})
    assert result.spans == []
    assert [notice["kind"] for notice in result.notices if notice["name"] == "flask"] == [
        "left_alone"
    ]


def test_length_limit(run_app):
    _, span = one(run_app, "'/hello/ada'", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="6")
    assert span["attributes"]["http.target"] == "/hello"
    assert span["attributes"]["http.route"] == "/hello"
    assert span["attributes"]["http.user_agent"] == "curl/8"


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio"])
def test_request_that_is_not_sampled(run_app, sampler):
    """It counts, its ids go on, and nothing else is made of it."""
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0"}
    result = run_app(requests("'/current'", "'/boom'"), env=variables)
    assert result.spans == []
    assert "'200 OK'" in result.stdout
    durations = result.metric("http.server.duration")
    assert [item["attributes"]["http.status_code"] for item in durations] == [200, 500]
    assert not any(item["span"]["sampled"] for item in durations)


def test_override_that_fails(run_app):
    """What the app overrides may raise where the engine asks it: the app does not notice."""
    code = APP + (
        "asked = []\n"
        "def ignores(error):\n"
        "    asked.append(error)\n"
        "    if len(asked) == 1:\n"
        "        raise RuntimeError('asked too early')\n"
        "    return False\n"
        "app.should_ignore_error = ignores\n"
        "print(call(app, environ('/boom'))[0])\n"
    )
    result = run_app(code)
    assert "500 INTERNAL SERVER ERROR" in result.stdout
    assert result.spans[0]["attributes"]["http.status_code"] == 500
