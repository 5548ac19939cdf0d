"""logging: the log records of the official package 0.66b1, recorded side by side.

Differences that are meant: no handler is added to the root logger; colours are left out of bodies;
what cannot be formatted is exported as it is (the official handler raises into the app); the
access log of werkzeug belongs to its request.
"""

import pytest

PREAMBLE = """
import logging
log = logging.getLogger("app.part")
log.setLevel(1)
"""


def app(body):
    return PREAMBLE + body


def only(result):
    assert len(result.logs) == 1, result.logs
    problems = [notice for notice in result.notices if notice["kind"] == "problem"]
    assert problems == [] and result.dropped == 0
    return result.logs[0]


def test_a_record(run_app):
    record = only(run_app(app('log.info("hello %s", 5)')))
    assert record["body"] == "hello 5"
    assert (record["severity_number"], record["severity_text"]) == (9, "INFO")
    assert record["scope"] == {
        "name": "app.part",
        "version": "",
        "attributes": {},
        "schema_url": "",
    }
    assert record["attributes"] == {} and record["event_name"] == ""
    assert record["trace_id"] is None and record["span_id"] is None and record["flags"] == 0
    assert 0 <= record["observed_ns"] - record["time_ns"] < 10**9


LEVELS = {
    1: (0, "Level 1"),
    9: (0, "Level 9"),
    10: (5, "DEBUG"),
    13: (8, "Level 13"),
    19: (8, "Level 19"),
    20: (9, "INFO"),
    25: (12, "Level 25"),
    30: (13, "WARN"),
    40: (17, "ERROR"),
    50: (21, "FATAL"),
    53: (24, "Level 53"),
    60: (24, "Level 60"),
}


def test_severities(run_app):
    result = run_app(app(f"for level in {list(LEVELS)}: log.log(level, 'x')"))
    found = [(item["severity_number"], item["severity_text"]) for item in result.logs]
    assert found == list(LEVELS.values())


BODIES = [
    ('log.info("hello %(who)s", {"who": "you"})', "hello you"),
    ('log.info("100%")', "100%"),
    ("log.info({'a': 1})", "{'a': 1}"),
    ("log.info(12)", "12"),
    ("log.info(None)", "None"),
    ('log.info("")', ""),
    ('log.info("\\x1b[31m\\x1b[1mred\\x1b[0m and \\x1b[38;5;12mblue\\x1b[m")', "red and blue"),
    ('log.info("\\x1b[31mopen \\x1b[")', "open "),
    ('log.info("a \\x1b b")', "a \x1b b"),
    ('log.info("\\ud800 lone")', "? lone"),
    ('log.info("d %d", "a")', "d %d"),
    ('log.info("s %s", Broken())', "s %s"),
    ("log.info(Broken())", ""),
    ("log.info(Text())", "text"),
    ('log.handle(Mine("n", 20, "p", 1, "m", (), None))', "mine"),
]

CLASSES = """
class Broken:
    def __str__(self):
        raise RuntimeError("broken")
    __repr__ = __str__
class Text:
    def __str__(self):
        return "text"
class Mine(logging.LogRecord):
    def getMessage(self):
        return "mine"
logging.raiseExceptions = False
"""


@pytest.mark.parametrize("statement, body", BODIES)
def test_bodies(run_app, statement, body):
    assert only(run_app(app(CLASSES + statement)))["body"] == body


EXTRAS = """
log.info("x", extra={
    "a": 1, "b": "s", "c": [1, 2], "d": {"k": 1, "n": None}, "e": None, "f": 1.5, "g": b"by",
    "h": object(), "i": (1, "a"), "j": {1}, "k": True, "l": [object()], "n": [[1], ["a"]],
    "o": 2**70, "u": Text(), "v": Broken(), "w": ValueError("v"), 5: 5, "": 1,
})
"""


