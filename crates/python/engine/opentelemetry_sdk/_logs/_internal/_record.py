"""Log records on their way through the processors, and their limits."""

from __future__ import annotations

import base64
import json
import warnings
from dataclasses import dataclass, field
from os import environ
from typing import Any, Optional

from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT,
    OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import deprecated, ns_to_iso_str
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import format_span_id, format_trace_id

_DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT = 128


class BytesEncoder(json.JSONEncoder):
    """JSON with bytes in base64, as OTLP's JSON has them."""

    def default(self, o: Any) -> Any:
        if isinstance(o, bytes):
            return base64.b64encode(o).decode()
        return super().default(o)


class LogRecordDroppedAttributesWarning(UserWarning):
    """A record lost attributes at its limit. Warned of once."""


warnings.simplefilter("once", LogRecordDroppedAttributesWarning)


@deprecated("Use LogRecordDroppedAttributesWarning.")
class LogDroppedAttributesWarning(LogRecordDroppedAttributesWarning):
    """The former name."""


class LogRecordLimits:
    """How many attributes a record may have, and how long their texts may be.

    Each limit is the argument, or else the variable `OTEL_LOGRECORD_ATTRIBUTE_*_LIMIT`, or else
    the general limit, which is an argument too, or else `OTEL_ATTRIBUTE_*_LIMIT`, or else the
    default: 128 attributes, texts of any length. `UNSET` and an empty variable mean no limit.
    """

    UNSET = -1

    def __init__(
        self,
        max_attributes: Optional[int] = None,
        max_attribute_length: Optional[int] = None,
        max_log_record_attributes: Optional[int] = None,
        max_log_record_attribute_length: Optional[int] = None,
    ) -> None:
        general = _limit(max_attributes, OTEL_ATTRIBUTE_COUNT_LIMIT, None)
        self.max_attributes = _DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT if general is None else general
        self.max_attribute_length = _limit(
            max_attribute_length, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT, None
        )
        self.max_log_record_attributes = _limit(
            max_log_record_attributes, OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT, self.max_attributes
        )
        self.max_log_record_attribute_length = _limit(
            max_log_record_attribute_length,
            OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT,
            self.max_attribute_length,
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"


def _limit(given: Optional[int], variable: str, otherwise: Optional[int]) -> Optional[int]:
    if given == LogRecordLimits.UNSET:
        return None
    wrong: Any = given
    if given is None:
        text = environ.get(variable)
        if text is None:
            return otherwise
        if not text.strip():
            return None
        wrong = text
        try:
            given = int(text)
        except ValueError:
            given = -1
    if given < 0:
        raise ValueError(f"{variable} must be a non-negative integer but got {wrong}")
    return given


@deprecated("Use LogRecordLimits.")
class LogLimits(LogRecordLimits):
    """The former name."""


def _dropped(record: LogRecord) -> int:
    return getattr(record.attributes, "dropped", 0)


@dataclass(frozen=True)
class ReadableLogRecord:
    """A record as exporters get it."""

    log_record: LogRecord
    resource: Resource
    instrumentation_scope: Optional[InstrumentationScope] = None
    limits: Optional[LogRecordLimits] = None

    @property
    def dropped_attributes(self) -> int:
        return _dropped(self.log_record)

    def to_json(self, indent: Optional[int] = 4) -> str:
        record = self.log_record
        severity = record.severity_number
        tree = {
            "body": record.body,
            "severity_number": None if severity is None else severity.value,
            "severity_text": record.severity_text,
            "attributes": dict(record.attributes) if record.attributes else None,
            "dropped_attributes": self.dropped_attributes,
            "timestamp": None if record.timestamp is None else ns_to_iso_str(record.timestamp),
            "observed_timestamp": ns_to_iso_str(record.observed_timestamp),
            "trace_id": "" if record.trace_id is None else f"0x{format_trace_id(record.trace_id)}",
            "span_id": "" if record.span_id is None else f"0x{format_span_id(record.span_id)}",
            "trace_flags": record.trace_flags,
            "resource": json.loads(self.resource.to_json()),
            "event_name": getattr(record, "event_name", None) or "",
        }
        return json.dumps(tree, indent=indent, cls=BytesEncoder)


@dataclass
class ReadWriteLogRecord:
    """A record as processors get it: they may change it."""

    log_record: LogRecord
    resource: Optional[Resource] = field(default_factory=lambda: Resource.create({}))
    instrumentation_scope: Optional[InstrumentationScope] = None
    limits: LogRecordLimits = field(default_factory=LogRecordLimits)

    def __post_init__(self) -> None:
        self.log_record.attributes = _bounded(self.log_record.attributes, self.limits)
        if self.dropped_attributes:
            warnings.warn(
                "Log record attributes were dropped due to limits",
                LogRecordDroppedAttributesWarning,
                stacklevel=2,
            )

    @property
    def dropped_attributes(self) -> int:
        return _dropped(self.log_record)

    @classmethod
    def _from_api_log_record(
        cls,
        *,
        record: LogRecord,
        resource: Resource,
        instrumentation_scope: Optional[InstrumentationScope] = None,
        limits: Optional[LogRecordLimits] = None,
    ) -> "ReadWriteLogRecord":
        if limits is None:
            limits = LogRecordLimits()
        return cls(record, resource, instrumentation_scope, limits)


# Between 1.34 and 1.44 the API takes maps and lists of anything as attributes only when asked to.
_NESTED = (
    {"extended_attributes": True}
    if "extended_attributes" in BoundedAttributes.__init__.__code__.co_varnames
    else {}
)


def _bounded(attributes: Any, limits: LogRecordLimits) -> BoundedAttributes:
    return BoundedAttributes(
        maxlen=limits.max_log_record_attributes,
        attributes=attributes or None,
        immutable=False,
        max_value_len=limits.max_log_record_attribute_length,
        **_NESTED,
    )
