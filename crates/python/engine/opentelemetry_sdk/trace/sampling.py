"""Which spans are recorded and which of them are exported.

A sampler decides at a span's start. The built-in ones, by their names in
OTEL_TRACES_SAMPLER: always_on, always_off, traceidratio (the argument is the
share of traces, 0.0 to 1.0) and parentbased_ before each, which asks only for
traces that begin here and otherwise does as the parent. An application brings
its own as a subclass of `Sampler`, by the entry points
`opentelemetry_traces_sampler` or as an argument of its provider.
"""

import enum
import os
from abc import ABC, abstractmethod
from logging import getLogger
from types import MappingProxyType

from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.trace import get_current_span

_logger = getLogger(__name__)


class Decision(enum.Enum):
    """What becomes of a span."""

    # Nothing is kept of it.
    DROP = 0
    # Processors see it; it is not marked as sampled, so it is not exported.
    RECORD_ONLY = 1
    RECORD_AND_SAMPLE = 2

    def is_recording(self):
        return self is not Decision.DROP

    def is_sampled(self):
        return self is Decision.RECORD_AND_SAMPLE


class SamplingResult:
    """A decision, with the attributes to begin with and the trace state to carry on."""

    def __init__(self, decision, attributes=None, trace_state=None):
        self.decision = decision
        self.attributes = MappingProxyType({} if attributes is None else attributes)
        self.trace_state = trace_state

    def __repr__(self):
        return "{}({}, attributes={})".format(type(self).__name__, self.decision, self.attributes)


class Sampler(ABC):
    """Decides about spans."""

    @abstractmethod
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
        """A `SamplingResult` for a span that is about to start."""

    @abstractmethod
    def get_description(self):
        """The sampler and its settings in a line."""


class StaticSampler(Sampler):
    """The same decision for every span."""

    def __init__(self, decision):
        self._decision = decision

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
        return _result(self._decision, attributes, parent_context)

    def get_description(self):
        return "AlwaysOffSampler" if self._decision is Decision.DROP else "AlwaysOnSampler"


ALWAYS_OFF = StaticSampler(Decision.DROP)
ALWAYS_ON = StaticSampler(Decision.RECORD_AND_SAMPLE)


class TraceIdRatioBased(Sampler):
    """A share of the traces, by their ids, so that every service decides alike."""

    # The decision takes the lower 64 bits of the id.
    TRACE_ID_LIMIT = (1 << 64) - 1

    def __init__(self, rate):
        if not 0.0 <= rate <= 1.0:
            raise ValueError("Probability must be in range [0.0, 1.0].")
        self._rate = rate
        self._bound = self.get_bound_for_rate(rate)

    @classmethod
    def get_bound_for_rate(cls, rate):
        return round(rate * (cls.TRACE_ID_LIMIT + 1))

    rate = property(lambda self: self._rate)
    bound = property(lambda self: self._bound)

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
        chosen = trace_id & self.TRACE_ID_LIMIT < self._bound
        return _result(
            Decision.RECORD_AND_SAMPLE if chosen else Decision.DROP, attributes, parent_context
        )

    def get_description(self):
        return "TraceIdRatioBased{{{}}}".format(self._rate)