def test_extras_are_attributes(run_app):
    record = only(run_app(app(CLASSES + EXTRAS)))
    assert record["attributes"] == {
        "a": 1,
        "b": "s",
        "c": [1, 2],
        "d": {"k": 1, "n": None},
        "e": None,
        "f": 1.5,
        "g": b"by",
        "h": None,
        "i": [1, "a"],
        "j": "{1}",
        "k": True,
        "l": [None],
        "n": [[1], ["a"]],
        "o": str(2**70),
        "u": "text",
        "v": None,
        "w": "v",
        "5": 5,
    }


def test_extras_are_bounded(run_app):
    record = only(run_app(app('log.info("x", extra={"k%d" % n: n for n in range(200)})')))
    assert len(record["attributes"]) == 128 and record["dropped_attributes"] == 72
    assert "k0" not in record["attributes"] and record["attributes"]["k199"] == 199


def test_limits_of_attributes(run_app):
    code = app("""
try:
    raise ValueError("a long message")
except ValueError:
    log.exception("a long body", extra={"text": "123456789", "list": ["123456789"], "n": 1})
""")
    record = only(run_app(code, env={"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4"}))
    assert record["body"] == "a long body"
    assert record["attributes"] == {
        "text": "1234",
        "list": ["1234"],
        "n": 1,
        "exception.type": "ValueError",
        "exception.message": "a lo",
        "exception.stacktrace": "Trac",
    }
    record = only(run_app(code, env={"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "2"}))
    assert record["attributes"].keys() == {"exception.message", "exception.stacktrace"}
    assert record["dropped_attributes"] == 4


def test_event_names(run_app):
    result = run_app(
        app("""
log.info("x", extra={"event.name": "old", "otel.event.name": "new", "a": 1})
log.info("x", extra={"event.name": "old"})
""")
    )
    assert [item["event_name"] for item in result.logs] == ["new", "old"]
    assert [item["attributes"] for item in result.logs] == [{"a": 1}, {}]


def test_exceptions(run_app):
    result = run_app(
        app("""
try:
    1 / 0
except ZeroDivisionError:
    log.exception("boom")
log.error("none", exc_info=True)
log.error("given", exc_info=ValueError("bad", 3))
log.error("empty", exc_info=ValueError())
log.error("key", exc_info=KeyError(("a", 1)))
""")
    )
    first, *others = (item["attributes"] for item in result.logs)
    stack = first.pop("exception.stacktrace")
    assert stack.startswith("Traceback (most recent call last):\n  File ")
    assert stack.endswith("ZeroDivisionError: division by zero\n")
    assert first == {
        "exception.type": "ZeroDivisionError",
        "exception.message": "division by zero",
    }
    assert others == [
        {},
        {"exception.type": "ValueError", "exception.message": "bad"},
        {"exception.type": "ValueError"},
        {"exception.type": "KeyError", "exception.message": "('a', 1)"},
    ]


def test_what_the_root_logger_would_not_see_is_not_exported(run_app):
    result = run_app(
        app("""
quiet = logging.getLogger("quiet")
quiet.propagate = False
quiet.warning("no")
logging.getLogger("quiet.child").warning("no")
logging.getLogger("app").addFilter(lambda record: False)
logging.getLogger("app").warning("no")
logging.getLogger("off").disabled = True
logging.getLogger("off").warning("no")
logging.info("no")
logging.disable(logging.WARNING)
logging.warning("no")
logging.disable(logging.NOTSET)
logging.warning("yes")
logging.getLogger("opentelemetry.sdk").warning("yes")
""")
    )
    assert [item["body"] for item in result.logs] == ["yes", "yes"]
    assert [item["scope"]["name"] for item in result.logs] == ["root", "opentelemetry.sdk"]


def test_the_apps_own_logging_is_as_without_us(run_app):
    result = run_app("""
import logging
assert logging.getLogger().handlers == []
logging.warning("through the last resort")
assert logging.lastResort is not None
logging.getLogger().handlers.clear()
logging.basicConfig(format="%(name)s|%(message)s", level=logging.INFO)
logging.getLogger("mine").info("formatted")
import logging.config
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO"}})
logging.info("after dictConfig")
assert "otelTraceID" not in vars(logging.makeLogRecord({}))
""")
    assert "mine|formatted" in result.stderr
    assert [item["body"] for item in result.logs] == [
        "through the last resort",
        "formatted",
        "after dictConfig",
    ]


def test_ids_of_the_current_span(run_app):
    result = run_app(
        app("""
from carafe_engine import _native
with _native.provider().tracer("app").start_as_current_span("work"):
    log.info("inside")
log.info("outside")
""")
    )
    inside, outside = result.logs
    span = result.span("work")
    assert (inside["trace_id"], inside["span_id"]) == (span["trace_id"], span["span_id"])
    assert inside["flags"] & 1 == 1
    assert outside["trace_id"] is None


def test_records_made_while_a_record_is_translated_are_left_out(run_app):
    result = run_app(
        app("""
class Chatty:
    def __str__(self):
        log.info("from inside %s", self)
        return "chatty"
import sys
log.info("outer %s", Chatty())
""")
    )
    assert [item["body"] for item in result.logs] == ["outer chatty"]


def test_an_interrupt_while_a_record_is_translated_reaches_the_app(run_app):
    result = run_app(
        app("""
class Stop:
    def __str__(self):
        raise KeyboardInterrupt
try:
    log.info("x %s", Stop())
except KeyboardInterrupt:
    print("interrupted")
log.info("y")
""")
    )
    assert result.stdout == "interrupted\n"
    assert [item["body"] for item in result.logs] == ["y"]


CODE = {"code.file.path", "code.function.name", "code.line.number"}


@pytest.mark.parametrize(
    "variable",
    ["OTEL_PYTHON_LOG_CODE_ATTRIBUTES", "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED"],
)
def test_code_attributes(run_app, variable):
    code = app('def work():\n    log.info("x", extra={"a": 1})\nwork()')
    attributes = only(run_app(code, env={variable: "true"}))["attributes"]
    assert attributes.keys() == CODE | {"a"}
    assert attributes["code.file.path"].endswith("app.py")
    assert (attributes["code.function.name"], attributes["code.line.number"]) == ("work", 6)


@pytest.mark.parametrize(
    "level, count", [("error", 2), ("WARNING ", 3), ("notset", 5), ("loud", 5)]
)
def test_handler_level(run_app, level, count):
    result = run_app(
        app("for level in (10, 20, 30, 40, 50): log.log(level, 'x')"),
        env={"OTEL_PYTHON_LOG_HANDLER_LEVEL": level},
    )
    assert len(result.logs) == count
    named = [notice for notice in result.notices if "loud" in notice["reason"]]
    assert len(named) == (level == "loud")


@pytest.mark.parametrize(
    "env", [{"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"}, {"CARAFE_SIGNALS": "traces,metrics"}]
)
def test_nothing_is_exported_where_it_is_not_wanted(run_app, env):
    result = run_app(app('log.warning("x")'), env=env)
    assert result.logs == [] and "x" in result.stderr


def test_processors_of_the_app_get_the_records(run_app):
    code = app("""
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk._logs import LogRecordProcessor
class Seen(LogRecordProcessor):
    def on_emit(self, record):
        log.info("from inside")
        print(record.log_record.body, dict(record.log_record.attributes))
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=30000):
        return True
get_logger_provider().add_log_record_processor(Seen())
log.warning("x", extra={"a": 1})
""")
    result = run_app(code)
    assert result.stdout == "x {'a': 1}\n"
    assert [item["body"] for item in result.logs] == ["x"]
    result = run_app(code, env={"CARAFE_SIGNALS": "traces"})
    assert result.stdout == "x {'a': 1}\n" and result.logs == []


CORRELATED = """
import logging
from carafe_engine import _native
logging.warning("outside")
with _native.provider().tracer("app").start_as_current_span("work"):
    logging.warning("inside")
logging.info("info")
"""


def test_correlation(run_app):
    env = {"OTEL_PYTHON_LOG_CORRELATION": "true", "OTEL_SERVICE_NAME": "shop"}
    result = run_app(CORRELATED, env=env)
    span = result.span("work")
    outside, inside, info = result.stderr.splitlines()
    assert (
        "trace_id=0 span_id=0 resource.service.name=shop trace_sampled=False] - outside" in outside
    )
    assert (
        f"trace_id={span['trace_id']} span_id={span['span_id']}"
        " resource.service.name=shop trace_sampled=True] - inside"
    ) in inside
    assert "WARNING [root] [app.py:" in outside and "INFO" in info
    assert result.logs[1]["attributes"] == {
        "otelSpanID": span["span_id"],
        "otelTraceID": span["trace_id"],
        "otelTraceSampled": True,
        "otelServiceName": "shop",
    }


def test_correlation_with_format_and_level(run_app):
    env = {
        "OTEL_PYTHON_LOG_CORRELATION": "true",
        "OTEL_PYTHON_LOG_FORMAT": "%(message)s|%(otelTraceID)s|%(otelServiceName)s",
        "OTEL_PYTHON_LOG_LEVEL": "warning",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=the%20shop",
    }
    result = run_app(CORRELATED, env=env)
    outside, inside = result.stderr.splitlines()
    assert outside == "outside|0|the shop"
    assert inside == f"inside|{result.span('work')['trace_id']}|the shop"


def test_the_apps_own_record_factory_stays(run_app):
    result = run_app(
        app("""
before = logging.getLogRecordFactory()
def factory(*arguments, **keywords):
    record = before(*arguments, **keywords)
    record.build = "7"
    return record
logging.setLogRecordFactory(factory)
log.info("x")
"""),
        env={"OTEL_PYTHON_LOG_CORRELATION": "true"},
    )
    attributes = only(result)["attributes"]
    assert attributes["build"] == "7" and attributes["otelTraceID"] == "0"


ACCESS = """
import logging, threading, urllib.request
from werkzeug.serving import make_server
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
log = logging.getLogger("werkzeug")
log.setLevel(logging.INFO)
server = make_server("127.0.0.1", 0, app)
thread = threading.Thread(target=server.serve_forever)
thread.start()
urllib.request.urlopen("http://127.0.0.1:%d/" % server.server_port).read()
server.shutdown()
thread.join()
log.info("server is down")
"""


def test_the_access_log_belongs_to_its_request(run_app):
    pytest.importorskip("werkzeug")
    result = run_app(ACCESS)
    access, last = result.logs
    (request,) = [span for span in result.spans if span["kind"] == "SERVER"]
    assert "GET / HTTP/1.1" in access["body"] and access["body"] in result.stderr
    assert (access["trace_id"], access["span_id"]) == (request["trace_id"], request["span_id"])
    assert last["trace_id"] is None


def test_the_access_log_without_a_span(run_app):
    pytest.importorskip("werkzeug")
    result = run_app(
        ACCESS, env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "wsgi,urllib,http_client"}
    )
    assert result.spans == []
    assert [item["trace_id"] for item in result.logs] == [None, None]


def test_many_loggers_share_a_scope_beyond_the_limit(run_app):
    result = run_app(
        """
import logging
for number in range(1100):
    logging.getLogger("logger.%d" % number).warning("x")
"""
    )
    names = [item["scope"]["name"] for item in result.logs]
    assert len(names) == 1100 and len(set(names)) == 1001
    assert names[999] == "logger.999" and names[1000:] == ["logging"] * 100


def test_fork(run_app):
    result = run_app(
        app("""
import os
log.info("parent")
pid = os.fork()
if pid == 0:
    log.info("child")
    os._exit(0)
os.waitpid(pid, 0)
log.info("parent again")
""")
    )
    bodies = {item["body"]: item["pid"] for item in result.logs}
    assert bodies.keys() == {"parent", "child", "parent again"}
    assert bodies["parent"] == bodies["parent again"] != bodies["child"]


def test_nothing_is_leaked(run_app):
    result = run_app(
        app("""
logging.getLogger().addHandler(logging.NullHandler())
def rounds(count):
    for number in range(count):
        log.info("message %d", number, extra={"number": number, "list": [number]})
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
rounds(2_000)
before = resident()
rounds(100_000)
print(resident() - before)
""")
    )
    assert int(result.stdout) < 600
