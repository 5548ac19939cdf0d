"""Consistent probability sampling, made of parts (experimental in the specification).

A composable sampler says its intent as a threshold against the trace's
randomness; `composite_sampler` makes one of them decide, and keeps the trace
state that tells others with which probability.
"""

from ._composable import ComposableSampler, SamplingIntent
from ._fixed import composable_always_off, composable_always_on, composable_traceid_ratio_based
from ._parent_threshold import composable_parent_threshold
from ._rule_based import composable_rule_based
from ._sampler import composite_sampler

__all__ = [
    "ComposableSampler",
    "SamplingIntent",
    "composable_always_off",
    "composable_always_on",
    "composable_parent_threshold",
    "composable_rule_based",
    "composable_traceid_ratio_based",
    "composite_sampler",
]
