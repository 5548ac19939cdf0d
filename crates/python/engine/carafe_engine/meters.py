"""The global meter provider, as the app sees it.

Synchronous instruments are native: what they measure goes to the ring, and the
launcher adds it up. Callbacks of observable instruments are asked by one
thread, which is started with the first of them: shortly after, then at every
OTEL_METRIC_EXPORT_INTERVAL, when the app flushes, and when it ends. Readers
that the app adds get all measurements too, those of the built-in
instrumentation included, through the Python SDK.
"""

import os
import threading
from math import isfinite

from opentelemetry import metrics
from opentelemetry.metrics import (
    Asynchronous,
    CallbackOptions,
    Counter,
    Histogram,
    NoOpMeter,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
    _Gauge,
)

from carafe_engine import _native, hooks

# The first time that callbacks are asked: soon, so that a program that runs
# for less than the interval shows them before its end.
_FIRST_ASK_S = 1.0
_DEFAULT_INTERVAL_MS = 60_000.0

_provider = None


def provider():
    """The one provider of this process."""
    global _provider
    if _provider is None:
        _provider = MeterProvider()
        hooks.when_imported("opentelemetry.sdk.metrics", _adopt)
        os.register_at_fork(after_in_child=_provider._go_on_in_child)
    return _provider


def _adopt(sdk):
    """What is made here is an instance of the SDK's classes too."""
    sdk.MeterProvider.register(MeterProvider)
    sdk.Meter.register(Meter)
    for native, name in (
        (_NativeCounter, "Counter"),
        (_NativeUpDownCounter, "UpDownCounter"),
        (_NativeHistogram, "Histogram"),
        (_NativeGauge, "_Gauge"),
        (_NativeObservableCounter, "ObservableCounter"),
        (_NativeObservableUpDownCounter, "ObservableUpDownCounter"),
        (_NativeObservableGauge, "ObservableGauge"),
    ):
        getattr(sdk, name).register(native)


# The API's classes have `add`, `record` and `set`: the native ones come first.
# The number of each is its place in the wire's list of kinds.


class _NativeCounter(_native.Instrument, Counter):
    _number = 0

    def __init__(self, *_described):
        pass


class _NativeUpDownCounter(_native.Instrument, UpDownCounter):
    _number = 1

    def __init__(self, *_described):
        pass


class _NativeHistogram(_native.Instrument, Histogram):
    _number = 2

    def __init__(self, *_described):
        pass


class _NativeGauge(_native.Instrument, _Gauge):
    _number = 3

    def __init__(self, *_described):
        pass


class _NativeObservableCounter(_native.Instrument, ObservableCounter):
    _number = 4

    def __init__(self, *_described):
        pass


class _NativeObservableUpDownCounter(_native.Instrument, ObservableUpDownCounter):
    _number = 5

    def __init__(self, *_described):
        pass


class _NativeObservableGauge(_native.Instrument, ObservableGauge):
    _number = 6

    def __init__(self, *_described):
        pass


