"""Compares what the engine wrote for the requests of `asgi_scenarios` with what the official
packages emitted for the same requests (`expected/asgi.json`)."""

import collections
import copy
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
EXPECTED = json.loads((HERE / "expected/asgi.json").read_text())
MODES = {"old": None, "http": "http", "dup": "http/dup"}
PREFIX = "opentelemetry.instrumentation."

Expected = collections.namedtuple(
    "Expected", "name kind parent scope status description exceptions old http"
)

#: Attributes of spans that official metrics carry, beside the route.
DURATION = {
    "old": (
        "http.method",
        "http.host",
        "http.scheme",
        "http.status_code",
        "http.flavor",
        "http.server_name",
        "net.host.name",
        "net.host.port",
    ),
    "http": (
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "url.scheme",
    ),
}
ACTIVE = {
    "old": ("http.method", "http.host", "http.scheme", "http.flavor", "http.server_name"),
    "http": ("http.request.method", "url.scheme"),
}


def run_group(run_app, group, mode, *names, env=None):
    """Sends a group's requests with the engine in front; gives (result, spans by request)."""
    command = [sys.executable, HERE / "asgi_scenarios.py", group, *names]
    variables = {"OTEL_SEMCONV_STABILITY_OPT_IN": MODES[mode], **(env or {})}
    result = run_app(command, env=variables)
    requests = {}
    for line in result.stdout.splitlines():
        name, began, ended, status, error = line.split(" ", 4)
        requests[name] = [
            span for span in result.spans if int(began) <= span["start_ns"] <= int(ended)
        ]
    return result, requests


def expected_spans(group, request):
    """The official spans of a request."""
    return [Expected(*span) for span in copy.deepcopy(EXPECTED[group][request])]


def is_request(expected):
    """Whether it is the span of a request, not of a message or of the app."""
    return "http.target" in expected.old


def with_route(spans, route):
    """The official spans of a request with another route: one span for the request, where the
    official packages have one for each app that it goes through."""
    method, _, known = spans[0].name.partition(" ")
    name = f"{method} {route}"
    changed = []
    for span in spans:
        if span.name.startswith(spans[0].name):
            old, http = dict(span.old), dict(span.http)
            if is_request(span):
                old["http.route"] = http["http.route"] = route
            parent = span.parent if is_request(span) else name
            own = name + span.name.removeprefix(spans[0].name)
            changed.append(span._replace(name=own, parent=parent, old=old, http=http))
        elif not is_request(span) and span.scope == "app":
            changed.append(span._replace(parent=name))
    return changed


def without_path(spans):
    """The official spans of a request whose path was not found, which ours are not named after
    from the response on."""
    known, method = spans[0].name, spans[0].name.partition(" ")[0]
    changed = []
    for span in spans:
        name, parent = span.name, method if span.parent == known else span.parent
        if name == known or name.endswith(" send"):
            name = method + name.removeprefix(known)
        changed.append(span._replace(name=name, parent=parent))
    return changed


def attributes_of(expected, mode):
    """A span's attributes in a mode: the request's own are written as differences."""
    modes = ("old", "http") if mode == "dup" else (mode,)
    attributes = {}
    for one in modes:
        own = getattr(expected, one)
        if "http.target" in expected.old:
            own = {**EXPECTED["common"][one], **own}
        attributes.update({key: value for key, value in own.items() if value is not None})
    return attributes


def seen(span, spans, names_of_parents):
    """A span of the engine's in the form of the expectation."""
    parent = span["parent_id"]
    if parent is not None:
        parent = names_of_parents.get(parent, "remote " + parent)
    return {
        "name": span["name"],
        "kind": span["kind"],
        "parent": parent,
        "scope": span["scope"]["name"].removeprefix(PREFIX),
        "status": span["status"],
        "description": span["status_description"] or None,
        "exceptions": [
            [event["attributes"][f"exception.{part}"] for part in ("type", "message", "escaped")]
            for event in span["events"]
        ],
        "attributes": span["attributes"],
    }


def as_seen(expected, mode):
    fields = expected._asdict()
    del fields["old"], fields["http"]
    return {**fields, "attributes": attributes_of(expected, mode)}


def duration_attributes(attributes, mode, target):
    """The attributes of the metrics of a request whose span has these."""
    kept = {key: attributes[key] for key in DURATION[mode] if key in attributes}
    if mode == "old" and target:
        kept["http.target"] = target
    return kept


def order(span):
    return (
        span["kind"] == "INTERNAL",
        span["name"],
        str(span["parent"]),
        json.dumps(span["attributes"], sort_keys=True),
    )


def assert_same(spans, expected, mode):
    """The spans of one request are those that were expected, in any order."""
    names = {span["span_id"]: span["name"] for span in spans}
    actual = sorted((seen(span, spans, names) for span in spans), key=order)
    wanted = sorted((as_seen(one, mode) for one in expected), key=order)
    assert [span["name"] for span in actual] == [span["name"] for span in wanted]
    for one, other in zip(actual, wanted):
        different = {key: (one[key], other[key]) for key in one if one[key] != other[key]}
        assert not different, f"{one['name']}: (ours, official) of {different}"
