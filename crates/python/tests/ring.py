"""Reads what the engine writes: the rings of a directory, as plain dicts.

`run_app` plays the launcher: it makes a ring directory, runs a program with the engine in front
of it, and gives everything that arrived. The layout is that of the crate `carafe-wire`.
"""

import contextlib
import dataclasses
import http.client
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time

from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

MAGIC = b"CARAFE\0R"
WIRE_VERSION = 1
HEADER_BYTES = 4096
HEAD_AT, TAIL_AT, DROPPED_AT = 64, 128, 192
FRAME_HEADER = struct.Struct("<IHH")
FRAME_ALIGN = 8
FRAME_MARK = 0xCAFE
LAP_END = 0xFFFF
DOORBELL_BYTES = 4096

HELLO = 1
RESOURCE, SCOPE, SPAN, LOG, INSTRUMENT, ATTRIBUTES, MEASUREMENT, NOTICE = range(16, 24)

INSTRUMENT_KINDS = (
    "counter",
    "up_down_counter",
    "histogram",
    "gauge",
    "observable_counter",
    "observable_up_down_counter",
    "observable_gauge",
)
NOTICE_KINDS = ("instrumented", "left_alone", "problem")

MEASUREMENT_FIXED = struct.Struct("<IIQ8sB")
FLAG_DOUBLE, FLAG_SPAN, FLAG_SAMPLED = 1, 2, 4


