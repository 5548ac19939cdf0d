"""What a composable sampler answers."""

from dataclasses import dataclass
from typing import Any, Callable, Protocol


@dataclass(frozen=True)
class SamplingIntent:
    """A threshold, whether it can be trusted for counting, and what to add to a sampled span."""

    threshold: int
    threshold_reliable: bool = True
    attributes: Any = None
    update_trace_state: Callable = lambda trace_state: trace_state


class ComposableSampler(Protocol):
    """Says what it would like; a composite sampler decides by it."""

    def sampling_intent(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        """A `SamplingIntent` for a span that is about to start."""
        ...

    def get_description(self):
        """The sampler and its settings in a line."""
        ...
