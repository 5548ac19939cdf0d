"""Log records of apps that use the OpenTelemetry API: the global provider and its processors."""

import pytest

GLOBAL = """
from opentelemetry import _logs, trace
from opentelemetry._logs import LogRecord, SeverityNumber
logger = _logs.get_logger("app", "1.2", schema_url="https://schema", attributes={"team": "blue"})
"""


@pytest.fixture
def run(run_app):
    return lambda code, **options: run_app(GLOBAL + code, **options)


def test_a_record_and_its_fields(run):
    result = run(
        """
record = LogRecord(
    timestamp=5,
    observed_timestamp=6,
    severity_number=SeverityNumber.WARN2,
    severity_text="WARN",
    body={"nested": [1, 2.5, True, None, b"x", {"deep": "er"}]},
    attributes={"a": "b", "n": {"m": [1, "x"]}},
    event_name="happened",
)
logger.emit(record)
logger.emit(timestamp=7, observed_timestamp=8, severity_number=SeverityNumber.INFO, severity_text="INFO",
            body="text", attributes={"k": 1}, event_name="too")
logger.emit()
"""
    )
    first, second, bare = result.logs
    assert (first["time_ns"], first["observed_ns"]) == (5, 6)
    assert (first["severity_number"], first["severity_text"]) == (14, "WARN")
    assert first["body"] == {"nested": [1, 2.5, True, None, b"x", {"deep": "er"}]}
    assert first["attributes"] == {"a": "b", "n": {"m": [1, "x"]}}
    assert first["event_name"] == "happened"
    assert first["trace_id"] in (None, "")
    scope = first["scope"]
    assert (scope["name"], scope["version"]) == ("app", "1.2")
    assert scope["attributes"] == {"team": "blue"}
    assert (second["time_ns"], second["observed_ns"], second["body"]) == (7, 8, "text")
    assert (second["severity_number"], second["event_name"]) == (9, "too")
    assert bare["body"] is None and bare["observed_ns"] > 0


def test_the_app_holds_a_native_logger(run):
    result = run(
        """
from carafe_engine import _native
assert isinstance(logger, _native.Logger) and isinstance(logger, _logs.Logger)
assert logger.enabled() and logger.enabled(severity_number=SeverityNumber.INFO)
assert _logs.get_logger_provider().get_logger("x") is _logs.get_logger_provider().get_logger("x")
from opentelemetry.sdk._logs import Logger, LoggerProvider
assert isinstance(logger, Logger)
assert isinstance(_logs.get_logger_provider(), LoggerProvider)
assert _logs.get_logger_provider().force_flush()
"""
    )
    assert result.logs == []


def test_records_name_their_span(run):
    result = run(
        """
with trace.get_tracer("t").start_as_current_span("s") as span:
    context = trace.set_span_in_context(span)
    logger.emit(LogRecord(body="in"))
    logger.emit(body="in too")
logger.emit(LogRecord(body="out"))
logger.emit(body="with", context=context)
logger.emit(LogRecord(body="with too", context=context))
"""
    )
    span = result.span("s")
    named = [record["body"] for record in result.logs if record["span_id"] == span["span_id"]]
    assert named == ["in", "in too", "with", "with too"]
    assert all(
        record["trace_id"] == span["trace_id"] for record in result.logs if record["body"] != "out"
    )


def test_fields_of_wrong_types_do_not_reach_the_app(run):
    result = run(
        """
logger.emit(body="times", timestamp=1.5e18, observed_timestamp="now", severity_number=999)
record = LogRecord(body="ids", severity_text=5)
record.trace_id, record.span_id, record.trace_flags = -1, "x", None
logger.emit(record)
logger.emit(body=object(), attributes={1: 2, "": 3, "s": {4}}, context=7)
"""
    )
    times, ids, other = (record for record in result.logs if record["scope"]["name"] == "app")
    assert (times["time_ns"], times["severity_number"]) == (1_500_000_000_000_000_000, 0)
    assert (ids["trace_id"], ids["severity_text"]) == (None, "5")
    assert other["attributes"]["1"] == 2 and "" not in other["attributes"]


def test_an_exception_becomes_attributes(run):
    result = run(
        """
class Broken(Exception): pass
try:
    raise Broken("why")
except Broken as error:
    logger.emit(body="b", exception=error, attributes={"exception.type": "mine"})
    logger.emit(LogRecord(body="b", exception=error))
"""
    )
    own, record = (record["attributes"] for record in result.logs)
    assert own["exception.type"] == "mine"
    assert record["exception.type"] == "__main__.Broken"
    for attributes in (own, record):
        assert attributes["exception.message"] == "why"
        assert "raise Broken" in attributes["exception.stacktrace"]


