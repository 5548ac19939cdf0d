"""Views: which instruments they mean, and what becomes of their measurements."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Optional, Set, Type

from opentelemetry.metrics import Instrument
from opentelemetry.sdk.metrics._internal.aggregation import (
    Aggregation,
    DefaultAggregation,
    ReservoirFactory,
    _Aggregation,
    _ExplicitBucketHistogramAggregation,
)
from opentelemetry.sdk.metrics._internal.exemplar import (
    AlignedHistogramBucketExemplarReservoir,
    ExemplarReservoirBuilder,
    SimpleFixedSizeExemplarReservoir,
)


def _default_reservoir_factory(aggregation_type: Type[_Aggregation]) -> ExemplarReservoirBuilder:
    """The reservoirs that the specification asks for."""
    if issubclass(aggregation_type, _ExplicitBucketHistogramAggregation):
        return AlignedHistogramBucketExemplarReservoir
    return SimpleFixedSizeExemplarReservoir


class View:
    """Selects instruments by the `instrument_*` and `meter_*` arguments, which must all match,
    and sets the other arguments for their metric streams.

    `instrument_name` and `instrument_unit` are patterns with `*` and `?`. `attribute_keys` are
    the only keys that stay on points. `name` cannot go together with a pattern, since several
    streams would get one name.
    """

    _default_aggregation = DefaultAggregation()

    def __init__(
        self,
        instrument_type: Optional[Type[Instrument]] = None,
        instrument_name: Optional[str] = None,
        meter_name: Optional[str] = None,
        meter_version: Optional[str] = None,
        meter_schema_url: Optional[str] = None,
        name: Optional[str] = None,
        description: Optional[str] = None,
        attribute_keys: Optional[Set[str]] = None,
        aggregation: Optional[Aggregation] = None,
        exemplar_reservoir_factory: Optional[ReservoirFactory] = None,
        instrument_unit: Optional[str] = None,
    ) -> None:
        criteria = (
            instrument_type,
            instrument_name,
            instrument_unit,
            meter_name,
            meter_version,
            meter_schema_url,
        )
        if all(criterion is None for criterion in criteria):
            raise Exception(f"view {name} selects nothing: give at least one criterion")
        if name is not None and instrument_name is not None and set("*?") & set(instrument_name):
            raise Exception(f"view {name} has a name, so its instrument_name cannot be a pattern")
        self._instrument_type = instrument_type
        self._instrument_name = instrument_name
        self._instrument_unit = instrument_unit
        self._meter_name = meter_name
        self._meter_version = meter_version
        self._meter_schema_url = meter_schema_url
        self._name = name
        self._description = description
        self._attribute_keys = attribute_keys
        self._aggregation = aggregation or self._default_aggregation
        self._exemplar_reservoir_factory = exemplar_reservoir_factory or _default_reservoir_factory

    def _match(
        self,
        instrument: "opentelemetry.sdk.metrics._internal.instrument._Instrument",  # noqa: F821
    ) -> bool:
        if self._instrument_type is not None and not isinstance(instrument, self._instrument_type):
            return False
        # Instruments have lower-case names; units are case-sensitive.
        if self._instrument_name is not None and not fnmatchcase(
            instrument.name, self._instrument_name.lower()
        ):
            return False
        if self._instrument_unit is not None and not fnmatchcase(
            instrument.unit, self._instrument_unit
        ):
            return False
        scope = instrument.instrumentation_scope
        return (
            self._meter_name in (None, scope.name)
            and self._meter_version in (None, scope.version)
            and self._meter_schema_url in (None, scope.schema_url)
        )
