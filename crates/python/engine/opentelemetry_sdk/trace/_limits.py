"""How much a span may hold, from arguments and from the environment."""

from os import environ

from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SPAN_EVENT_COUNT_LIMIT,
    OTEL_SPAN_LINK_COUNT_LIMIT,
)

# The specification's defaults.
_DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT = 128
_DEFAULT_OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT = 128
_DEFAULT_OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT = 128
_DEFAULT_OTEL_LINK_ATTRIBUTE_COUNT_LIMIT = 128
_DEFAULT_OTEL_SPAN_EVENT_COUNT_LIMIT = 128
_DEFAULT_OTEL_SPAN_LINK_COUNT_LIMIT = 128


class SpanLimits:
    """The limits of a provider's spans; it only says them, spans keep to them.

    A limit is a non-negative integer or `UNSET`, for none. One that is not
    given comes from its variable (set to nothing: none), a limit of a model
    (span, event, link) next from the general one, and then from the default.
    None as an attribute's value means no limit.
    """

    UNSET = -1

    def __init__(
        self,
        max_attributes=None,
        max_events=None,
        max_links=None,
        max_span_attributes=None,
        max_event_attributes=None,
        max_link_attributes=None,
        max_attribute_length=None,
        max_span_attribute_length=None,
    ):
        read = self._from_env_if_absent
        self.max_events = read(
            max_events, OTEL_SPAN_EVENT_COUNT_LIMIT, _DEFAULT_OTEL_SPAN_EVENT_COUNT_LIMIT
        )
        self.max_links = read(
            max_links, OTEL_SPAN_LINK_COUNT_LIMIT, _DEFAULT_OTEL_SPAN_LINK_COUNT_LIMIT
        )

        general = read(max_attributes, OTEL_ATTRIBUTE_COUNT_LIMIT)

        def attributes(given, variable, default):
            return read(given, variable, default if general is None else general)

        self.max_attributes = _DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT if general is None else general
        self.max_span_attributes = attributes(
            max_span_attributes,
            OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
            _DEFAULT_OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
        )
        self.max_event_attributes = attributes(
            max_event_attributes,
            OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
            _DEFAULT_OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
        )
        self.max_link_attributes = attributes(
            max_link_attributes,
            OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
            _DEFAULT_OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
        )

        self.max_attribute_length = read(max_attribute_length, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT)
        self.max_span_attribute_length = read(
            max_span_attribute_length,
            OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
            self.max_attribute_length,
        )

    def __repr__(self):
        limits = ", ".join("{}={}".format(name, value) for name, value in vars(self).items())
        return "{}({})".format(type(self).__name__, limits)

    @classmethod
    def _from_env_if_absent(cls, value, env_var, default=None):
        if value == cls.UNSET:
            return None
        if value is None:
            text = environ.get(env_var)
            if text is None:
                return default
            text = text.strip().lower()
            if not text:
                return None
            if not text.isdecimal():
                raise ValueError(
                    "{} must be a non-negative integer but got {}".format(env_var, text)
                )
            return int(text)
        if value < 0:
            raise ValueError("{} must be a non-negative integer but got {}".format(env_var, value))
        return value


_UnsetLimits = SpanLimits(*[SpanLimits.UNSET] * 8)

# What applications imported before there was SpanLimits.
SPAN_ATTRIBUTE_COUNT_LIMIT = SpanLimits._from_env_if_absent(
    None, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, _DEFAULT_OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
)