def test_limits(run):
    result = run(
        """
import logging
logger.emit(body="b", attributes={"a": "x", "b": 2, "c": "1234567"})
logging.getLogger("std").warning("b", extra={"a": "x", "b": 2, "c": ["1234567"]})
""",
        env={
            "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "2",
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "1",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
        },
    )
    emitted, logged = result.logs
    assert emitted["attributes"] == {"b": 2, "c": "123"}
    assert logged["attributes"] == {"b": 2, "c": ["123"]}
    assert emitted["dropped_attributes"] == logged["dropped_attributes"] == 1


PROCESSOR = """
import logging
from opentelemetry.sdk._logs import LogRecordProcessor
class Processor(LogRecordProcessor):
    def on_emit(self, log_record):
        record = log_record.log_record
        print(log_record.instrumentation_scope.name, record.body, record.severity_text, hex(record.trace_id))
        record.attributes["seen"] = True
    def shutdown(self):
        print("shut down")
    def force_flush(self, timeout_millis=30000):
        return True
_logs.get_logger_provider().add_log_record_processor(Processor())
"""


def test_processors_of_the_app_see_and_change_all_records(run):
    result = run(
        PROCESSOR
        + """
with trace.get_tracer("t").start_as_current_span("s"):
    logger.emit(body="one", severity_text="INFO", attributes={"a": 1})
    logger.emit(LogRecord(body="two"))
    logging.getLogger("std").warning("three %s", 3, extra={"b": 2})
"""
    )
    trace_id = hex(int(result.span("s")["trace_id"], 16))
    assert result.stdout.splitlines() == [
        f"app one INFO {trace_id}",
        f"app two None {trace_id}",
        f"std three 3 WARN {trace_id}",
        "shut down",
    ]
    assert [
        (record["scope"]["name"], record["body"], record["attributes"]) for record in result.logs
    ] == [
        ("app", "one", {"a": 1, "seen": True}),
        ("app", "two", {"seen": True}),
        ("std", "three 3", {"b": 2, "seen": True}),
    ]
    assert result.logs[2]["severity_number"] == 13
    assert {record["span_id"] for record in result.logs} == {result.span("s")["span_id"]}


def test_a_provider_of_the_apps_own_serves_its_processors(run):
    result = run(
        """
import logging, warnings
warnings.simplefilter("ignore")
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
exporter = InMemoryLogRecordExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
own = logging.getLogger("own")
own.propagate = False
own.addHandler(LoggingHandler(logger_provider=provider))
own.error("to the app alone")
(record,) = exporter.get_finished_logs()
print(record.log_record.body, record.log_record.severity_number)
"""
    )
    assert result.stdout == "to the app alone SeverityNumber.ERROR\n"
    assert result.logs == []


def test_children_define_their_scopes(run):
    result = run(
        """
import os
logger.emit(body="parent")
if os.fork() == 0:
    logger.emit(body="child")
    os._exit(0)
os.wait()
"""
    )
    assert sorted(record["body"] for record in result.logs) == ["child", "parent"]
    assert {record["scope"]["name"] for record in result.logs} == {"app"}


def test_nothing_is_written_where_nobody_exports(run):
    result = run(
        'logger.emit(body="b"); print(logger.enabled())', env={"CARAFE_SIGNALS": "traces,metrics"}
    )
    assert (result.logs, result.stdout) == ([], "False\n")


def test_an_exporter_that_the_environment_names(run, engine_dir, tmp_path):
    (tmp_path / "own_exporter.py").write_text(
        """
from opentelemetry.sdk._logs.export import LogRecordExporter
class Exporter(LogRecordExporter):
    def export(self, batch):
        for item in batch:
            print(item.instrumentation_scope.name, item.log_record.body)
    def force_flush(self, timeout_millis=30000):
        return True
    def shutdown(self):
        print("shut down")
"""
    )
    metadata = tmp_path / "own_exporter-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-exporter\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_logs_exporter]\nown = own_exporter:Exporter\n"
    )
    result = run(
        """
import logging
logger.emit(body="by the API")
logging.getLogger("std").warning("by logging")
""",
        env={
            "OTEL_LOGS_EXPORTER": "own",
            "CARAFE_SIGNALS": "traces,metrics",
            "PYTHONPATH": f"{engine_dir}:{tmp_path}",
        },
    )
    assert result.stdout.splitlines() == ["app by the API", "std by logging", "shut down"]
    assert result.logs == []
