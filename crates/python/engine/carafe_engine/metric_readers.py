"""Metric readers that the app adds to the global provider.

Imported with the first of them. A provider of the SDK has an instrument for
each native one, and gets each measurement from the native half.
"""

from opentelemetry.sdk.metrics import MeterProvider

from carafe_engine import _native
from carafe_engine.traces import _detect_resource

# By the place in the wire's list of kinds: how the SDK's meter makes the instrument, and the
# method that takes a measurement.
_SYNCHRONOUS = (
    ("create_counter", "add"),
    ("create_up_down_counter", "add"),
    ("create_histogram", "record"),
    ("create_gauge", "set"),
)
_OBSERVABLE = {
    4: "create_observable_counter",
    5: "create_observable_up_down_counter",
    6: "create_observable_gauge",
}


class Readers:
    """What the native half tells of measurements."""

    def __init__(self, observed):
        self.provider = MeterProvider(resource=_detect_resource())
        # Takes a measurement, by the number of the native instrument.
        self._takers = {}
        for instrument, callbacks in observed:
            self.observe(instrument, callbacks)

    def define(self, number, kind, name, unit, description, boundaries, scope):
        """An instrument, before its first measurement."""
        if kind >= len(_SYNCHRONOUS):
            # Measured natively, with no callback to ask: readers cannot collect it.
            return
        create, take = _SYNCHRONOUS[kind]
        extra = {} if boundaries is None else {"explicit_bucket_boundaries_advisory": boundaries}
        instrument = getattr(self._meter(scope), create)(name, unit, description, **extra)
        self._takers[number] = getattr(instrument, take)

    def measure(self, number, value, attributes, context):
        """A measurement."""
        take = self._takers.get(number)
        if take is not None:
            take(value, attributes, context)

    def observe(self, instrument, callbacks):
        """An observable instrument: readers ask its callbacks when they collect."""
        try:
            create = _OBSERVABLE[instrument._number]
            meter = self._meter(instrument.instrumentation_scope)
            getattr(meter, create)(
                instrument.name, callbacks, instrument.unit, instrument.description
            )
        except Exception as error:
            _native.fault("readers of " + instrument.name, error)

    def _meter(self, scope):
        return self.provider.get_meter(
            scope.name, scope.version, scope.schema_url, scope.attributes
        )
