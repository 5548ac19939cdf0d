"""SQLAlchemy: a span for each statement that a dialect sends and for each `Engine.connect`.

The driver below stays silent for these statements. What the app sends past SQLAlchemy, through
`raw_connection`, is the driver's.
"""

from carafe_engine import _native
from carafe_engine.instrument import dbapi, patches

SCOPE = "opentelemetry.instrumentation.sqlalchemy"

# The place in the wire's list of instrument kinds.
UP_DOWN_COUNTER = 1

EXECUTE = ("do_execute", "do_executemany", "do_execute_no_params")

# Where `Connection.info` keeps what is said of one connection.
INFO_KEY = "carafe.database"

_patches = patches.Patches()
_dialects = set()
_listeners = []


def instrument(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.interfaces import Dialect

    meter = _native.meter(SCOPE, _native.VERSION)
    usage = meter.instrument(
        UP_DOWN_COUNTER,
        "db.client.connections.usage",
        "connections",
        "The number of connections that are currently in state described by the state attribute.",
    )
    _native.sqlalchemy_listen(True)
    quiet = dbapi.driver("sqlalchemy", "sqlalchemy").target(is_quiet=True)
    original = Dialect.__dict__["engine_created"].__func__

    # `create_engine` calls it with every engine; what it calls else looks at signatures.
    def engine_created(cls, engine):
        try:
            if _native.SQLALCHEMY_DATABASE not in engine.dialect.__dict__:
                _trace(engine, event, usage, quiet)
        except Exception as error:
            _native.fault("sqlalchemy engine", error)
        return original(cls, engine)

    _patches.replace(Dialect, "engine_created", classmethod(engine_created))
    _patches.native(Engine, "connect", _native.sqlalchemy_method(Engine, "connect"))


def _trace(engine, event, usage, quiet):
    dialect = engine.dialect
    setattr(dialect, _native.SQLALCHEMY_DATABASE, _database(engine.url, dialect.name))
    owner = type(dialect)
    if owner not in _dialects:
        _dialects.add(owner)
        for method in EXECUTE:
            if not _patches.native(owner, method, _native.sqlalchemy_method(owner, method)):
                _native.notice(1, "sqlalchemy " + dialect.name, "", "too many dialects")
    name = getattr(engine.pool, "logging_name", None) or _pool_name(engine.url)
    idle, used = {"pool.name": name, "state": "idle"}, {"pool.name": name, "state": "used"}
    listeners = {
        "connect": _native.PoolListener(usage, [(1, idle)]),
        "close": _native.PoolListener(usage, [(-1, idle)]),
        "checkin": _native.PoolListener(usage, [(-1, used), (1, idle)]),
        "checkout": _native.PoolListener(usage, [(-1, idle), (1, used)]),
    }
    for identifier, listener in listeners.items():
        event.listen(engine.pool, identifier, listener)
    if getattr(dialect, "is_async", False):
        event.listen(engine.pool, "connect", _Quieten(quiet), insert=True)


class _Quieten:
    """Makes the driver silent below an asynchronous dialect, whose cursors are not the driver's."""

    def __init__(self, target):
        self._target = target

    def __call__(self, connection, _record):
        below = getattr(connection, "driver_connection", None)
        # aiosqlite keeps the connection of sqlite3 there.
        for candidate in (below, getattr(below, "_conn", None)):
            try:
                setattr(candidate, _native.DBAPI_TARGET, self._target)
            except (AttributeError, TypeError):
                pass


def _vendor(name):
    if not name:
        return "db"
    if "sqlite" in name:
        return "sqlite"
    if "postgres" in name or name == "psycopg2":
        return "postgresql"
    return name


def _pool_name(url):
    parts = (url.drivername or "", url.host or "", url.port or "", url.database or "")
    return "%s://%s:%s/%s" % parts


def _database(url, dialect_name):
    """What is said of all statements of an engine."""
    vendor = _vendor(dialect_name)
    attributes = {}
    if url.host:
        _put(attributes, "http", "net.peer.name", "server.address", url.host)
    if url.port:
        _put(attributes, "http", "net.peer.port", "server.port", url.port)
    if url.database:
        _put(attributes, "database", "db.name", "db.namespace", url.database)
    if url.username and dbapi.names("database")[0]:
        attributes["db.user"] = url.username
    is_known = url.host and url.database
    asks_connection = vendor in ("postgresql", "mysql", "mariadb", "mssql") and not is_known
    # Without a host the database is a file: its path has no place in the names of spans.
    suffix = url.database if url.host else None
    describe = _Describe(url, attributes, vendor) if asks_connection else None
    return _native.Database(attributes, vendor, dbapi.names("database"), suffix, describe)


def _put(attributes, signal, old, stable, value):
    has_old, has_stable = dbapi.names(signal)
    if has_old:
        attributes[old] = value
    if has_stable:
        attributes[stable] = value


class _Describe:
    """What is said of one connection, where the engine's URL does not name host and database."""

    def __init__(self, url, attributes, vendor):
        self._host = url.host
        self._attributes = attributes
        self._vendor = vendor

    def __call__(self, context, cursor):
        info = context.root_connection.info
        known = info.get(INFO_KEY)
        if known is None:
            known = info[INFO_KEY] = self._make(cursor)
        return known

    def _make(self, cursor):
        attributes = dict(self._attributes)
        connection = getattr(cursor, "connection", None) or getattr(cursor, "_cnx", None)
        if self._vendor == "postgresql":
            name = _describe_postgresql(attributes, connection, bool(self._host))
        else:
            name = getattr(connection, "database", None) or getattr(connection, "db", None)
            if isinstance(name, bytes):
                name = name.decode("utf-8", "replace")
        return _native.Database(attributes, self._vendor, dbapi.names("database"), name or None)


def _describe_postgresql(attributes, connection, has_host):
    info = getattr(connection, "info", None)
    if info is None:
        return None
    name = getattr(info, "dbname", None)
    if has_host:
        return name
    if name:
        _put(attributes, "database", "db.name", "db.namespace", name)
    host, port = info.host, info.port
    if host and host.startswith("/"):
        attributes["net.transport"] = "other"
        if port:
            _put(
                attributes,
                "http",
                "net.peer.name",
                "server.address",
                "%s/.s.PGSQL.%s" % (host, port),
            )
    else:
        attributes["net.transport"] = "ip_tcp"
        if host:
            _put(attributes, "http", "net.peer.name", "server.address", host)
        if port:
            _put(attributes, "http", "net.peer.port", "server.port", int(port))
    return name


def uninstrument():
    _patches.undo()
    _dialects.clear()
    _native.sqlalchemy_listen(False)
