"""The sampler that decides by a composable sampler's intent."""

from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import TraceState

from ._trace_state import OTEL_TRACE_STATE_KEY, OtelTraceState
from ._util import INVALID_THRESHOLD, MAX_RANDOM_VALUE, is_valid_random_value, is_valid_threshold


class _CompositeSampler(Sampler):
    def __init__(self, delegate):
        self._delegate = delegate

    def should_sample(
        self,
        parent_context,
        trace_id,
        name,
        kind=None,
        attributes=None,
        links=None,
        trace_state=None,
    ):
        state = OtelTraceState.parse(trace_state)
        intent = self._delegate.sampling_intent(
            parent_context, name, kind, attributes, links, trace_state
        )
        # An explicit random value goes before the one in the trace id.
        explicit = is_valid_random_value(state.random_value)
        randomness = state.random_value if explicit else trace_id & MAX_RANDOM_VALUE
        sampled = is_valid_threshold(intent.threshold) and intent.threshold <= randomness
        # A threshold is passed on only where it says the probability truly.
        state.threshold = (
            intent.threshold if sampled and intent.threshold_reliable else INVALID_THRESHOLD
        )
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP,
            intent.attributes,
            _updated(trace_state, state.serialize(), intent),
        )

    def get_description(self):
        return self._delegate.get_description()


def _updated(trace_state, member, intent):
    if not trace_state:
        return TraceState(((OTEL_TRACE_STATE_KEY, member),)) if member else None
    trace_state = intent.update_trace_state(trace_state)
    return trace_state.update(OTEL_TRACE_STATE_KEY, member) if member else trace_state


def composite_sampler(delegate):
    """A `Sampler` that does as the composable sampler intends."""
    return _CompositeSampler(delegate)