class Meter(metrics.Meter):
    """Makes native instruments. The same name, kind, unit and description give the same one."""

    def __init__(self, owner, name, version, schema_url, attributes):
        super().__init__(name, version=version, schema_url=schema_url)
        self._owner = owner
        self._native = _native.meter(name, version, schema_url, attributes)
        self._instruments = {}
        self._lock = threading.Lock()

    def _renew_locks(self):
        self._lock = threading.Lock()
        self._instrument_ids_lock = threading.Lock()

    def _create(self, made, shown, name, unit, description, boundaries=None, callbacks=None):
        checked = made._check_name_unit_description(name, unit, description)
        if checked["name"] is None:
            raise Exception(
                "invalid instrument name %r: a letter comes first, then letters, digits, '_', '.', '-' or '/', "
                "up to the maximum length 255" % (name,)
            )
        if checked["unit"] is None:
            raise Exception(
                "invalid unit %r: ASCII characters, up to the maximum length 63" % (unit,)
            )
        with self._lock:
            status = self._register_instrument(name, made, unit, description, boundaries)
            if not status.already_registered:
                self._instruments[status.instrument_id] = made(
                    self._native,
                    made._number,
                    checked["name"].lower(),
                    checked["unit"],
                    checked["description"],
                    boundaries,
                )
            instrument = self._instruments[status.instrument_id]
        if not status.already_registered and issubclass(made, Asynchronous):
            self._owner._observe(instrument, callbacks or ())
        if status.conflict:
            self._log_instrument_registration_conflict(
                name, shown.__name__, unit, description, status
            )
        return instrument

    def create_counter(self, name, unit="", description=""):
        return self._create(_NativeCounter, Counter, name, unit, description)

    def create_up_down_counter(self, name, unit="", description=""):
        return self._create(_NativeUpDownCounter, UpDownCounter, name, unit, description)

    def create_gauge(self, name, unit="", description=""):
        return self._create(_NativeGauge, _Gauge, name, unit, description)

    def create_histogram(
        self, name, unit="", description="", *, explicit_bucket_boundaries_advisory=None
    ):
        boundaries = _checked_boundaries(explicit_bucket_boundaries_advisory)
        return self._create(_NativeHistogram, Histogram, name, unit, description, boundaries)

    def create_observable_counter(self, name, callbacks=None, unit="", description=""):
        return self._create(
            _NativeObservableCounter,
            ObservableCounter,
            name,
            unit,
            description,
            callbacks=callbacks,
        )

    def create_observable_up_down_counter(self, name, callbacks=None, unit="", description=""):
        return self._create(
            _NativeObservableUpDownCounter,
            ObservableUpDownCounter,
            name,
            unit,
            description,
            callbacks=callbacks,
        )

    def create_observable_gauge(self, name, callbacks=None, unit="", description=""):
        return self._create(
            _NativeObservableGauge, ObservableGauge, name, unit, description, callbacks=callbacks
        )


def _checked_boundaries(boundaries):
    if boundaries is None:
        return None
    try:
        if all(isinstance(boundary, (int, float)) for boundary in boundaries):
            return [float(boundary) for boundary in boundaries]
    except TypeError:
        pass
    _logger().warning("explicit_bucket_boundaries_advisory must be a sequence of numbers")
    return None


class MeterProvider(metrics.MeterProvider):
    """Gives meters of native instruments; counts as the SDK's class of this name."""

    def __init__(self):
        self._meters = {}
        self._lock = threading.Lock()
        self._callbacks = _Callbacks()
        self._readers = None
        self._configurator = None
        if os.environ.get("OTEL_PYTHON_METER_CONFIGURATOR"):
            # Before `traces`, whose provider is given to the API when that has been imported.
            import opentelemetry.trace  # noqa: F401

            from carafe_engine.traces import _configured

            self._configurator = _configured(
                "OTEL_PYTHON_METER_CONFIGURATOR", "_opentelemetry_meter_configurator"
            )

    def get_meter(self, name, version=None, schema_url=None, attributes=None):
        if not name:
            _logger().warning("a Meter without a name does nothing")
            return NoOpMeter(name, version=version, schema_url=schema_url)
        key = (name, version, schema_url, str(attributes) if attributes else None)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._make_meter(name, version, schema_url, attributes)
            meter = self._meters.setdefault(key, meter)
        return meter

    def _make_meter(self, name, version, schema_url, attributes):
        if self._configurator is not None:
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            scope = InstrumentationScope(name, version, schema_url, attributes)
            try:
                if not self._configurator(scope).is_enabled:
                    return NoOpMeter(name, version=version, schema_url=schema_url)
            except Exception:  # the application's function; its metrics matter more
                _logger().exception("the meter configurator failed for %s; it is enabled", name)
        return Meter(self, name, version, schema_url, attributes)

    def _go_on_in_child(self):
        # The thread is gone, and another thread of the parent may have held a lock.
        self._lock = threading.Lock()
        for meter in self._meters.values():
            if isinstance(meter, Meter):
                meter._renew_locks()
        self._callbacks.resume()

    def _observe(self, instrument, callbacks):
        callbacks = [_as_function(callback) for callback in callbacks]
        if not callbacks:
            return
        self._callbacks.add(instrument, callbacks, _native.signals()[1])
        with self._lock:
            if self._readers is not None:
                self._readers.observe(instrument, callbacks)

    def add_metric_reader(self, metric_reader):
        """Gives the reader what is measured from now on."""
        with self._lock:
            if self._readers is None:
                from carafe_engine.metric_readers import Readers

                self._readers = Readers(self._callbacks.instruments)
                _native.set_metric_readers(self._readers)
            readers = self._readers
        readers.provider.add_metric_reader(metric_reader)

    def remove_metric_reader(self, metric_reader):
        """Shuts a reader down and forgets it."""
        if self._readers is not None:
            self._readers.provider.remove_metric_reader(metric_reader)

    def force_flush(self, timeout_millis=10_000):
        """Asks the callbacks and flushes the app's readers: all else is in the ring already."""
        self._callbacks.ask()
        return True if self._readers is None else self._readers.provider.force_flush(timeout_millis)

    def shutdown(self, timeout_millis=30_000):
        """Shuts the app's readers down. What goes to the ring goes on: it is not the app's to stop."""
        self._callbacks.ask()
        with self._lock:
            readers, self._readers = self._readers, None
            _native.set_metric_readers(None)
        if readers is not None:
            readers.provider.shutdown(timeout_millis)


