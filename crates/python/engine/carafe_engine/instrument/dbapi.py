"""What the shims of DB-API 2.0 drivers share."""

import os

from carafe_engine import _native

# Places in the wire's list of instrument kinds.
HISTOGRAM = 2


def names(signal):
    """Which attribute names OTEL_SEMCONV_STABILITY_OPT_IN asks for: (old, stable)."""
    chosen = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    chosen = {choice.strip().lower() for choice in chosen}
    if signal + "/dup" in chosen:
        return (True, True)
    stable = signal in chosen
    return (not stable, stable)


def driver(name, system, connection=None, describe=None):
    """The native half of a driver; `describe(connection)` gives (database, user, host, port)."""
    scope = "opentelemetry.instrumentation." + name
    metrics = None
    if names("database")[1]:
        meter = _native.meter(scope, _native.VERSION)
        metrics = (
            meter.instrument(
                HISTOGRAM,
                "db.client.operation.duration",
                "s",
                "Duration of database client operations.",
            ),
            meter.instrument(
                HISTOGRAM,
                "db.client.response.returned_rows",
                "{row}",
                "The actual number of records returned by the database operation.",
            ),
        )
    return _native.Driver(
        scope,
        system,
        names("database"),
        names("http"),
        metrics=metrics,
        connection=connection,
        describe=describe,
    )


class Traced:
    """Subclasses of the classes that a driver and the app use, with native methods."""

    def __init__(self, driver, methods, base):
        self._driver = driver
        self._methods = methods
        self._base = base
        self._classes = {}

    def cursor(self, factory):
        """The traced subclass of a class of cursors; other factories are given back."""
        if not isinstance(factory, type):
            return factory
        traced = self._classes.get(factory)
        if traced is None:
            try:
                traced = self._make(factory)
            except Exception as error:
                # A class that does not want to be derived from.
                _native.fault("a class of cursors", error)
                traced = self._classes[factory] = factory
        return traced

    def _make(self, factory):
        if not issubclass(factory, self._base) or factory in self._classes.values():
            return factory
        traced = subclass(factory, (factory,), {"__slots__": ()})
        for name in self._methods:
            method = _native.dbapi_method(self._driver, traced, name)
            if method is None:
                _native.notice(
                    1, factory.__module__ + "." + factory.__qualname__, "", "too many classes"
                )
                traced = factory
                break
            setattr(traced, name, method)
        self._classes[factory] = traced
        return traced


def subclass(original, bases, attributes):
    """A class that looks like `original`."""
    attributes["__module__"] = original.__module__
    attributes["__qualname__"] = original.__qualname__
    attributes["__doc__"] = original.__doc__
    return type(original)(original.__name__, bases, attributes)


class Function:
    """In the place of a module's function, as little of a method as the one before it."""

    def __init__(self, module, original, call):
        self.__wrapped__ = original
        self.__name__ = original.__name__
        self.__qualname__ = getattr(original, "__qualname__", original.__name__)
        self.__module__ = module.__name__
        self.__doc__ = original.__doc__
        self._call = call

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def __reduce__(self):
        return self.__name__


def traced_factories(connection_class, base):
    """A function from a connection factory to what is put in its place: `base`, our subclass of
    the driver's `connection_class`, mixed into the app's own subclasses. Other callables stay."""
    connections = {connection_class: base}

    def traced(factory):
        known = connections.get(factory)
        if known is not None:
            return known
        if (
            not isinstance(factory, type)
            or not issubclass(factory, connection_class)
            or issubclass(factory, base)
        ):
            return factory
        known = subclass(factory, (factory, base), {"__slots__": ()})
        connections[factory] = known
        return known

    return traced
