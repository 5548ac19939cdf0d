"""DuckDB and pyarrow read the golden files of logs and metrics, and give the answers that the
store gives in ``golden_signals.rs``."""

import pathlib

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "v1"
LOGS = str(GOLDEN / "logs.parquet")
METRICS = str(GOLDEN / "metrics.parquet")
T0 = 1_767_225_600_000_000_000


def sql(query):
    return duckdb.sql(query.format(logs=LOGS, metrics=METRICS)).fetchall()


def test_files_say_what_they_are():
    for path, signal in [(LOGS, b"logs"), (METRICS, b"metrics")]:
        metadata = pq.ParquetFile(path).metadata
        assert metadata.metadata[b"carafe.signal"] == signal
        assert metadata.metadata[b"carafe.format"] == b"1"
    assert pq.ParquetFile(LOGS).metadata.row_group(0).sorting_columns[0].descending


def test_log_records_by_service():
    counts = sql("SELECT service, count(*) FROM '{logs}' GROUP BY service ORDER BY service")
    assert counts == [("basket", 40), ("missing-service-name", 2)]
    services = pq.read_table(LOGS, columns=["service"])["service"].cast("string")
    assert {e["values"]: e["counts"] for e in services.value_counts().to_pylist()} == dict(counts)


def test_log_records_are_newest_first():
    times = pq.read_table(LOGS, columns=["time"])["time"].cast("int64").to_pylist()
    assert times == sorted(times, reverse=True)
    assert times[0] == T0 + 51_000
    assert sql("SELECT max(epoch_ns(time)) FROM '{logs}'") == [(T0 + 51_000,)]


def test_log_records_of_a_trace():
    in_duckdb = sql("SELECT count(*) FROM '{logs}' WHERE trace_id = unhex(repeat('07', 16))")
    assert in_duckdb == [(14,)]
    table = pq.read_table(LOGS, filters=pc.field("trace_id").is_valid())
    assert table.num_rows == 14
    assert set(table["trace_id"].to_pylist()) == {bytes([7] * 16)}


def test_bodies_by_text_and_as_values():
    paid = sql("SELECT count(*) FROM '{logs}' WHERE body_text ILIKE '%was paid, ä%'")
    assert paid == [(10,)]
    table = pq.read_table(LOGS, columns=["body_text", "body"])
    texts = [text for text in table["body_text"].to_pylist() if text is not None]
    assert sum("was paid, ä" in text for text in texts) == 10
    values = [body for body in table["body"].to_pylist() if body is not None]
    maps = [AnyValue.FromString(body) for body in values if body]
    events = {value.kvlist_value.values[0].value.string_value for value in maps}
    assert (len(values), len(maps), events) == (21, 10, {"paid"})


def test_attributes_and_resources_are_otlp():
    table = pq.read_table(LOGS, columns=["service", "resource", "attributes"]).to_pylist()
    found = 0
    for row in table:
        attributes = LogRecord.FromString(row["attributes"] or b"").attributes
        found += any(a.key == "a" and a.value.string_value == "value 7" for a in attributes)
    assert found == 1
    resources = {row["resource"] for row in table if row["service"] == "basket"}
    (resource,) = (Resource.FromString(resource) for resource in resources)
    assert {a.key for a in resource.attributes} == {"service.name", "replica"}


def test_points_by_metric():
    rows = sql(
        "SELECT name, kind, count(*), sum(value_double), sum(value_int) "
        "FROM '{metrics}' GROUP BY ALL ORDER BY name"
    )
    assert rows == [
        ("duration", "histogram", 1, None, None),
        ("load", "gauge", 9, 3.875, None),
        ("requests", "sum", 9, None, -31),
        ("sizes", "exponential_histogram", 1, None, None),
        ("waits", "summary", 1, None, None),
    ]
    table = pq.read_table(METRICS, filters=[("name", "=", "requests")])
    assert (table.num_rows, pc.sum(table["value_int"]).as_py()) == (9, -31)


def test_points_of_a_series():
    rows = sql(
        "SELECT epoch_ns(time), value_int FROM '{metrics}' WHERE name = 'requests' "
        "AND service = 'basket' AND attributes->>'http.route' = '/1' ORDER BY time"
    )
    # The point without a time has the time at which it came.
    assert rows == [(T0 + 1, -1), (T0 + 4, -4), (T0 + 5, -7)]
    assert sql("SELECT count(DISTINCT series) FROM '{metrics}'") == [(9,)]


def test_histograms_are_otlp():
    columns = ["count", "sum", "point"]
    histograms = [("kind", "=", "histogram")]
    (row,) = pq.read_table(METRICS, columns=columns, filters=histograms).to_pylist()
    assert (row["count"], row["sum"]) == (6, 1.5)
    point = HistogramDataPoint.FromString(row["point"])
    assert list(point.bucket_counts) == [1, 2, 3]
    assert list(point.explicit_bounds) == [0.5, 1.0]
    assert point.exemplars[0].as_double == 0.25