class ParentBased(Sampler):
    """Asks the root sampler about spans without a parent, and one of four about the others."""

    def __init__(
        self,
        root,
        remote_parent_sampled=ALWAYS_ON,
        remote_parent_not_sampled=ALWAYS_OFF,
        local_parent_sampled=ALWAYS_ON,
        local_parent_not_sampled=ALWAYS_OFF,
    ):
        self._root = root
        self._remote_parent_sampled = remote_parent_sampled
        self._remote_parent_not_sampled = remote_parent_not_sampled
        self._local_parent_sampled = local_parent_sampled
        self._local_parent_not_sampled = local_parent_not_sampled

    def _for_parent(self, parent):
        if parent is None or not parent.is_valid:
            return self._root
        if parent.is_remote:
            return (
                self._remote_parent_sampled
                if parent.trace_flags.sampled
                else self._remote_parent_not_sampled
            )
        return (
            self._local_parent_sampled
            if parent.trace_flags.sampled
            else self._local_parent_not_sampled
        )

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
        sampler = self._for_parent(get_current_span(parent_context).get_span_context())
        return sampler.should_sample(
            parent_context=parent_context,
            trace_id=trace_id,
            name=name,
            kind=kind,
            attributes=attributes,
            links=links,
        )

    def get_description(self):
        return (
            "ParentBased{{root:{},remoteParentSampled:{},remoteParentNotSampled:{},"
            "localParentSampled:{},localParentNotSampled:{}}}"
        ).format(
            *(
                sampler.get_description()
                for sampler in (
                    self._root,
                    self._remote_parent_sampled,
                    self._remote_parent_not_sampled,
                    self._local_parent_sampled,
                    self._local_parent_not_sampled,
                )
            )
        )


class AlwaysRecordSampler(Sampler):
    """As the root sampler, but what that drops is recorded for the processors."""

    def __init__(self, root):
        if root is None:
            raise ValueError("root must not be None")
        self._root = root

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
        result = self._root.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is Decision.DROP:
            return SamplingResult(Decision.RECORD_ONLY, result.attributes, result.trace_state)
        return result

    def get_description(self):
        return "AlwaysRecordSampler{{{}}}".format(self._root.get_description())


DEFAULT_OFF = ParentBased(ALWAYS_OFF)
DEFAULT_ON = ParentBased(ALWAYS_ON)


class ParentBasedTraceIdRatio(ParentBased):
    """A share of the traces that begin here; otherwise as the parent."""

    def __init__(self, rate):
        super().__init__(root=TraceIdRatioBased(rate=rate))


# What the entry points `opentelemetry_traces_sampler` of opentelemetry-sdk name:
# called with OTEL_TRACES_SAMPLER_ARG, which these do not need.


class _AlwaysOff(StaticSampler):
    def __init__(self, _):
        super().__init__(Decision.DROP)


class _AlwaysOn(StaticSampler):
    def __init__(self, _):
        super().__init__(Decision.RECORD_AND_SAMPLE)


class _ParentBasedAlwaysOff(ParentBased):
    def __init__(self, _):
        super().__init__(ALWAYS_OFF)


class _ParentBasedAlwaysOn(ParentBased):
    def __init__(self, _):
        super().__init__(ALWAYS_ON)


_DEFAULT_SAMPLER = "parentbased_always_on"

_KNOWN_SAMPLERS = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
    "traceidratio": TraceIdRatioBased,
    "parentbased_traceidratio": ParentBasedTraceIdRatio,
}


def _get_from_env_or_default():
    """The sampler that the environment names. What it gets wrong is logged and taken as the default."""
    name = os.environ.get(OTEL_TRACES_SAMPLER, _DEFAULT_SAMPLER).lower()
    if name not in _KNOWN_SAMPLERS:
        _logger.warning("Couldn't recognize sampler %s.", name)
        name = _DEFAULT_SAMPLER
    sampler = _KNOWN_SAMPLERS[name]
    if isinstance(sampler, Sampler):
        return sampler
    try:
        return sampler(float(os.environ.get(OTEL_TRACES_SAMPLER_ARG, "")))
    except ValueError:
        _logger.warning("Could not convert TRACES_SAMPLER_ARG to float. Using default rate 1.0.")
        return sampler(1.0)


def _result(decision, attributes, parent_context):
    """A dropped span keeps no attributes; the parent's trace state is carried on in any case."""
    kept = None if decision is Decision.DROP else attributes
    return SamplingResult(decision, kept, _get_parent_trace_state(parent_context))


def _get_parent_trace_state(parent_context):
    parent = get_current_span(parent_context).get_span_context()
    return parent.trace_state if parent is not None and parent.is_valid else None
