"""PyMySQL, whose cursors are Python classes: their methods are replaced."""

from carafe_engine import _native
from carafe_engine.instrument import dbapi, patches

# Method -> whether it calls another of them.
METHODS = {"execute": False, "executemany": True, "callproc": False}

_patches = patches.Patches()


def describe(connection):
    """(database, user, host, port) of a connection."""
    return (
        _text(getattr(connection, "db", None)),
        _text(getattr(connection, "user", None)),
        getattr(connection, "host", None) or None,
        getattr(connection, "port", None) or None,
    )


def _text(value):
    if isinstance(value, bytes):
        value = value.decode("utf-8", "ignore")
    return value or None


def instrument(module):
    wrap(module.Cursor, dbapi.driver("pymysql", "mysql", "connection", describe), _patches)


def wrap(owner, driver, replaced):
    for method, is_nesting in METHODS.items():
        native = _native.dbapi_method(driver, owner, method, is_nesting)
        replaced.native(owner, method, native)


def uninstrument():
    _patches.undo()
