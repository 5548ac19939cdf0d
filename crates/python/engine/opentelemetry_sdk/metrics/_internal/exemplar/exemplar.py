"""The exemplar itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from opentelemetry.util.types import Attributes


@dataclass(frozen=True)
class Exemplar:
    """A measurement with the span it was made in, and the attributes its point lacks."""

    filtered_attributes: Attributes
    value: Union[int, float]
    time_unix_nano: int
    span_id: Optional[int] = None
    trace_id: Optional[int] = None
