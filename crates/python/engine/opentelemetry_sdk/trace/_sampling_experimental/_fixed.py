"""Composable samplers whose intent does not depend on the span."""

from ._composable import ComposableSampler, SamplingIntent
from ._trace_state import serialize_th
from ._util import INVALID_THRESHOLD, MAX_THRESHOLD, MIN_THRESHOLD, calculate_threshold

_NOT_SAMPLING = SamplingIntent(INVALID_THRESHOLD, threshold_reliable=False)


class _Fixed(ComposableSampler):
    """The same intent for every span."""

    def __init__(self, intent, description):
        self._intent = intent
        self._description = description

    def sampling_intent(self, parent_ctx, name, span_kind, attributes, links, trace_state=None):
        return self._intent

    def get_description(self):
        return self._description


_always_off = _Fixed(_NOT_SAMPLING, "ComposableAlwaysOff")
_always_on = _Fixed(SamplingIntent(MIN_THRESHOLD), "ComposableAlwaysOn")


class ComposableTraceIDRatioBased(_Fixed):
    """A share of the traces."""

    def __init__(self, ratio):
        threshold = calculate_threshold(ratio)
        none = threshold == MAX_THRESHOLD
        super().__init__(
            _NOT_SAMPLING if none else SamplingIntent(threshold),
            "ComposableTraceIDRatioBased{{threshold={}, ratio={}}}".format(
                "max" if none else serialize_th(threshold), ratio
            ),
        )


def composable_always_off():
    """Samples no span."""
    return _always_off


def composable_always_on():
    """Samples every span."""
    return _always_on


def composable_traceid_ratio_based(ratio):
    """Samples a share of the traces, 0.0 to 1.0."""
    if not 0.0 <= ratio <= 1.0:
        raise ValueError("Sampling ratio must be between 0.0 and 1.0")
    return ComposableTraceIDRatioBased(ratio)
