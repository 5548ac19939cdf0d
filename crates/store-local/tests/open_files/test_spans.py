"""DuckDB and pyarrow read the golden file of spans, and give the answers that the store gives in
``golden_spans.rs``."""

import pathlib

import duckdb
import pyarrow.parquet as pq
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS = str(pathlib.Path(__file__).parent.parent / "golden" / "v1" / "spans.parquet")
T0 = 1_767_225_600_000_000_000
NEXT_OF_REST = 255

# Number n of the hundred spans has the span id n + 1.
NUMBERS = range(100)


def sql(query):
    return duckdb.sql(query.format(spans=SPANS)).fetchall()


def number(row):
    return int.from_bytes(row["span_id"], "big") - 1


def promoted_columns():
    fields = pq.read_schema(SPANS)
    return [field.name for field in fields if b"carafe.attribute" in (field.metadata or {})]


def attributes(row, promoted):
    """The keys and values of a row in the order in which they came, as the reference says."""
    rest = iter(
        (a.key, getattr(a.value, a.value.WhichOneof("value") or "string_value"))
        for a in Span.FromString(row["attributes_rest"] or b"").attributes
    )
    order = row["attribute_order"]
    if order is None:
        order = [at for at, key in enumerate(promoted) if row[key] is not None]
    own = [next(rest) if at == NEXT_OF_REST else (promoted[at], row[promoted[at]]) for at in order]
    return own + list(rest)


def test_file_says_what_it_is():
    metadata = pq.ParquetFile(SPANS).metadata
    assert metadata.metadata[b"carafe.signal"] == b"spans"
    assert metadata.metadata[b"carafe.format"] == b"1"
    assert metadata.row_group(0).sorting_columns[0].descending
    assert (metadata.num_rows, metadata.num_row_groups) == (100, 3)


def test_spans_by_service():
    counts = sql("SELECT service, count(*) FROM '{spans}' GROUP BY service ORDER BY service")
    assert counts == [("basket", 34), ("missing-service-name", 33), ("stock", 33)]
    services = pq.read_table(SPANS, columns=["service"])["service"].cast("string")
    assert {e["values"]: e["counts"] for e in services.value_counts().to_pylist()} == dict(counts)


def test_spans_are_newest_first():
    table = pq.read_table(SPANS, columns=["start_time", "span_id"])
    times = table["start_time"].cast("int64").to_pylist()
    rows = list(zip((-time for time in times), table["span_id"].to_pylist(), strict=True))
    assert rows == sorted(rows)
    assert sql("SELECT max(epoch_ns(start_time)) FROM '{spans}'") == [(T0 + 49_000_000,)]


def test_spans_of_a_trace():
    found = sql(
        "SELECT name, kind, duration_nano FROM '{spans}' "
        "WHERE trace_id = unhex(repeat('03', 16)) ORDER BY span_id"
    )
    kinds = [0, 1, 2, 3, 4, 5, 77]
    assert found == [
        (f"operation {n % 4}", kinds[n % 7], n * 1_000 - n % 9 * 2_000) for n in range(20, 30)
    ]
    table = pq.read_table(SPANS, filters=[("trace_id", "=", bytes([3] * 16))])
    assert sorted(map(number, table.to_pylist())) == list(range(20, 30))


def test_spans_by_attributes_with_a_column():
    failed = [n for n in NUMBERS if n % 3 == 2 and n % 10 >= 3]
    rows = sql("SELECT span_id FROM '{spans}' WHERE \"http.response.status_code\" = 500")
    assert sorted(int.from_bytes(id, "big") - 1 for (id,) in rows) == failed
    table = pq.read_table(SPANS, filters=[("http.response.status_code", "=", 500)])
    assert sorted(map(number, table.to_pylist())) == failed


def test_attributes_are_whole_and_in_order():
    promoted = promoted_columns()
    assert "http.request.method" in promoted
    for row in pq.read_table(SPANS).to_pylist():
        n = number(row)
        expected = [
            "http.request.method",
            "custom",
            "http.route",
            "http.response.status_code",
            "cached",
            "score",
            "list",
            "bytes",
            "empty",
        ][: n % 10 + 1]
        if n % 7 == 0:
            expected += ["http.response.status_code", "http.route"]
        if n % 5 == 0:
            expected.reverse()
        found = attributes(row, promoted)
        assert [key for key, _ in found] == expected, n
        assert ("http.request.method", ["GET", "POST", "PUT"][n % 3]) in found
        if n % 10 >= 1:
            assert ("custom", f"value {n % 10}") in found


def test_events_links_resources_and_scopes_are_otlp():
    columns = ["span_id", "service", "events", "links", "resource", "scope"]
    for row in pq.read_table(SPANS, columns=columns).to_pylist():
        n = number(row)
        events = Span.FromString(row["events"] or b"").events
        assert [event.name for event in events] == ["exception"] * (n % 3)
        links = Span.FromString(row["links"] or b"").links
        assert [link.attributes[0].value.int_value for link in links] == [n] * (n % 2)
        resource = Resource.FromString(row["resource"])
        scope = InstrumentationScope.FromString(row["scope"])
        if row["service"] == "missing-service-name":
            assert (len(resource.attributes), scope.name) == (0, "")
        else:
            assert resource.attributes[0].value.string_value == row["service"]
            assert (scope.name, scope.version) == ("shop", "1.2")


def test_statuses_and_parents():
    rows = sql(
        "SELECT status_code, status_message, count(*) FROM '{spans}' GROUP BY ALL "
        "ORDER BY status_code NULLS FIRST"
    )
    assert rows == [(None, None, 25), (1, None, 25), (2, "failed", 25), (3, None, 25)]
    assert sql("SELECT count(*) FROM '{spans}' WHERE parent_span_id IS NULL") == [(10,)]
    calls = sql("SELECT caller, count(*) FROM '{spans}' WHERE caller IS NOT NULL GROUP BY ALL")
    assert calls == [("web", 17)]
