"""Django projects. What is expected was recorded from opentelemetry-instrumentation-django 0.66b1;
what differs on purpose is in docs/differences.md."""

import pytest
from wsgi_driver import DRIVER, NEW, NEW_DURATION, OLD, OLD_ACTIVE, OLD_DURATION

pytest.importorskip("django")

DJANGO = "opentelemetry.instrumentation.django"

PROJECT = (
    DRIVER
    + """
import logging
from carafe_engine import _native
from django.conf import settings

MIDDLEWARE = []
settings.configure(
    DEBUG=False, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x",
    LOGGING_CONFIG=None, MIDDLEWARE=MIDDLEWARE,
)
logging.disable(logging.CRITICAL)

import django

django.setup()

from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpResponse
from django.urls import include, path, re_path


def poll(request, id):
    span = _native.current_span()
    assert span is not None
    return HttpResponse(span.span_id_hex, headers={"X-Reply": "v"})


async def apoll(request, id):
    return HttpResponse(_native.current_span().span_id_hex)


def boom(request):
    raise ValueError("kaput")


def missing(request):
    raise Http404("no")


def root(request):
    return HttpResponse("root")


def deny(get_response):
    def middleware(request):
        if request.GET.get("deny"):
            return HttpResponse("denied", status=403)
        return get_response(request)

    return middleware


urlpatterns = [
    path("polls/<int:id>/", poll, name="poll"),
    path("async/<int:id>/", apoll),
    path("boom/", boom),
    path("missing/", missing),
    path("", root, name="root"),
    path("inc/", include([re_path(r"^(?P<id>[0-9]+)/$", poll)])),
]
"""
)

APP = PROJECT + "app = WSGIHandler()\n"


def requests(*calls):
    return APP + "\n".join(f"print(call(app, environ({arguments})))" for arguments in calls)


def changed(base, changes):
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


# As in test_flask: arguments of `environ`, name, status, description, changes to OLD.
OLD_CASES = [
    (
        "'/polls/7/?x=1'",
        "GET polls/<int:id>/",
        "UNSET",
        "",
        {
            "http.target": "/polls/7/?x=1",
            "http.route": "polls/<int:id>/",
            "http.status_code": 200,
        },
    ),
    (
        "'/async/3/'",
        "GET async/<int:id>/",
        "UNSET",
        "",
        {
            "http.target": "/async/3/",
            "http.route": "async/<int:id>/",
            "http.status_code": 200,
        },
    ),
    (
        "'/boom/'",
        "GET boom/",
        "ERROR",
        "ValueError: kaput",
        {
            "http.target": "/boom/",
            "http.route": "boom/",
            "http.status_code": 500,
        },
    ),
    # A view's Http404 is an exception of the view.
    (
        "'/missing/'",
        "GET missing/",
        "ERROR",
        "Http404: no",
        {
            "http.target": "/missing/",
            "http.route": "missing/",
            "http.status_code": 404,
        },
    ),
    ("'/nope'", "GET", "UNSET", "", {"http.target": "/nope", "http.status_code": 404}),
    # The root's route is empty: the URL's name stands for it.
    ("'/'", "GET root", "UNSET", "", {"http.status_code": 200}),
    (
        "'/inc/5/'",
        "GET inc/(?P<id>[0-9]+)/$",
        "UNSET",
        "",
        {
            "http.target": "/inc/5/",
            "http.route": "inc/(?P<id>[0-9]+)/$",
            "http.status_code": 200,
        },
    ),
    (
        "'/polls/7/', method='HEAD'",
        "HEAD polls/<int:id>/",
        "UNSET",
        "",
        {
            "http.method": "HEAD",
            "http.target": "/polls/7/",
            "http.route": "polls/<int:id>/",
            "http.status_code": 200,
        },
    ),
    (
        "'/polls/7/', method='FOO'",
        "HTTP",
        "UNSET",
        "",
        {
            "http.method": "_OTHER",
            "http.target": "/polls/7/",
            "http.route": "polls/<int:id>/",
            "http.status_code": 200,
        },
    ),
]


