"""The first rule that applies to a span chooses the sampler."""

import logging
from fnmatch import fnmatchcase
from typing import Protocol, Sequence, Tuple

from opentelemetry.trace import get_current_span

from ._composable import ComposableSampler
from ._fixed import composable_always_off


class PredicateT(Protocol):
    """Whether a rule applies to a span that is about to start; its text is for descriptions."""

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state): ...

    def __str__(self): ...


class AttributePredicate:
    """An attribute has exactly this value."""

    def __init__(self, key, value):
        logging.warning("AttributePredicate is deprecated, use AttributeValuesPredicate instead")
        self.key = key
        self.value = value

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return bool(attributes) and attributes.get(self.key) == self.value

    def __str__(self):
        return "{}={}".format(self.key, self.value)


class AlwaysMatchPredicate:
    """Every span."""

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return True

    def __str__(self):
        return "AlwaysMatch"


class AllPredicate:
    """What all of the predicates hold for."""

    def __init__(self, predicates):
        self._predicates = tuple(predicates)

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return all(
            applies(parent_ctx, name, span_kind, attributes, links, trace_state)
            for applies in self._predicates
        )

    def __str__(self):
        return " && ".join(map(str, self._predicates))


class AttributeValuesPredicate:
    """An attribute, or one of its elements, has one of these values as text."""

    def __init__(self, key, values):
        self._key = key
        self._values = frozenset(values)

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return any(value in self._values for value in _values_of(attributes, self._key))

    def __str__(self):
        return "{} in [{}]".format(self._key, ",".join(sorted(self._values)))


class AttributePatternsPredicate:
    """An attribute, or one of its elements, matches an included pattern (none given: any) and no excluded one."""

    def __init__(self, key, included=None, excluded=None):
        self._key = key
        self._included = tuple(included or ("*",))
        self._excluded = tuple(excluded or ())

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return any(
            _matches(value, self._included) and not _matches(value, self._excluded)
            for value in _values_of(attributes, self._key)
        )

    def __str__(self):
        return "{} matches".format(self._key)


class SpanKindPredicate:
    """The span is of one of these kinds."""

    def __init__(self, span_kinds):
        self._span_kinds = frozenset(span_kinds)

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        return span_kind in self._span_kinds

    def __str__(self):
        return "span_kind in [{}]".format(",".join(kind.name.lower() for kind in self._span_kinds))


class ParentPredicate:
    """The parent is one of `none`, `local`, `remote`."""

    def __init__(self, parents):
        self._parents = frozenset(parents)

    def __call__(self, parent_ctx, name, span_kind, attributes, links, trace_state):
        parent = get_current_span(parent_ctx).get_span_context()
        if not parent.is_valid:
            return "none" in self._parents
        return ("remote" if parent.is_remote else "local") in self._parents

    def __str__(self):
        return "parent in [{}]".format(",".join(self._parents))


def _matches(value, patterns):
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _values_of(attributes, key):
    """An attribute's value as text, element by element where it is a sequence."""
    if not attributes or key not in attributes:
        return
    value = attributes[key]
    elements = isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    for element in value if elements else (value,):
        yield str(element)


RulesT = Sequence[Tuple[PredicateT, ComposableSampler]]


class _ComposableRuleBased(ComposableSampler):
    def __init__(self, rules):
        self._rules = tuple(rules)

    def sampling_intent(self, parent_ctx, name, span_kind, attributes, links, trace_state=None):
        span = dict(
            parent_ctx=parent_ctx,
            name=name,
            span_kind=span_kind,
            attributes=attributes,
            links=links,
            trace_state=trace_state,
        )
        chosen = next(
            (sampler for applies, sampler in self._rules if applies(**span)),
            composable_always_off(),
        )
        return chosen.sampling_intent(**span)

    def get_description(self):
        rules = ",".join(
            "({}:{})".format(predicate, sampler.get_description())
            for predicate, sampler in self._rules
        )
        return "ComposableRuleBased{{[{}]}}".format(rules)


def composable_rule_based(rules):
    """The sampler of the first rule, a pair of predicate and sampler, that applies; no rule: not sampled."""
    return _ComposableRuleBased(rules)
