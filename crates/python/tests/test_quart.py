"""Quart apps: as the official ASGI package sees them, and with routes and exceptions."""

import asgi_expected
import pytest
from asgi_expected import MODES, expected_spans, run_group

ROUTES = {
    "plain": "/items/<int:item_id>",
    "parent": "/items/<int:item_id>",
    "thread": "/sync",
    "body": "/items",
    "boom": "/boom",
    "handled": "/handled",
    "socket": "/echo/<room>",
}


@pytest.mark.parametrize("mode", MODES)
def test_spans_are_the_official_packages_with_routes(run_app, mode):
    _, requests = run_group(run_app, "quart", mode)
    for name, spans in requests.items():
        expected = expected_spans("quart", name)
        # Quart waits for messages beside the request's handler: the number and the names of
        # their spans depend on who comes first.
        spans = [span for span in spans if not span["name"].endswith(" receive")]
        expected = [span for span in expected if not span.name.endswith(" receive")]
        if name in ROUTES:
            expected = asgi_expected.with_route(expected, ROUTES[name])
        else:
            expected = asgi_expected.without_path(expected)
        if name == "boom":
            expected[0].exceptions.append(["asgi_scenarios.Boom", "out of order", "False"])
            expected[0] = expected[0]._replace(description="Boom: out of order")
        asgi_expected.assert_same(spans, expected, mode)


def test_metrics_have_the_route(run_app):
    result, _ = run_group(run_app, "quart", "http", "plain", "not_found")
    routes = [
        one["attributes"].get("http.route") for one in result.metric("http.server.request.duration")
    ]
    assert routes == ["/items/<int:item_id>", None]


def test_excluded_urls(run_app):
    env = {"OTEL_PYTHON_QUART_EXCLUDED_URLS": "items"}
    result, _ = run_group(run_app, "quart", "old", "plain", "not_found", env=env)
    assert [span["name"] for span in result.spans if span["kind"] == "SERVER"] == ["GET"]
