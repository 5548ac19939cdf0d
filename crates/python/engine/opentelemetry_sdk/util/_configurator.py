"""Configuration of a tracer, meter or logger by rules over its scope."""

from typing import Callable, Generic, Sequence, Tuple, TypeVar

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

ConfigT = TypeVar("ConfigT")
ConfiguratorRulesT = Sequence[Tuple[Callable[[InstrumentationScope], bool], ConfigT]]


class RuleBasedConfigurator(Generic[ConfigT]):
    """Gives a scope the configuration of the first rule whose predicate holds.

    `rules` are pairs of (predicate over the scope, configuration).
    """

    def __init__(self, *, rules, default_config):
        self._rules = rules
        self._default_config = default_config

    def __call__(self, scope):
        return next(
            (config for applies, config in self._rules if applies(scope)), self._default_config
        )

    def update_rules(self, rules):
        self._rules = rules
