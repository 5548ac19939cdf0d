"""What all meters of a provider share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence


@dataclass
class SdkConfiguration:
    """The settings of a `MeterProvider`."""

    exemplar_filter: "opentelemetry.sdk.metrics.ExemplarFilter"  # noqa: F821
    resource: "opentelemetry.sdk.resources.Resource"  # noqa: F821
    views: Sequence["opentelemetry.sdk.metrics.view.View"]  # noqa: F821
