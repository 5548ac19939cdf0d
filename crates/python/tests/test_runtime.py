"""Metrics of the garbage collector, as the official system-metrics package 0.66b1 gives them."""

NAMES = {
    "cpython.gc.collections": "{collection}",
    "cpython.gc.collected_objects": "{object}",
    "cpython.gc.uncollectable_objects": "{object}",
}

SCOPE = "opentelemetry.instrumentation.system_metrics"


def latest(result, name):
    """Generation to the last value."""
    values = {}
    for item in result.metric(name):
        assert item["kind"] == "observable_counter" and item["unit"] == NAMES[name]
        assert item["scope"]["name"] == SCOPE and item["span"] is None
        generation = item["attributes"]["cpython.gc.generation"]
        assert item["attributes"]["generation"] == str(generation)
        values[generation] = item["value"]
    return values


def test_collections_are_counted(run_app):
    result = run_app("""
import gc
from carafe_engine import _native
for _ in range(3):
    cycle = []
    cycle.append(cycle)
    del cycle
    with _native.provider().tracer("app").start_as_current_span("work"):
        gc.collect()
print([stats["collections"] for stats in gc.get_stats()])
print(sum(stats["collected"] for stats in gc.get_stats()))
""")
    for name in NAMES:
        assert set(latest(result, name)) == {0, 1, 2}
    collections, collected = result.stdout.splitlines()
    # The interpreter may collect once more before it ends.
    for generation, seen in enumerate(eval(collections)):
        assert latest(result, "cpython.gc.collections")[generation] >= seen
    assert sum(latest(result, "cpython.gc.collected_objects").values()) >= int(collected) >= 3


def test_reports_are_far_apart(run_app):
    result = run_app("""
import gc
for _ in range(200):
    gc.collect()
""")
    # One at the first collection, one at the end.
    assert len(result.metric("cpython.gc.collections")) <= 3 * 3


def test_not_where_metrics_are_not_wanted(run_app):
    code = "import gc\nassert gc.callbacks == []\ngc.collect()"
    result = run_app(code, env={"CARAFE_SIGNALS": "traces,logs"})
    assert result.metric_names() == []
    result = run_app(code, env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics"})
    assert result.metric_names() == []
