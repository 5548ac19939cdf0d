"""Doing as the parent did."""

from opentelemetry.trace import get_current_span

from ._composable import ComposableSampler, SamplingIntent
from ._trace_state import OtelTraceState
from ._util import INVALID_THRESHOLD, MIN_THRESHOLD, is_valid_threshold


class _ComposableParentThreshold(ComposableSampler):
    def __init__(self, root_sampler):
        self._root_sampler = root_sampler

    def sampling_intent(self, parent_ctx, name, span_kind, attributes, links, trace_state=None):
        parent = get_current_span(parent_ctx).get_span_context()
        if not parent.is_valid:
            return self._root_sampler.sampling_intent(
                parent_ctx, name, span_kind, attributes, links, trace_state
            )
        threshold = OtelTraceState.parse(trace_state).threshold
        if is_valid_threshold(threshold):
            return SamplingIntent(threshold)
        # Only the flag is known: the decision, but not with which probability it was made.
        threshold = MIN_THRESHOLD if parent.trace_flags.sampled else INVALID_THRESHOLD
        return SamplingIntent(threshold, threshold_reliable=False)

    def get_description(self):
        return "ComposableParentThreshold{{root={}}}".format(self._root_sampler.get_description())


def composable_parent_threshold(root_sampler):
    """The parent's threshold, else its sampled flag; the root sampler for spans without a parent."""
    return _ComposableParentThreshold(root_sampler)
