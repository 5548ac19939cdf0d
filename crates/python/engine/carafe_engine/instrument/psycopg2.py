"""psycopg2, whose connections and cursors are subclasses of those that the app asks for."""

from carafe_engine import _native
from carafe_engine.instrument import dbapi, patches

# The places of `connection_factory` in `connect` and of `cursor_factory` in `cursor`.
CONNECTION_FACTORY = 1
CURSOR_FACTORY = 1

_patches = patches.Patches()


def describe(connection):
    """(database, user, host, port) of a connection."""
    info = connection.info
    return (info.dbname or None, info.user or None, info.host or None, info.port or None)


def instrument(module):
    extensions = module.extensions
    connection_class, cursor_class = extensions.connection, extensions.cursor
    driver = dbapi.driver("psycopg2", "postgresql", connection="connection", describe=describe)
    cursors = dbapi.Traced(driver, ("execute", "executemany", "callproc"), cursor_class)
    plain_cursor = connection_class.cursor

    def cursor(self, *args, **kwargs):
        if len(args) > CURSOR_FACTORY:
            factory = args[CURSOR_FACTORY]
            rest = args[CURSOR_FACTORY + 1 :]
            args = args[:CURSOR_FACTORY]
            kwargs.update(zip(("withhold", "scrollable"), rest))
        else:
            factory = kwargs.get("cursor_factory")
        if factory is None:
            factory = self.cursor_factory or cursor_class
        kwargs["cursor_factory"] = cursors.cursor(factory)
        return plain_cursor(self, *args, **kwargs)

    # The base is below the app's own class: what that class does in `cursor` stays in force.
    attributes = {"__slots__": (_native.DBAPI_TARGET,), "cursor": cursor}
    base = dbapi.subclass(connection_class, (connection_class,), attributes)
    traced = dbapi.traced_factories(connection_class, base)

    original = module.connect

    def connect(*args, **kwargs):
        try:
            if len(args) > CONNECTION_FACTORY:
                factory = args[CONNECTION_FACTORY] or connection_class
                rest = args[CONNECTION_FACTORY + 1 :]
                args = args[:CONNECTION_FACTORY] + (traced(factory),) + rest
            else:
                factory = kwargs.get("connection_factory") or connection_class
                kwargs["connection_factory"] = traced(factory)
        except Exception as error:
            _native.fault("psycopg2.connect", error)
        return original(*args, **kwargs)

    _patches.replace(module, "connect", dbapi.Function(module, original, connect))


def uninstrument():
    _patches.undo()
