"""psycopg 3, whose cursors are Python classes: their methods are replaced."""

from carafe_engine import _native
from carafe_engine.instrument import dbapi, patches

METHODS = ("execute", "executemany")

_patches = patches.Patches()


def describe(connection):
    """(database, user, host, port) of a connection."""
    info = connection.info
    return (info.dbname or None, info.user or None, info.host or None, info.port or None)


def instrument(module):
    driver = dbapi.driver("psycopg", "postgresql", connection="connection", describe=describe)
    for name in ("Cursor", "ServerCursor"):
        owner = getattr(module, name)
        for method in METHODS:
            if method in owner.__dict__:
                _patches.native(owner, method, _native.dbapi_method(driver, owner, method))
    for name in ("AsyncCursor", "AsyncServerCursor"):
        owner = getattr(module, name)
        for method in METHODS:
            _patches.wrap(owner, method, lambda original: _asynchronous(driver, original))


def _asynchronous(driver, original):
    begin = _native.dbapi_begin

    async def method(self, *args, **kwargs):
        execution = begin(driver, self, args, kwargs)
        if execution is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            execution.finish(self, error)
            raise
        execution.finish(self, None)
        return result

    return method


def uninstrument():
    _patches.undo()
