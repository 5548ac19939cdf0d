"""The reader of rings, on rings made by hand."""

import struct

import pytest
import ring
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

CAPACITY = 4096
PID = 4711


class Writer:
    """Writes a ring file with the given counters; wraps as the engine does."""

    def __init__(self, start=0):
        self.data = bytearray(CAPACITY)
        self.head = self.tail = start

    def push(self, kind, payload):
        frame = struct.pack("<IHH", 8 + len(payload), kind, 0xCAFE) + payload
        self._copy_in(frame.ljust(-(-len(frame) // 8) * 8, b"\xff"))

    def end_lap(self):
        rest = CAPACITY - self.head % CAPACITY
        self._copy_in(struct.pack("<IHH", rest, 0xFFFF, 0xCAFE))
        self.head += rest - 8

    def _copy_in(self, data):
        for byte in data:
            self.data[self.head % CAPACITY] = byte
            self.head += 1

    def save(self, directory, dropped=0):
        header = bytearray(4096)
        struct.pack_into("<8sIIQ", header, 0, b"CARAFE\0R", 1, PID, CAPACITY)
        for offset, counter in ((64, self.head), (128, self.tail), (192, dropped)):
            struct.pack_into("<Q", header, offset, counter)
        (directory / f"{PID}-python.ring").write_bytes(header + self.data)


def hello(writer):
    writer.push(1, struct.pack("<IIQ", PID, 1, 0) + b"/usr/bin/python3")


def pair(key, **value):
    return KeyValue(key=key, value=AnyValue(**value))


def test_frames_across_the_end_of_a_lap(tmp_path):
    writer = Writer(start=CAPACITY - 24)
    hello(writer)
    writer.push(17, struct.pack("<I", 1) + ScopeSpans(schema_url="u").SerializeToString())
    span = Span(name="a", kind=2, trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    writer.push(18, struct.pack("<I", 1) + span.SerializeToString())
    writer.save(tmp_path, dropped=3)

    telemetry = ring.read(tmp_path)
    assert telemetry.span_names() == ["a"]
    assert telemetry.span("a")["kind"] == "SERVER"
    assert telemetry.span("a")["trace_id"] == "01" * 16
    assert telemetry.span("a")["parent_id"] is None
    assert telemetry.span("a")["scope"]["schema_url"] == "u"
    assert telemetry.processes == [{"pid": PID, "parent_pid": 1, "executable": "/usr/bin/python3"}]
    assert telemetry.dropped == 3


def test_a_lap_that_ends_early(tmp_path):
    writer = Writer(start=CAPACITY - 512)
    hello(writer)
    writer.push(17, struct.pack("<I", 1) + ScopeSpans().SerializeToString())
    writer.push(18, struct.pack("<I", 1) + Span(name="a").SerializeToString())
    writer.end_lap()
    writer.push(18, struct.pack("<I", 1) + Span(name="b").SerializeToString())
    writer.save(tmp_path)
    assert writer.head > CAPACITY
    assert ring.read(tmp_path).span_names() == ["a", "b"]


def test_measurements_take_the_last_meaning_of_their_numbers(tmp_path):
    writer = Writer()
    hello(writer)
    writer.push(17, struct.pack("<I", 9) + ScopeSpans().SerializeToString())
    metric = Metric(name="requests", unit="{request}").SerializeToString()
    writer.push(20, struct.pack("<IIB", 5, 9, 0) + metric)
    for word in ("x", "y"):
        attributes = KeyValueList(values=[pair("word", string_value=word)])
        writer.push(21, struct.pack("<I", 1) + attributes.SerializeToString())
        writer.push(22, struct.pack("<IIQqB", 5, 1, 77, -2, 0))
    writer.push(22, struct.pack("<IIQdB", 5, 0, 78, 0.5, 1 | 2 | 4) + b"\x01" * 16 + b"\x02" * 8)
    writer.save(tmp_path)

    first, second, third = ring.read(tmp_path).metric("requests")
    assert (first["attributes"], second["attributes"]) == ({"word": "x"}, {"word": "y"})
    assert (first["value"], first["kind"], first["time_ns"]) == (-2, "counter", 77)
    assert (third["value"], third["attributes"]) == (0.5, {})
    assert third["span"] == {"trace_id": "01" * 16, "span_id": "02" * 8, "sampled": True}


def test_notices(tmp_path):
    writer = Writer()
    hello(writer)
    writer.push(23, b"\x01" + b"flask\0" + b"9.0\0" + b"not a known version\0")
    writer.save(tmp_path)
    assert ring.read(tmp_path).notices == [
        {
            "kind": "left_alone",
            "name": "flask",
            "version": "9.0",
            "reason": "not a known version",
            "pid": PID,
        }
    ]


def test_an_attribute_that_comes_twice_is_a_fault(tmp_path):
    pairs = [pair("a", int_value=1), pair("a", int_value=2)]
    payload = ScopeSpans(scope={"attributes": pairs})
    writer = Writer()
    hello(writer)
    writer.push(17, struct.pack("<I", 1) + payload.SerializeToString())
    writer.save(tmp_path)
    with pytest.raises(AssertionError, match="comes twice"):
        ring.read(tmp_path)


def test_a_damaged_frame_is_a_fault(tmp_path):
    writer = Writer()
    hello(writer)
    writer.data[6] = 0
    writer.save(tmp_path)
    with pytest.raises(AssertionError, match="no frame at 0"):
        ring.read(tmp_path)