def test_old_conventions(run_app):
    result = run_app(requests(*(case[0] for case in OLD_CASES)))
    assert result.dropped == 0
    assert len(result.spans) == len(OLD_CASES), result.stderr
    for span, (arguments, name, status, description, changes) in zip(result.spans, OLD_CASES):
        assert span["name"] == name, arguments
        assert (span["status"], span["status_description"]) == (status, description), arguments
        assert span["attributes"] == changed(OLD, changes), arguments
        assert span["kind"] == "SERVER"
        assert span["scope"]["name"] == DJANGO
    assert [event["attributes"]["exception.type"] for event in result.spans[2]["events"]] == [
        "ValueError"
    ]
    assert [notice["kind"] for notice in result.notices if notice["name"] == "django"] == [
        "instrumented"
    ]


def test_old_metrics(run_app):
    result = run_app(requests("'/polls/7/'", "'/nope'"))
    active = result.metric("http.server.active_requests")
    assert [item["value"] for item in active] == [1, -1, 1, -1]
    assert {item["unit"] for item in active} == {"{request}"}
    assert all(item["attributes"] == OLD_ACTIVE for item in active)
    assert [item["attributes"] for item in result.metric("http.server.duration")] == [
        {**OLD_DURATION, "http.status_code": 200, "http.target": "polls/<int:id>/"},
        {**OLD_DURATION, "http.status_code": 404},
    ]


