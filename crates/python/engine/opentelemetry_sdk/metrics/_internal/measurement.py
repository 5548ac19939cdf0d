"""One measurement on its way from an instrument to the aggregations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from logging import getLogger
from typing import Optional, Union

from opentelemetry.attributes import _clean_attribute_value
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

_logger = getLogger(__name__)

# Values of exactly these types need no cleaning.
_PLAIN = frozenset((str, int, float, bool))


@dataclass(init=False)
class Measurement:
    """A value and where it came from. Attributes are a copy that holds valid types alone."""

    __slots__ = ("value", "time_unix_nano", "instrument", "context", "attributes")

    value: Union[int, float]
    time_unix_nano: int
    instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument"  # noqa: F821
    context: Context
    attributes: Optional[dict]

    def __init__(
        self,
        value: Union[int, float],
        time_unix_nano: int,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        context: Context,
        attributes: Attributes = None,
    ) -> None:
        self.value = value
        self.time_unix_nano = time_unix_nano
        self.instrument = instrument
        self.context = context
        self.attributes = None if attributes is None else _clean(attributes)


def _clean(attributes: Attributes) -> Optional[dict]:
    if not isinstance(attributes, Mapping):
        _logger.warning(
            "Invalid type %s of attributes: a mapping is wanted; they are left out",
            type(attributes),
        )
        return None
    for key, value in attributes.items():
        if type(key) is not str or not key or type(value) not in _PLAIN:
            return _clean_attribute_value(attributes, None)
    return dict(attributes)
