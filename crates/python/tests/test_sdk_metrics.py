"""Metrics of apps that use the OpenTelemetry API: the global provider and its readers."""

import pytest

GLOBAL = """
from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation
meter = metrics.get_meter("app", "1.2", schema_url="https://schema", attributes={"team": "blue"})
"""


@pytest.fixture
def run(run_app):
    return lambda code, **options: run_app(GLOBAL + code, **options)


def measured(result):
    """What the app itself has measured."""
    return [item for item in result.measurements if item["scope"]["name"] == "app"]


def test_instruments_of_all_kinds(run):
    result = run(
        """
meter.create_counter("Orders", "1", "how many").add(2, {"shop": "a"})
meter.create_up_down_counter("open").add(-1)
meter.create_histogram("size", "By", explicit_bucket_boundaries_advisory=[1, 2.5]).record(3)
meter.create_gauge("level").set(0.5)
meter.create_observable_counter("seen", [lambda options: [Observation(5, {"n": 1})]])
meter.create_observable_up_down_counter("queued", [lambda options: [Observation(-5)]])
meter.create_observable_gauge("heat", [lambda options: [Observation(36.6)]])
"""
    )
    found = {item["name"]: item for item in measured(result)}
    assert {name: (item["kind"], item["value"]) for name, item in found.items()} == {
        "orders": ("counter", 2),
        "open": ("up_down_counter", -1),
        "size": ("histogram", 3),
        "level": ("gauge", 0.5),
        "seen": ("observable_counter", 5),
        "queued": ("observable_up_down_counter", -5),
        "heat": ("observable_gauge", 36.6),
    }
    orders = found["orders"]
    assert (orders["unit"], orders["description"]) == ("1", "how many")
    assert orders["attributes"] == {"shop": "a"}
    assert orders["scope"]["name"] == "app" and orders["scope"]["version"] == "1.2"
    assert orders["scope"]["attributes"] == {"team": "blue"}
    assert found["size"]["boundaries"] == [1, 2.5]


def test_the_app_holds_native_instruments(run):
    result = run(
        """
from carafe_engine import _native
counter = meter.create_counter("c")
assert isinstance(counter, _native.Instrument)
assert isinstance(counter, metrics.Counter) and not isinstance(counter, metrics.Histogram)
assert meter.create_counter("C") is counter
assert meter.create_counter("c", "s") is not counter
from opentelemetry.sdk.metrics import Counter, MeterProvider
assert isinstance(counter, Counter)
assert isinstance(metrics.get_meter_provider(), MeterProvider)
"""
    )
    assert measured(result) == []


def test_values_of_attributes_are_told_apart_by_type_and_not_by_order(run):
    result = run(
        """
counter = meter.create_counter("c")
for value in (1, 1.0, True, "1", (1, 2), [1, 2]):
    counter.add(1, {"a": value})
counter.add(1, {"a": 1, "b": 2})
counter.add(1, {"b": 2, "a": 1})
from types import MappingProxyType
counter.add(1, MappingProxyType({"a": 1}))
"""
    )
    seen = [item["attributes"] for item in measured(result)]
    types = [type(attributes["a"]).__name__ for attributes in seen]
    assert types == ["int", "float", "bool", "str", "list", "list", "int", "int", "int"]
    assert [list(attributes) for attributes in seen[6:8]] == [["a", "b"], ["a", "b"]]


def test_what_cannot_be_measured_is_said_and_left_out(run):
    result = run(
        """
counter = meter.create_counter("c")
counter.add(-1)
counter.add(float("inf"))
counter.add("much")
counter.add(2, "no mapping")
counter.add(2**70)
meter.create_up_down_counter("u").add(float("nan"))
for name in ("1st", "", "x" * 256):
    try:
        meter.create_counter(name)
    except Exception:
        continue
    raise AssertionError(name)
"""
    )
    values = [(item["value"], item["attributes"]) for item in result.metric("c")]
    assert values == [(2, {}), (float(2**70), {})]
    assert result.metric("u") == []
    for text in ("negative", "not finite", "not a number", "Invalid type"):
        assert text in result.stderr


def test_measurements_name_their_span(run):
    result = run(
        """
counter = meter.create_counter("c")
with trace.get_tracer("t").start_as_current_span("s") as span:
    context = trace.set_span_in_context(span)
    counter.add(1)
counter.add(1)
counter.add(1, context=context)
"""
    )
    span = result.span("s")
    assert [item["span"] and item["span"]["span_id"] for item in result.metric("c")] == [
        span["span_id"],
        None,
        span["span_id"],
    ]


def test_more_sets_than_are_kept_lose_nothing(run):
    result = run(
        """
counter = meter.create_counter("c")
for _ in range(2):
    for number in range(9000):
        counter.add(1, {"number": number})
"""
    )
    assert [item["attributes"]["number"] for item in result.metric("c")] == [*range(9000)] * 2
    assert result.dropped == 0


def test_no_thread_before_the_first_callback(run):
    result = run(
        """
import threading
meter.create_counter("c").add(1)
meter.create_observable_gauge("without")
assert threading.active_count() == 1
meter.create_observable_gauge("with", [lambda options: [Observation(1)]])
assert threading.active_count() == 2
assert metrics.get_meter_provider().force_flush()
"""
    )
    # At the flush and at the end.
    assert [item["value"] for item in result.metric("with")] == [1, 1]


