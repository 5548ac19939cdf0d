"""celery, against a recording of the official package 0.66b1, with real workers."""

import pytest

TASKS = """
import json, os, time, uuid
from celery import Celery
from celery.backends.filesystem import FilesystemBackend
from kombu.transport import filesystem

# Readers may find files of these two half written.
class Channel(filesystem.Channel):
    def _put(self, queue, payload, **kwargs):
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        put(os.path.join(self.data_folder_out, name), json.dumps(payload).encode())

filesystem.Transport.Channel = Channel
FilesystemBackend.set = lambda self, key, value: put(
    os.fsdecode(self._filename(key)), value if isinstance(value, bytes) else value.encode()
)

def put(path, content):
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.rename(path + ".new", path)

DIRECTORY = os.path.dirname(os.path.abspath(__file__))
app = Celery("tasks", broker="filesystem://", backend="file://" + DIRECTORY + "/results")
app.conf.broker_transport_options = {
    name: os.path.join(DIRECTORY, folder)
    for name, folder in (
        ("data_folder_in", "queue"),
        ("data_folder_out", "queue"),
        ("control_folder", "control"),
    )
}
app.conf.task_publish_retry = False
for folder in ("queue", "control", "results"):
    os.makedirs(os.path.join(DIRECTORY, folder), exist_ok=True)

class Expected(Exception):
    pass

@app.task
def add(x, y):
    return x + y

@app.task
def fail():
    raise ValueError("no good")

@app.task(throws=(Expected,))
def expected():
    raise Expected("fine")

@app.task(bind=True, max_retries=1)
def again(self):
    # Long enough for the state of this run to be stored before that of the next.
    raise self.retry(exc=KeyError("k"), countdown=0.5)

@app.task
def publish():
    return add.delay(1, 2).id

@app.task(time_limit=30)
def limited():
    return os.getpid()
"""

CLIENT = """
import sys
sys.path.insert(0, {directory!r})
import tasks
from carafe_engine import _native
"""

WORKED = """
import subprocess
worker = subprocess.Popen(
    [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", {pool!r}, "-c", "2"]
    + ["--without-gossip", "--without-mingle", "-l", "ERROR"],
    cwd={directory!r},
    stdout=sys.stderr,
)
def done(result):
    try:
        return result.get(timeout=30, interval=0.05)
    except Exception as error:
        return repr(error)
try:
    with _native.provider().tracer("client").start_as_current_span("client"):
        assert done(tasks.add.delay(2, 3)) == 5
        assert done(tasks.fail.delay()) == "ValueError('no good')"
        assert done(tasks.expected.delay()) == "Expected('fine')"
        assert done(tasks.again.delay()) == "KeyError('k')"
        published = tasks.publish.delay()
        assert done(tasks.app.AsyncResult(done(published))) == 3
        print(done(tasks.limited.delay()))
        assert done(tasks.app.send_task("tasks.add", (1, 2))) == 3
finally:
    worker.terminate()
    worker.wait()
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "tasks.py").write_text(TASKS)
    return str(tmp_path)


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_workers(run_app, directory, pool):
    code = (CLIENT + WORKED).format(directory=directory, pool=pool)
    result = run_app(code, timeout=120)
    spans = {span["span_id"]: span for span in result.spans}
    client = result.span("client")
    assert len({span["trace_id"] for span in result.spans}) == 1

    def chain(span):
        names = []
        while span is not None:
            names.append(span["name"])
            span = spans.get(span["parent_id"])
        return names

    runs = [span for span in result.spans if span["name"].startswith("run/")]
    assert sorted(chain(span) for span in runs) == sorted(
        [
            ["run/tasks.add", "apply_async/tasks.add", "client"],
            ["run/tasks.add", "apply_async/tasks.add", "client"],
            ["run/tasks.fail", "apply_async/tasks.fail", "client"],
            ["run/tasks.expected", "apply_async/tasks.expected", "client"],
            ["run/tasks.again", "apply_async/tasks.again", "client"],
            [
                "run/tasks.again",
                "apply_async/tasks.again",
                "run/tasks.again",
                "apply_async/tasks.again",
                "client",
            ],
            ["run/tasks.publish", "apply_async/tasks.publish", "client"],
            [
                "run/tasks.add",
                "apply_async/tasks.add",
                "run/tasks.publish",
                "apply_async/tasks.publish",
                "client",
            ],
            ["run/tasks.limited", "apply_async/tasks.limited", "client"],
        ]
    )
    for span in runs:
        publication = spans[span["parent_id"]]
        task_id = publication["attributes"]["messaging.message.id"]
        name = span["name"].removeprefix("run/")
        assert span["kind"] == "CONSUMER" and publication["kind"] == "PRODUCER"
        assert publication["attributes"] == {
            "celery.action": "apply_async",
            "celery.task_name": name,
            "messaging.message.id": task_id,
            "messaging.destination_kind": "queue",
            "messaging.destination": "celery",
        }
        attributes = span["attributes"]
        assert attributes["celery.action"] == "run"
        assert attributes["celery.task_name"] == name
        assert attributes["messaging.message.id"] == task_id
        assert attributes["messaging.conversation_id"] == task_id
        assert attributes["messaging.destination"] == "celery"
        assert attributes["celery.delivery_info"] == (
            "{'exchange': '', 'routing_key': 'celery', 'priority': 0, 'redelivered': False}"
        )
        assert attributes["celery.hostname"].startswith("gen")
        assert attributes["celery.reply_to"]
        assert span["scope"]["name"] == "opentelemetry.instrumentation.celery"
        assert span["scope"]["schema_url"] == "https://opentelemetry.io/schemas/1.11.0"
        assert span["pid"] != client["pid"]

    outcomes = {
        (
            span["name"],
            span["attributes"]["celery.state"],
            span["status"],
            span["status_description"],
            tuple(event["attributes"]["exception.type"] for event in span["events"]),
        )
        for span in runs
    }
    assert outcomes == {
        ("run/tasks.add", "SUCCESS", "UNSET", "", ()),
        ("run/tasks.publish", "SUCCESS", "UNSET", "", ()),
        ("run/tasks.limited", "SUCCESS", "UNSET", "", ()),
        ("run/tasks.fail", "FAILURE", "ERROR", "no good", ("ValueError",)),
        # A difference: the official package means to let what a task `throws` pass, too, but
        # compares the wrapper in which celery 5 sends it.
        ("run/tasks.expected", "FAILURE", "UNSET", "", ()),
        ("run/tasks.again", "RETRY", "UNSET", "", ()),
        ("run/tasks.again", "FAILURE", "ERROR", "'k'", ("KeyError",)),
    }
    first, second = sorted(
        (span for span in runs if span["name"] == "run/tasks.again"),
        key=lambda span: span["start_ns"],
    )
    assert first["attributes"]["celery.retry.reason"] == "Retry in 0.5s: KeyError('k')"
    assert second["attributes"]["celery.retries"] == 1
    limited = result.span("run/tasks.limited")
    assert limited["attributes"]["celery.timelimit"] == ["30", ""]
    assert limited["pid"] == int(result.stdout)

    measured = result.metric("flower.task.runtime.seconds")
    assert len(measured) == len(runs)
    worker = measured[0]["attributes"]["worker"]
    assert worker.startswith("celery@")
    assert {tuple(item["attributes"].items()) for item in measured} == {
        (("task", span["name"].removeprefix("run/")), ("worker", worker)) for span in runs
    }
    assert all(0 < item["value"] < 30 for item in measured)
    assert (measured[0]["kind"], measured[0]["unit"]) == ("histogram", "seconds")
    assert measured[0]["description"] == "The time it took to run the task."


def test_tasks_in_place(run_app, directory):
    """`apply` runs a task at once: no message, so no publication."""
    code = (
        CLIENT.format(directory=directory)
        + """
