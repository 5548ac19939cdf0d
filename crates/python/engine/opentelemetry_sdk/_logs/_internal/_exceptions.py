"""The attributes of a record that carries an exception (semantic conventions, exceptions)."""

from __future__ import annotations

from copy import copy
from traceback import format_exception
from typing import Any, Dict, Optional

from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.util.types import Attributes


def exception_attributes(exception: BaseException) -> Dict[str, Any]:
    """Type, message and stack trace."""
    kind = type(exception)
    name = kind.__qualname__
    if kind.__module__ and kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    return {
        "exception.type": name,
        "exception.message": str(exception),
        "exception.stacktrace": "".join(format_exception(kind, exception, exception.__traceback__)),
    }


def with_exception(attributes: Attributes, exception: Optional[BaseException]) -> Attributes:
    """The attributes and those of the exception; what the application set itself stays."""
    if exception is None:
        return attributes
    own = exception_attributes(exception)
    if not isinstance(attributes, BoundedAttributes):
        own.update(attributes or {})
        return own
    bounded = BoundedAttributes(
        maxlen=attributes.maxlen,
        attributes=attributes,
        immutable=False,
        max_value_len=attributes.max_value_len,
    )
    bounded.dropped = attributes.dropped
    for key in own.keys() - bounded.keys():
        bounded[key] = own[key]
    return bounded


def told(record: LogRecord) -> LogRecord:
    """The record, or a copy that tells of its exception: the application's own stays as it is."""
    exception = getattr(record, "exception", None)
    if exception is None:
        return record
    record = copy(record)
    record.attributes = with_exception(record.attributes, exception)
    return record
