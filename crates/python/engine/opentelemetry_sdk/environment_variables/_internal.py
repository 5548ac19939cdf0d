"""How the SDK reads a switch from the environment."""

from logging import getLogger
from os import environ

_logger = getLogger(__name__)

_SWITCH = {"true": True, "false": False}


def parse_boolean_environment_variable(environment_variable, default=False):
    """The switch's value; `default` where it is unset or neither true nor false."""
    text = environ.get(environment_variable)
    if text is None:
        return default
    value = _SWITCH.get(text.strip().lower())
    if value is None:
        _logger.warning(
            "Invalid value for %s: %r; it takes true or false.", environment_variable, text
        )
        return default
    return value