with _native.provider().tracer("client").start_as_current_span("client"):
    assert tasks.add.apply((4, 4)).get() == 8
    assert tasks.add(3, 3) == 6
    tasks.again.apply()
    tasks.fail.apply()
assert _native.current_span() is None
"""
    )
    result = run_app(code)
    client = result.span("client")
    assert [span["name"] for span in result.children(client)] == [
        "run/tasks.add",
        "run/tasks.again",
        "run/tasks.again",
        "run/tasks.fail",
    ]
    states = [
        (span["attributes"]["celery.state"], span["attributes"].get("celery.retries"))
        for span in result.spans
        if span["name"] == "run/tasks.again"
    ]
    assert states == [("RETRY", None), ("FAILURE", 1)]
    assert result.span("run/tasks.fail")["status"] == "ERROR"


def test_publications_that_fail(run_app, directory):
    code = (
        CLIENT.format(directory=directory)
        + """
import shutil
shutil.rmtree(tasks.DIRECTORY + "/queue")
with _native.provider().tracer("client").start_as_current_span("client") as client:
    try:
        tasks.add.delay(1, 2)
    except Exception as error:
        print(type(error).__name__)
    assert _native.current_span() is client
    tasks.app.conf.task_always_eager = True
    tasks.add.delay(1, 2)
"""
    )
    result = run_app(code)
    span = result.span("apply_async/tasks.add")
    assert span["status"] == "ERROR"
    (event,) = span["events"]
    assert event["attributes"]["exception.type"].rpartition(".")[2] == result.stdout.strip()
    assert result.span("run/tasks.add")["status"] == "UNSET"


def test_stepping_back(run_app, directory):
    code = (
        CLIENT.format(directory=directory)
        + """
tasks.add.apply((1, 1))
from carafe_engine import libraries
assert libraries.step_back("celery", "a test says so")
tasks.add.apply((1, 1))
"""
    )
    assert [span["name"] for span in run_app(code).spans] == ["run/tasks.add"]
