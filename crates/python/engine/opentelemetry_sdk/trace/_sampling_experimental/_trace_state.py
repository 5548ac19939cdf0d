"""The `ot` member of the trace state: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/"""

from dataclasses import dataclass
from typing import Sequence

from ._util import (
    INVALID_RANDOM_VALUE,
    INVALID_THRESHOLD,
    MAX_THRESHOLD,
    is_valid_random_value,
    is_valid_threshold,
)

OTEL_TRACE_STATE_KEY = "ot"

_TRACE_STATE_SIZE_LIMIT = 256
_DIGITS = 14  # of 56 bits, in hexadecimal


@dataclass
class OtelTraceState:
    """Threshold (`th`), random value (`rv`) and what else the member holds."""

    random_value: int
    threshold: int
    rest: Sequence[str]

    @staticmethod
    def invalid():
        return OtelTraceState(INVALID_RANDOM_VALUE, INVALID_THRESHOLD, ())

    @staticmethod
    def parse(trace_state):
        """What cannot be read is as if it were not there."""
        state = OtelTraceState.invalid()
        member = trace_state.get(OTEL_TRACE_STATE_KEY) if trace_state else None
        if not member or len(member) > _TRACE_STATE_SIZE_LIMIT:
            return state
        rest = []
        for part in member.split(";"):
            if part.startswith("th:"):
                state.threshold = _parse_th(part[3:], INVALID_THRESHOLD)
            elif part.startswith("rv:"):
                state.random_value = _parse_rv(part[3:], INVALID_RANDOM_VALUE)
            else:
                rest.append(part)
        state.rest = rest or ()
        return state

    def serialize(self):
        """The member's value; parts that do not fit its limit are left out from the end."""
        parts = []
        if is_valid_threshold(self.threshold) and self.threshold != MAX_THRESHOLD:
            parts.append("th:" + serialize_th(self.threshold))
        if is_valid_random_value(self.random_value):
            parts.append("rv:{:0{}x}".format(self.random_value, _DIGITS))
        parts.extend(self.rest)
        while len(parts) > 1 and len(";".join(parts)) > _TRACE_STATE_SIZE_LIMIT:
            parts.pop()
        return ";".join(parts)


def _parse_th(value, default):
    # Zeros at the end are left out.
    return _hexadecimal(value.ljust(_DIGITS, "0"), default) if value else default


def _parse_rv(value, default):
    return _hexadecimal(value, default)


def _hexadecimal(digits, default):
    if len(digits) != _DIGITS:
        return default
    try:
        return int(digits, 16)
    except ValueError:
        return default


def serialize_th(threshold):
    return "{:0{}x}".format(threshold, _DIGITS).rstrip("0") or "0"
