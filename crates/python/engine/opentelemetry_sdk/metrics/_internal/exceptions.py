"""Errors of the metrics SDK."""


class MetricsTimeoutError(Exception):
    """A collection did not end before its deadline."""
