"""What a reader gets: the metrics data model, and its JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from json import dumps, loads
from typing import Optional, Sequence, Union

from opentelemetry.sdk.metrics._internal.exemplar import Exemplar
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes


class _Json:
    """Adds `to_json` to a class that has `_tree`, its JSON as Python objects."""

    def to_json(self, indent: Optional[int] = 4) -> str:
        return dumps(self._tree(), indent=indent)


class _Point(_Json):
    def _tree(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class NumberDataPoint(_Point):
    """A sum or a last value. Times are nanoseconds since 1970."""

    attributes: Attributes
    start_time_unix_nano: int
    time_unix_nano: int
    value: Union[int, float]
    exemplars: Sequence[Exemplar] = field(default_factory=list)


@dataclass(frozen=True)
class HistogramDataPoint(_Point):
    """A distribution over fixed buckets: one count more than bounds."""

    attributes: Attributes
    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: Union[int, float]
    bucket_counts: Sequence[int]
    explicit_bounds: Sequence[float]
    min: float
    max: float
    exemplars: Sequence[Exemplar] = field(default_factory=list)


@dataclass(frozen=True)
class Buckets:
    """Counts of neighbouring exponential buckets; the first has index `offset`."""

    offset: int
    bucket_counts: Sequence[int]


@dataclass(frozen=True)
class ExponentialHistogramDataPoint(_Point):
    """A distribution over buckets that grow by the factor 2 ** (2 ** -scale)."""

    attributes: Attributes
    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: Union[int, float]
    scale: int
    zero_count: int
    positive: Buckets
    negative: Buckets
    flags: int
    min: float
    max: float
    exemplars: Sequence[Exemplar] = field(default_factory=list)


class _Data(_Json):
    def _points(self) -> list:
        return [point._tree() for point in self.data_points]


@dataclass(frozen=True)
class ExponentialHistogram(_Data):
    data_points: Sequence[ExponentialHistogramDataPoint]
    aggregation_temporality: "opentelemetry.sdk.metrics.export.AggregationTemporality"  # noqa: F821

    def _tree(self) -> dict:
        return {
            "data_points": self._points(),
            "aggregation_temporality": self.aggregation_temporality,
        }


@dataclass(frozen=True)
class Sum(_Data):
    data_points: Sequence[NumberDataPoint]
    aggregation_temporality: "opentelemetry.sdk.metrics.export.AggregationTemporality"  # noqa: F821
    is_monotonic: bool

    def _tree(self) -> dict:
        return {
            "data_points": self._points(),
            "aggregation_temporality": self.aggregation_temporality,
            "is_monotonic": self.is_monotonic,
        }


@dataclass(frozen=True)
class Gauge(_Data):
    data_points: Sequence[NumberDataPoint]

    def _tree(self) -> dict:
        return {"data_points": self._points()}


@dataclass(frozen=True)
class Histogram(_Data):
    data_points: Sequence[HistogramDataPoint]
    aggregation_temporality: "opentelemetry.sdk.metrics.export.AggregationTemporality"  # noqa: F821

    def _tree(self) -> dict:
        return {
            "data_points": self._points(),
            "aggregation_temporality": self.aggregation_temporality,
        }


DataT = Union[Sum, Gauge, Histogram, ExponentialHistogram]
DataPointT = Union[NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint]


@dataclass(frozen=True)
class Metric(_Json):
    """One metric stream of a scope."""

    name: str
    description: Optional[str]
    unit: Optional[str]
    data: DataT

    def _tree(self) -> dict:
        return {
            "name": self.name,
            "description": self.description or "",
            "unit": self.unit or "",
            "data": self.data._tree(),
        }


@dataclass(frozen=True)
class ScopeMetrics(_Json):
    """The metrics of one scope."""

    scope: InstrumentationScope
    metrics: Sequence[Metric]
    schema_url: str

    def _tree(self) -> dict:
        return {
            "scope": loads(self.scope.to_json(indent=None)),
            "metrics": [metric._tree() for metric in self.metrics],
            "schema_url": self.schema_url,
        }


@dataclass(frozen=True)
class ResourceMetrics(_Json):
    """The metrics of one resource."""

    resource: Resource
    scope_metrics: Sequence[ScopeMetrics]
    schema_url: str

    def _tree(self) -> dict:
        return {
            "resource": loads(self.resource.to_json(indent=None)),
            "scope_metrics": [scope._tree() for scope in self.scope_metrics],
            "schema_url": self.schema_url,
        }


@dataclass(frozen=True)
class MetricsData(_Json):
    """What one collection found."""

    resource_metrics: Sequence[ResourceMetrics]

    def _tree(self) -> dict:
        return {"resource_metrics": [metrics._tree() for metrics in self.resource_metrics]}