def _as_function(callback):
    """The API also takes generators: they get the options by `send`."""
    if not hasattr(callback, "send"):
        return callback
    next(callback)

    def ask(options):
        try:
            return callback.send(options)
        except StopIteration:
            return ()

    return ask


class _Callbacks:
    """Asks the callbacks of observable instruments, in a thread that sleeps in between."""

    def __init__(self):
        # Pairs of an instrument and its callbacks.
        self.instruments = []
        self._interval_s = _interval_s()
        self._thread = None
        self._renew()

    def _renew(self):
        self._lock = threading.Lock()
        # Held while callbacks run: they are never asked twice at a time, nor by themselves.
        self._asking = threading.Lock()
        self._is_over = threading.Event()

    def add(self, instrument, callbacks, is_exported):
        """One more instrument; where metrics are not exported only readers ask."""
        with self._lock:
            self.instruments.append((instrument, callbacks))
            if is_exported and self._thread is None:
                import atexit

                atexit.register(self._end)
                self._start()

    def _start(self):
        self._thread = threading.Thread(
            target=self._run, name="carafe-observable-instruments", daemon=True
        )
        self._thread.start()

    def resume(self):
        """In a child: goes on there."""
        self._renew()
        if self._thread is not None:
            self._start()

    def _run(self):
        is_over = self._is_over
        wait_s = min(_FIRST_ASK_S, self._interval_s)
        while not is_over.wait(wait_s):
            self.ask()
            wait_s = self._interval_s

    def _end(self):
        self._is_over.set()
        self.ask()

    def ask(self):
        """Asks them all now, unless that is being done."""
        if not self._asking.acquire(blocking=False):
            return
        try:
            for instrument, callbacks in tuple(self.instruments):
                _ask(instrument, callbacks)
        finally:
            self._asking.release()


def _ask(instrument, callbacks):
    for callback in callbacks:
        try:
            for observation in callback(CallbackOptions()):
                instrument.observe(
                    observation.value, observation.attributes, getattr(observation, "context", None)
                )
        except Exception:
            _logger().exception("a callback of %s failed", instrument.name)


def _interval_s():
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    try:
        milliseconds = float(text or _DEFAULT_INTERVAL_MS)
    except ValueError:
        milliseconds = _DEFAULT_INTERVAL_MS
    if not isfinite(milliseconds) or milliseconds <= 0:
        milliseconds = _DEFAULT_INTERVAL_MS
    return milliseconds / 1e3


def _logger():
    from logging import getLogger

    return getLogger("opentelemetry.sdk.metrics")
