"""Starlette apps."""

import asgi_expected
import pytest
from asgi_expected import MODES, Expected, expected_spans, run_group, with_route

#: As in `test_fastapi`; and `Host` routes, which the official package names after the path.
MOUNTED = {
    "mounted": "/tree/leaf/{n}",
    "sub_app": "/sub/leaf/{n}",
    "host": "/leaf/{n}",
}


def answered(spans):
    """What the official package does not see: how Starlette answers an exception. It sits below
    the middleware that does, ours above."""
    server = spans[0]
    old, http = dict(server.old), dict(server.http)
    old["http.status_code"] = http["http.response.status_code"] = 500
    http["error.type"] = "500"
    spans[0] = server._replace(old=old, http=http)
    for part in ("start", "body"):
        own = {"asgi.event.type": f"http.response.{part}"}
        is_start = part == "start"
        spans.append(
            Expected(
                *(server.name + " http send", "INTERNAL", server.name, "starlette"),
                *("ERROR" if is_start else "UNSET", None, []),
                {**own, **({"http.status_code": 500} if is_start else {})},
                {
                    **own,
                    **({"http.response.status_code": 500, "error.type": "500"} if is_start else {}),
                },
            )
        )
    return spans


@pytest.mark.parametrize("mode", MODES)
def test_spans_are_the_official_packages(run_app, mode):
    _, requests = run_group(run_app, "starlette", mode)
    for name, spans in requests.items():
        expected = expected_spans("starlette", name)
        if name in MOUNTED:
            expected = with_route(expected, MOUNTED[name])
        if name == "boom":
            expected = answered(expected)
        asgi_expected.assert_same(spans, expected, mode)


TARGETS = {
    "plain": "/items/{item_id}",
    "not_found": None,
    "mounted": "/tree/leaf/{n}",
    "sub_raw": "/raw",
    "boom": "/boom",
}


@pytest.mark.parametrize("mode", ["old", "http"])
def test_metrics_have_the_route(run_app, mode):
    result, requests = run_group(run_app, "starlette", mode, *TARGETS)
    name = "http.server.duration" if mode == "old" else "http.server.request.duration"
    measured = [one["attributes"] for one in result.metric(name)]
    expected = []
    for request, target in TARGETS.items():
        (span,) = [span for span in requests[request] if span["kind"] == "SERVER"]
        expected.append(asgi_expected.duration_attributes(span["attributes"], mode, target))
    assert measured == expected


def test_excluded_urls(run_app):
    env = {"OTEL_PYTHON_STARLETTE_EXCLUDED_URLS": "^http://shop.example:8000/items"}
    result, _ = run_group(run_app, "starlette", "old", "plain", "teapot", env=env)
    assert [span["name"] for span in result.spans if span["kind"] == "SERVER"] == ["GET /teapot"]


def test_disabled(run_app):
    env = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "starlette"}
    result, _ = run_group(run_app, "starlette", "old", "teapot", env=env)
    assert result.spans == []
    assert {"name": "starlette", "kind": "left_alone"}.items() <= {
        key: value
        for notice in result.notices
        if notice["name"] == "starlette"
        for key, value in notice.items()
    }.items()