def test_callbacks_are_asked_at_intervals_and_in_children(run):
    result = run(
        """
import os, time
asked = []
def callback(options):
    asked.append(os.getpid())
    yield Observation(len(asked))
meter.create_observable_gauge("g", [callback])
def wait_for(count):
    deadline = time.monotonic() + 20
    while len(asked) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
wait_for(2)
if os.fork() == 0:
    asked.clear()
    wait_for(2)
    os._exit(0)
assert os.wait()[1] == 0
""",
        env={"OTEL_METRIC_EXPORT_INTERVAL": "20"},
    )
    assert len({item["pid"] for item in result.metric("g")}) == 2


def test_a_callback_that_fails_harms_nobody(run):
    result = run(
        """
def broken(options):
    yield Observation(1)
    raise ValueError("why")
def generator():
    options = yield
    while True:
        options = yield [Observation(options.timeout_millis)]
meter.create_observable_gauge("broken", [broken])
meter.create_observable_gauge("generated", [generator()])
"""
    )
    assert [item["value"] for item in result.metric("broken")] == [1]
    assert [item["value"] for item in result.metric("generated")] == [10000]
    assert "a callback of broken failed" in result.stderr and "why" in result.stderr


def test_children_define_what_they_measure_with(run):
    result = run(
        """
import os
counter = meter.create_counter("c")
counter.add(1, {"in": "parent"})
if os.fork() == 0:
    counter.add(2, {"in": "parent"})
    os._exit(0)
os.wait()
"""
    )
    assert sorted((item["value"], item["attributes"]["in"]) for item in result.metric("c")) == [
        (1, "parent"),
        (2, "parent"),
    ]
    assert len({item["pid"] for item in result.metric("c")}) == 2


def test_definitions_that_a_full_ring_lost_are_told_again(run):
    result = run(
        """
import glob, mmap, os
from carafe_engine import _native
fill = _native.logger("fill")
while fill.emit_fields(None, None, None, None, "x" * 100_000, None): pass
while fill.emit_fields(None, None, None, None, "x", None): pass
counter = meter.create_counter("c")
counter.add(1, {"lost": True})
# As the launcher does when it has read everything: the tail is where the head is.
(path,) = glob.glob(os.environ["CARAFE_RING_DIR"] + "/*.ring")
with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as ring:
    ring[128:136] = ring[64:72]
counter.add(2, {"lost": False})
""",
        # Its definitions would be among what was read.
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics"},
    )
    assert result.dropped > 0
    (item,) = result.metric("c")
    assert (item["value"], item["attributes"]) == (2, {"lost": False})
    assert item["scope"]["name"] == "app"


def test_readers_of_the_app_get_all_measurements(run):
    result = run(
        """
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
counter = meter.create_counter("before")
meter.create_observable_counter("asked", [lambda options: [Observation(3)]])
reader = InMemoryMetricReader()
metrics.get_meter_provider().add_metric_reader(reader)
counter.add(7, {"a": "b"})
meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
from carafe_engine import _native
_native.meter("built in").instrument(0, "native").add(4)
(resource,) = reader.get_metrics_data().resource_metrics
assert resource.resource.attributes["telemetry.distro.name"] == "carafe"
for scope in resource.scope_metrics:
    for metric in scope.metrics:
        (point,) = metric.data.data_points
        value = getattr(point, "value", None) or point.bucket_counts
        print(scope.scope.name, metric.name, value, dict(point.attributes))
metrics.get_meter_provider().remove_metric_reader(reader)
counter.add(1)
assert reader.get_metrics_data() is None
"""
    )
    assert set(result.stdout.splitlines()) == {
        "app before 7 {'a': 'b'}",
        "app h (0, 1, 0) {}",
        "built in native 4 {}",
        "app asked 3 {}",
    }
    assert [item["value"] for item in result.metric("before")] == [7, 1]


def test_a_provider_of_the_apps_own_serves_its_readers(run):
    result = run(
        """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
reader = InMemoryMetricReader()
provider = MeterProvider([reader], views=[View(instrument_name="c", name="renamed", attribute_keys={"a"})])
provider.get_meter("own").create_counter("c").add(1, {"a": 1, "b": 2})
(metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(metric.name, metric.data.data_points[0].attributes)
"""
    )
    assert result.stdout == "renamed {'a': 1}\n"
    assert result.metric("c") == []


def test_an_exporter_that_the_environment_names(run, engine_dir, tmp_path):
    (tmp_path / "own_exporter.py").write_text(
        """
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
class Exporter(MetricExporter):
    def export(self, metrics_data, timeout_millis=10000, **kwargs):
        metric = metrics_data.resource_metrics[0].scope_metrics[0].metrics[0]
        print(metric.name, metric.data.data_points[0].value)
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=10000):
        return True
    def shutdown(self, timeout_millis=30000, **kwargs):
        print("shut down")
"""
    )
    metadata = tmp_path / "own_exporter-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-exporter\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_metrics_exporter]\nown = own_exporter:Exporter\n"
    )
    result = run(
        """
meter.create_counter("c").add(3)
metrics.get_meter_provider().force_flush()
""",
        env={"OTEL_METRICS_EXPORTER": "own", "PYTHONPATH": f"{engine_dir}:{tmp_path}"},
    )
    assert "c 3" in result.stdout and "shut down" in result.stdout
