"""A pytest plugin that writes what became of each test, as lines of JSON.

Written at once, so that a test that takes the interpreter down is known by its last line.
"""

import json
import os
import sys

# Looked up once: some tests empty the environment.
OUTCOMES = os.environ["COMPAT_OUTCOMES"]
DONE = frozenset(filter(None, os.environ.get("COMPAT_DONE", "").split("\n")))

# For the engine alone, which has read it: official loaders that are tested read it too.
os.environ.pop("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", None)


def write(**fields):
    with open(OUTCOMES, "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")


def pytest_sessionstart():
    """Says whose SDK the tests get."""
    import opentelemetry.sdk.trace as sdk

    native = sys.modules.get("carafe_engine._native")
    write(event="sdk", file=sdk.__file__, engine_is_on=bool(native and native.is_on()))


def pytest_collection_modifyitems(items, config):
    left = [item for item in items if item.nodeid not in DONE]
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in DONE])
    items[:] = left


def pytest_runtest_logstart(nodeid):
    write(event="start", test=nodeid)


def pytest_runtest_logreport(report):
    if report.passed and report.when != "call":
        return
    outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
    write(event="outcome", test=report.nodeid, outcome=outcome, message=message_of(report))


def pytest_runtest_logfinish(nodeid):
    write(event="finish", test=nodeid)


def pytest_collectreport(report):
    if report.failed:
        write(event="outcome", test=report.nodeid, outcome="failed", message=message_of(report))


def message_of(report):
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).strip().splitlines()
    return (lines[0] if crash else lines[-1])[:300] if lines else ""
