"""A metric stream: one instrument seen through one view, with a state per attribute set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import getLogger
from threading import Lock
from time import time_ns
from typing import Dict, List, Optional, Type

from opentelemetry.sdk.metrics._internal.aggregation import (
    Aggregation,
    AggregationTemporality,
    DefaultAggregation,
    _Aggregation,
    _SumAggregation,
)
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.point import DataPointT
from opentelemetry.sdk.metrics._internal.view import View
from opentelemetry.util.types import AnyValue

_logger = getLogger(__name__)

# The most attribute sets of one stream (metrics SDK specification, Cardinality limits). Those
# that come later are counted together under the attributes below, and nothing is lost.
CARDINALITY_LIMIT = 2000
_OVERFLOW = {"otel.metric.overflow": True}


def _hash_attributes(value: AnyValue) -> tuple:
    """A key that tells attribute values apart as OTLP does: `True`, `1` and `1.0` are three."""
    if isinstance(value, (str, bytes, bool, int, float, type(None))):
        return (type(value), value)
    if isinstance(value, Mapping):
        pairs = [(str(key), _hash_attributes(value[key])) for key in value]
        pairs.sort(key=_first)
        return (dict, tuple(pairs))
    if isinstance(value, Sequence):
        return (list, tuple([_hash_attributes(element) for element in value]))
    return (object, str(value))


def _first(pair: tuple) -> str:
    return pair[0]


class _ViewInstrumentMatch:
    def __init__(
        self,
        view: View,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
        instrument_class_aggregation: Dict[type, Aggregation],
    ) -> None:
        self._view = view
        self._instrument = instrument
        self._instrument_class_aggregation = instrument_class_aggregation
        self._attributes_aggregation: Dict[tuple, _Aggregation] = {}
        self._lock = Lock()
        self._name = view._name or instrument.name
        self._description = view._description or instrument.description
        # Tells what kind of points this stream has; nothing is ever measured with it.
        self._aggregation = self._new_aggregation(None, 0)

    def conflicts(self, other: "_ViewInstrumentMatch") -> bool:
        """Whether both would export the same identity with data of one kind."""
        mine, others = self._aggregation, other._aggregation
        if self._name != other._name or self._instrument.unit != other._instrument.unit:
            return False
        if type(mine) is not type(others):
            return False
        return not isinstance(mine, _SumAggregation) or (
            mine._instrument_is_monotonic == others._instrument_is_monotonic
            and mine._instrument_aggregation_temporality
            == others._instrument_aggregation_temporality
        )

    def consume_measurement(
        self, measurement: Measurement, should_sample_exemplar: bool = True
    ) -> None:
        attributes = measurement.attributes
        kept = self._view._attribute_keys
        if not attributes:
            attributes = {}
        elif kept is not None:
            attributes = {key: value for key, value in attributes.items() if key in kept}
        key = _hash_attributes(attributes)
        aggregation = self._attributes_aggregation.get(key)
        if aggregation is None:
            aggregation = self._add(key, attributes)
        aggregation.aggregate(measurement, should_sample_exemplar)

    def collect(
        self,
        collection_aggregation_temporality: AggregationTemporality,
        collection_start_nanos: int,
    ) -> Optional[List[DataPointT]]:
        """The points of this stream; `None` where there are none."""
        with self._lock:
            points = [
                aggregation.collect(collection_aggregation_temporality, collection_start_nanos)
                for aggregation in self._attributes_aggregation.values()
            ]
        return [point for point in points if point is not None] or None

    def _add(self, key: tuple, attributes: dict) -> _Aggregation:
        with self._lock:
            known = self._attributes_aggregation
            if key not in known and len(known) >= CARDINALITY_LIMIT - 1:
                attributes = _OVERFLOW
                key = _hash_attributes(attributes)
                if key not in known:
                    _logger.warning(
                        "%s has more than %s attribute sets; new ones are counted together",
                        self._name,
                        CARDINALITY_LIMIT,
                    )
            aggregation = known.get(key)
            if aggregation is None:
                aggregation = self._new_aggregation(attributes, time_ns())
                known[key] = aggregation
            return aggregation

    def _new_aggregation(
        self, attributes: Optional[dict], start_time_unix_nano: int
    ) -> _Aggregation:
        choice = self._view._aggregation
        if isinstance(choice, DefaultAggregation):
            kind: Type = type(self._instrument)
            choice = self._instrument_class_aggregation[kind]
        return choice._create_aggregation(
            self._instrument,
            attributes,
            self._view._exemplar_reservoir_factory,
            start_time_unix_nano,
        )