def test_stable_conventions(run_app):
    code = requests("'/polls/7/?x=1'", "'/boom/'")
    result = run_app(code, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"})
    routed = {"http.route": "polls/<int:id>/", "http.response.status_code": 200}
    failed = {"http.route": "boom/", "http.response.status_code": 500, "error.type": "500"}
    assert [span["attributes"] for span in result.spans] == [
        {**NEW, "url.path": "/polls/7/", "url.query": "x=1", **routed},
        {**NEW, "url.path": "/boom/", **failed},
    ]
    assert [item["attributes"] for item in result.metric("http.server.request.duration")] == [
        {**NEW_DURATION, **routed},
        {**NEW_DURATION, **failed},
    ]


def test_middleware_that_answers(run_app):
    """The span's name has the route, although no view was called."""
    code = APP.replace("MIDDLEWARE = []", "MIDDLEWARE = [__name__ + '.deny']")
    code += "print(call(app, environ('/polls/7/?deny=1')))\n"
    (span,) = run_app(code).spans
    assert span["name"] == "GET polls/<int:id>/"
    assert "http.route" not in span["attributes"]
    assert span["attributes"]["http.status_code"] == 403


def test_span_is_current_in_views(run_app):
    result = run_app(requests("'/polls/7/'", "'/async/7/'"))
    for span in result.spans:
        assert span["span_id"] in result.stdout


def test_parent(run_app):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    result = run_app(requests(f"'/', HTTP_TRACEPARENT='00-{trace}-{parent}-01'"))
    (span,) = result.spans
    assert (span["trace_id"], span["parent_id"]) == (trace, parent)


def test_excluded_urls(run_app):
    code = requests("'/polls/7/?q=1'", "'/'")
    result = run_app(code, env={"OTEL_PYTHON_DJANGO_EXCLUDED_URLS": "polls/[0-9]+/$"})
    assert result.span_names() == ["GET root"]
    assert len(result.metric("http.server.active_requests")) == 2


def test_attributes_and_headers_of_the_request(run_app):
    result = run_app(
        requests("'/polls/7/', HTTP_X_CUSTOM='one', HTTP_X_SESSION='s', CONTENT_TYPE='text/x'"),
        env={
            "OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS": "path_info, content_type, nothing",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-.*",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "x-reply",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": ".*session.*",
        },
    )
    attributes = result.spans[0]["attributes"]
    assert {key: attributes[key] for key in attributes if key not in OLD} == {
        "path_info": "/polls/7/",
        "content_type": "text/x",
        "http.request.header.x_custom": ["one"],
        "http.request.header.x_session": ["[REDACTED]"],
        "http.response.header.x_reply": ["v"],
        "http.route": "polls/<int:id>/",
        "http.status_code": 200,
    }


def test_left_alone(run_app):
    result = run_app(requests("'/'"), env={"OTEL_PYTHON_DJANGO_INSTRUMENT": "False"})
    assert result.spans == []
    (notice,) = [notice for notice in result.notices if notice["name"] == "django"]
    assert (notice["kind"], notice["reason"]) == (
        "left_alone",
        "OTEL_PYTHON_DJANGO_INSTRUMENT is False",
    )


@pytest.mark.parametrize("client", ["Client", "AsyncClient"])
def test_test_client(run_app, client):
    code = PROJECT + "from django.test import AsyncClient, Client\nimport asyncio\n"
    if client == "Client":
        code += "print(Client().get('/polls/7/').content)\n"
    else:
        code += "print(asyncio.run(AsyncClient().get('/async/7/')).content)\n"
    (span,) = run_app(code).spans
    assert span["name"].endswith("/<int:id>/")


def test_handler_inside_another_app(run_app):
    """The server's span is Django's."""
    code = PROJECT + (
        "from carafe_engine.instrument import wsgi\n"
        "handler = WSGIHandler()\n"
        "app = wsgi.told(lambda environ, start_response: handler(environ, start_response))\n"
        "print(call(app, environ('/polls/7/')))\n"
        "print(call(app, environ('/boom/')))\n"
    )
    result = run_app(code)
    assert result.span_names() == ["GET polls/<int:id>/", "GET boom/"]
    assert {span["scope"]["name"] for span in result.spans} == {DJANGO}
    assert result.spans[1]["status_description"] == "ValueError: kaput"
    assert len(result.metric("http.server.duration")) == 2


ASGI = (
    PROJECT
    + """
import asyncio
from django.core.handlers.asgi import ASGIHandler

app = ASGIHandler()


async def call_asgi(target, method="GET", headers=()):
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "client": ("127.0.0.1", 1234), "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"localhost:8000"), (b"user-agent", b"curl/8"), *headers],
    }
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    sent = []

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    assert _native.current() is None
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
"""
)


def test_asgi(run_app):
    code = ASGI + (
        "for target in ('/polls/7/?x=1', '/async/3/', '/boom/', '/nope'):\n"
        "    print(asyncio.run(call_asgi(target)))\n"
    )
    result = run_app(code)
    base = {
        "http.scheme": "http",
        "http.host": "127.0.0.1:8000",
        "net.host.port": 8000,
        "http.flavor": "1.1",
        "http.method": "GET",
        "http.server_name": "localhost:8000",
        "http.user_agent": "curl/8",
        "net.peer.ip": "127.0.0.1",
        "net.peer.port": 1234,
    }
    url = "http://localhost:8000"
    assert [(span["name"], span["status"]) for span in result.spans] == [
        ("GET polls/<int:id>/", "UNSET"),
        ("GET async/<int:id>/", "UNSET"),
        ("GET boom/", "ERROR"),
        ("GET", "UNSET"),
    ]
    assert [span["attributes"] for span in result.spans] == [
        {
            **base,
            "http.target": "/polls/7/",
            "http.url": url + "/polls/7/?x=1",
            "http.route": "polls/<int:id>/",
            "http.status_code": 200,
        },
        {
            **base,
            "http.target": "/async/3/",
            "http.url": url + "/async/3/",
            "http.route": "async/<int:id>/",
            "http.status_code": 200,
        },
        {
            **base,
            "http.target": "/boom/",
            "http.url": url + "/boom/",
            "http.route": "boom/",
            "http.status_code": 500,
        },
        {**base, "http.target": "/nope", "http.url": url + "/nope", "http.status_code": 404},
    ]
    for span in result.spans[:2]:
        assert span["span_id"] in result.stdout
    assert len(result.metric("http.server.duration")) == 4


def test_asgi_server(serve, tmp_path):
    """One span, also where another ASGI app is around Django's."""
    pytest.importorskip("uvicorn")
    code = PROJECT + (
        "import os\nimport uvicorn\n"
        "from django.core.handlers.asgi import ASGIHandler\n"
        "handler = ASGIHandler()\n"
        "async def around(scope, receive, send):\n"
        "    await handler(scope, receive, send)\n"
        "app = around if os.environ['SHAPE'] == 'around' else handler\n"
        "uvicorn.run(app, port=int(os.environ['PORT']), lifespan='off')\n"
    )
    for shape in ("plain", "around"):
        with serve(code, env={"SHAPE": shape}) as server:
            assert server.request("/polls/7/")[0] == 200
            telemetry = server.wait_for(
                lambda telemetry: telemetry.metric("http.server.duration"), "the duration"
            )
            (span,) = [span for span in telemetry.spans if span["kind"] == "SERVER"]
            assert span["name"] == "GET polls/<int:id>/"
            assert span["attributes"]["http.route"] == "polls/<int:id>/"
            (duration,) = telemetry.metric("http.server.duration")
            assert duration["attributes"]["http.target"] == "polls/<int:id>/"