def frames(path):
    """Yields (kind, payload) of every frame that waits in a ring file, and frees nothing."""
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as ring:
            magic, version, _pid, capacity = struct.unpack_from("<8sIIQ", ring, 0)
            if magic != MAGIC or version != WIRE_VERSION:
                raise AssertionError(f"{path} is no ring of version {WIRE_VERSION}")
            (head,) = struct.unpack_from("<Q", ring, HEAD_AT)
            (at,) = struct.unpack_from("<Q", ring, TAIL_AT)

            def copy(start, length):
                offset = start % capacity
                until_end = min(length, capacity - offset)
                first = ring[HEADER_BYTES + offset : HEADER_BYTES + offset + until_end]
                return first + ring[HEADER_BYTES : HEADER_BYTES + length - until_end]

            while at != head:
                length, kind, mark = FRAME_HEADER.unpack(copy(at, FRAME_HEADER.size))
                if mark != FRAME_MARK or length < FRAME_HEADER.size or length > head - at:
                    raise AssertionError(f"{path}: no frame at {at}")
                if kind != LAP_END:
                    yield kind, copy(at + FRAME_HEADER.size, length - FRAME_HEADER.size)
                at += -(-length // FRAME_ALIGN) * FRAME_ALIGN


def dropped(path):
    """Frames that the writer had to drop."""
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    return struct.unpack_from("<Q", header, DROPPED_AT)[0]


def plain_value(value):
    """An OTLP `AnyValue` as what it stands for in Python."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    inner = getattr(value, which)
    if which == "array_value":
        return [plain_value(item) for item in inner.values]
    if which == "kvlist_value":
        return plain_attributes(inner.values)
    return inner


def plain_attributes(pairs):
    """OTLP `KeyValue`s as a dict. A key that comes twice is a fault of the writer."""
    attributes = {}
    for pair in pairs:
        if pair.key in attributes:
            raise AssertionError(f"attribute {pair.key!r} comes twice")
        attributes[pair.key] = plain_value(pair.value)
    return attributes


def plain_scope(message):
    return {
        "name": message.scope.name,
        "version": message.scope.version,
        "attributes": plain_attributes(message.scope.attributes),
        "schema_url": message.schema_url,
    }


def plain_span(span, scope, pid):
    return {
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "trace_state": span.trace_state,
        "flags": span.flags,
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        "status_description": span.status.message,
        "attributes": plain_attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "time_ns": event.time_unix_nano,
                "attributes": plain_attributes(event.attributes),
                "dropped_attributes": event.dropped_attributes_count,
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "trace_state": link.trace_state,
                "flags": link.flags,
                "attributes": plain_attributes(link.attributes),
                "dropped_attributes": link.dropped_attributes_count,
            }
            for link in span.links
        ],
        "dropped_attributes": span.dropped_attributes_count,
        "dropped_events": span.dropped_events_count,
        "dropped_links": span.dropped_links_count,
        "scope": scope,
        "pid": pid,
    }


def plain_log(record, scope, pid):
    return {
        "body": plain_value(record.body),
        "severity_number": record.severity_number,
        "severity_text": record.severity_text,
        "time_ns": record.time_unix_nano,
        "observed_ns": record.observed_time_unix_nano,
        "trace_id": record.trace_id.hex() or None,
        "span_id": record.span_id.hex() or None,
        "flags": record.flags,
        "attributes": plain_attributes(record.attributes),
        "dropped_attributes": record.dropped_attributes_count,
        "event_name": record.event_name,
        "scope": scope,
        "pid": pid,
    }


def plain_instrument(number, metric, scope):
    points = metric.histogram.data_points
    return {
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "kind": INSTRUMENT_KINDS[number],
        "boundaries": list(points[0].explicit_bounds) if points else None,
        "scope": scope,
    }


@dataclasses.dataclass
class Telemetry:
    """All that the rings of a directory hold, in the order of writing within each process."""

    spans: list = dataclasses.field(default_factory=list)
    logs: list = dataclasses.field(default_factory=list)
    #: An instrument's fields, with `attributes`, `value`, `time_ns`, `span` and `pid`.
    measurements: list = dataclasses.field(default_factory=list)
    #: `kind` of NOTICE_KINDS, `name`, `version`, `reason`, `pid`.
    notices: list = dataclasses.field(default_factory=list)
    #: The last resource of each process: pid to attributes.
    resources: dict = dataclasses.field(default_factory=dict)
    #: `pid`, `parent_pid`, `executable` of each process.
    processes: list = dataclasses.field(default_factory=list)
    dropped: int = 0

    def span(self, name):
        """The one span of that name."""
        found = [span for span in self.spans if span["name"] == name]
        assert len(found) == 1, f"{len(found)} spans {name!r} among {self.span_names()}"
        return found[0]

    def span_names(self):
        return [span["name"] for span in self.spans]

    def children(self, span):
        """The spans whose parent is `span`, in the order of their starts."""
        children = [
            child
            for child in self.spans
            if child["parent_id"] == span["span_id"] and child["trace_id"] == span["trace_id"]
        ]
        return sorted(children, key=lambda child: child["start_ns"])

    def metric(self, name):
        """The measurements of the instrument of that name."""
        return [item for item in self.measurements if item["name"] == name]

    def metric_names(self):
        return sorted({item["name"] for item in self.measurements})

    def _read(self, path):
        scopes, instruments, attribute_sets = {}, {}, {0: {}}
        pid = None
        for kind, payload in frames(path):
            if kind == HELLO:
                pid, parent_pid = struct.unpack_from("<II", payload)
                executable = os.fsdecode(payload[16:])
                self.processes.append(
                    {"pid": pid, "parent_pid": parent_pid, "executable": executable}
                )
            elif kind == RESOURCE:
                self.resources[pid] = plain_attributes(Resource.FromString(payload).attributes)
            elif kind == NOTICE:
                name, version, reason, rest = payload[1:].split(b"\0")
                assert rest == b""
                self.notices.append(
                    {
                        "kind": NOTICE_KINDS[payload[0]],
                        "name": name.decode(),
                        "version": version.decode(),
                        "reason": reason.decode(),
                        "pid": pid,
                    }
                )
            elif kind == MEASUREMENT:
                self.measurements.append(
                    self._measurement(payload, instruments, attribute_sets, pid)
                )
            elif kind in (SCOPE, SPAN, LOG, INSTRUMENT, ATTRIBUTES):
                (number,) = struct.unpack_from("<I", payload)
                otlp = payload[4:]
                if kind == SCOPE:
                    scopes[number] = plain_scope(ScopeSpans.FromString(otlp))
                elif kind == SPAN:
                    self.spans.append(plain_span(Span.FromString(otlp), scopes[number], pid))
                elif kind == LOG:
                    self.logs.append(plain_log(LogRecord.FromString(otlp), scopes[number], pid))
                elif kind == ATTRIBUTES:
                    attribute_sets[number] = plain_attributes(KeyValueList.FromString(otlp).values)
                else:
                    scope, place = struct.unpack_from("<IB", payload, 4)
                    instruments[number] = plain_instrument(
                        place, Metric.FromString(payload[9:]), scopes[scope]
                    )
            else:
                raise AssertionError(f"a frame of kind {kind} in a ring of the Python engine")
        self.dropped += dropped(path)

    @staticmethod
    def _measurement(payload, instruments, attribute_sets, pid):
        instrument, attributes, time_ns, bits, flags = MEASUREMENT_FIXED.unpack_from(payload)
        span = None
        if flags & FLAG_SPAN:
            ids = payload[MEASUREMENT_FIXED.size :]
            span = {
                "trace_id": ids[:16].hex(),
                "span_id": ids[16:24].hex(),
                "sampled": bool(flags & FLAG_SAMPLED),
            }
        return {
            **instruments[instrument],
            "attributes": attribute_sets[attributes],
            "value": struct.unpack("<d" if flags & FLAG_DOUBLE else "<q", bits)[0],
            "time_ns": time_ns,
            "span": span,
            "pid": pid,
        }


def read(directory):
    """The telemetry in the rings of a directory."""
    telemetry = Telemetry()
    for path in sorted(pathlib.Path(directory).glob("*-python.ring")):
        telemetry._read(path)
    return telemetry


@dataclasses.dataclass
class Result(Telemetry):
    """What a program that has ended left behind."""

    returncode: int = 0
    stdout: str = ""
    stderr: str = ""


def make_ring_dir(parent):
    """A directory as the launcher makes it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rings-", dir=parent))
    (directory / "doorbell").write_bytes(bytes(DOORBELL_BYTES))
    return directory


def environment(engine_dir, ring_dir, env=None):
    """The environment of a program with the engine in front; `env` wins, None removes."""
    base = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "CARAFE_", "PYTHON", "LD_PRELOAD"))
    }
    base["PYTHONPATH"] = str(engine_dir)
    base["PYTHONDONTWRITEBYTECODE"] = "1"
    base["CARAFE_RING_DIR"] = str(ring_dir)
    for name, value in (env or {}).items():
        if value is None:
            base.pop(name, None)
        else:
            base[name] = value
    return base


