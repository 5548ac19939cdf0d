"""The standard library's sqlite3.

`connect` gets subclasses of the connection and cursor classes as factories, so that what it gives
is still what C code and `isinstance` expect.
"""

from carafe_engine import _native
from carafe_engine.instrument import dbapi, patches

# The place of `factory` among the parameters of `connect`.
FACTORY = 5

_patches = patches.Patches()


def instrument(module):
    connection_class, cursor_class = module.Connection, module.Cursor
    driver = dbapi.driver("sqlite3", "sqlite", connection="connection")
    cursors = dbapi.Traced(driver, ("execute", "executemany", "executescript"), cursor_class)
    plain_cursor = connection_class.cursor
    traced_cursor = cursors.cursor(cursor_class)

    def cursor(self, *args, **kwargs):
        if not args and not kwargs:
            return plain_cursor(self, traced_cursor)
        if args:
            args = (cursors.cursor(args[0]),) + args[1:]
        elif "factory" in kwargs:
            kwargs["factory"] = cursors.cursor(kwargs["factory"])
        return plain_cursor(self, *args, **kwargs)

    # The originals of these make a plain cursor whatever `cursor` is.
    def execute(self, *args, **kwargs):
        return plain_cursor(self, traced_cursor).execute(*args, **kwargs)

    def executemany(self, *args, **kwargs):
        return plain_cursor(self, traced_cursor).executemany(*args, **kwargs)

    def executescript(self, *args, **kwargs):
        return plain_cursor(self, traced_cursor).executescript(*args, **kwargs)

    # The base is below the app's own class: what that class does in these stays in force.
    attributes = {
        "__slots__": (_native.DBAPI_TARGET,),
        "cursor": cursor,
        "execute": execute,
        "executemany": executemany,
        "executescript": executescript,
    }
    base = dbapi.subclass(connection_class, (connection_class,), attributes)
    traced = dbapi.traced_factories(connection_class, base)

    original = module.connect

    def connect(*args, **kwargs):
        try:
            if len(args) > FACTORY:
                args = args[:FACTORY] + (traced(args[FACTORY]),) + args[FACTORY + 1 :]
            else:
                kwargs["factory"] = traced(kwargs.get("factory", connection_class))
        except Exception as error:
            _native.fault("sqlite3.connect", error)
        return original(*args, **kwargs)

    function = dbapi.Function(module, original, connect)
    _patches.replace(module, "connect", function)
    _patches.replace(module.dbapi2, "connect", function)


def uninstrument():
    _patches.undo()