def command_of(app, directory, python, args):
    """`app` is source code, the path of a file, or a whole command as a list."""
    if isinstance(app, (list, tuple)):
        return [*map(str, app), *map(str, args)]
    if isinstance(app, pathlib.Path):
        path = app
    else:
        path = pathlib.Path(directory) / "app.py"
        path.write_text(textwrap.dedent(app))
    return [str(python or sys.executable), str(path), *map(str, args)]


def run_app(engine_dir, app, *, env=None, python=None, args=(), timeout=60, check=True):
    """Runs a program to its end with the engine in front and reads its rings.

    `app`: source code, a `pathlib.Path`, or a command as a list. With `check`, a status other
    than 0 fails the test with the program's stderr.
    """
    with tempfile.TemporaryDirectory(prefix="carafe-app-") as directory:
        ring_dir = make_ring_dir(directory)
        ended = subprocess.run(
            command_of(app, directory, python, args),
            cwd=directory,
            env=environment(engine_dir, ring_dir, env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and ended.returncode != 0:
            raise AssertionError(
                f"the app ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
            )
        telemetry = read(ring_dir)
        fields = {
            field.name: getattr(telemetry, field.name) for field in dataclasses.fields(telemetry)
        }
        return Result(
            **fields,
            returncode=ended.returncode,
            stdout=ended.stdout,
            stderr=ended.stderr,
        )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, timeout=30):
    """Polls until `condition()` gives something true, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


class Server:
    """A server program that runs with the engine in front."""

    def __init__(self, process, port, ring_dir, stderr_path):
        self.process = process
        self.port = port
        self.ring_dir = ring_dir
        self._stderr_path = stderr_path

    def read(self):
        """The telemetry so far."""
        return read(self.ring_dir)

    def wait_for(self, condition, what="the telemetry", timeout=30):
        """Polls until `condition(telemetry)` holds, and returns that telemetry."""
        latest = [None]

        def holds():
            latest[0] = self.read()
            return condition(latest[0])

        wait_until(holds, what, timeout)
        return latest[0]

    def request(self, path, method="GET", headers=None, body=None):
        """One request on a connection of its own: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def stderr(self):
        return self._stderr_path.read_text(errors="replace")

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Ends the program and returns its status; idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        return self.process.returncode


@contextlib.contextmanager
def serve(engine_dir, app, *, env=None, python=None, args=(), timeout=30):
    """Runs a server and yields it as soon as it listens.

    `app` as for `run_app`. `{port}` in a command's words, and the variable PORT, stand for the
    port to listen on.
    """
    with tempfile.TemporaryDirectory(prefix="carafe-app-") as directory:
        ring_dir = make_ring_dir(directory)
        port = free_port()
        command = [
            word.replace("{port}", str(port)) for word in command_of(app, directory, python, args)
        ]
        stderr_path = pathlib.Path(directory) / "stderr"
        with open(stderr_path, "wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(engine_dir, ring_dir, {"PORT": str(port), **(env or {})}),
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        server = Server(process, port, ring_dir, stderr_path)
        try:
            wait_until(lambda: _listens(server), f"{command} listens", timeout)
            yield server
        finally:
            server.stop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _listens(server):
    if server.process.poll() is not None:
        raise AssertionError(f"ended with {server.process.returncode}\n{server.stderr()}")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", server.port)) == 0
