"""The official instrumentation packages that the app has installed.

Those for libraries that we do not know ourselves are activated, as the
official agent does; but when the app imports the library, so that nothing is
imported for an app that does not use it. Where the app activates one for a library that we
instrument, ours is taken away: one of the two must step back, and the app has
asked for the other.
"""

import os
import sys

from carafe_engine import _native, hooks, libraries

_PREFIX = "opentelemetry.instrumentation."
_DISTRIBUTION_PREFIX = "opentelemetry_instrumentation_"
_ENTRY_POINTS = "opentelemetry_instrumentor"

# Packages whose instrumentors also instrument one application at a time, and
# those whose middleware applications put around themselves.
_FOR_ONE_APP = {
    "flask": "FlaskInstrumentor",
    "fastapi": "FastAPIInstrumentor",
    "starlette": "StarletteInstrumentor",
    "falcon": "FalconInstrumentor",
    "aiohttp_server": "AioHttpServerInstrumentor",
}
_MIDDLEWARE = ("wsgi", "asgi")

# Our shims of servers, which tell the requests of any app: they too step back
# where an official package tells those of its framework.
_WSGI = ("wsgi",)
_ASGI = ("uvicorn", "hypercorn", "daphne", "gunicorn", "granian")
_SERVERS = {
    "asgi": _ASGI,
    "django": _WSGI + _ASGI,
    "falcon": _WSGI + _ASGI,
    "fastapi": _ASGI,
    "flask": _WSGI,
    "pyramid": _WSGI,
    "starlette": _ASGI,
    "wsgi": _WSGI,
}


def watch():
    """Waits for the app to activate official packages."""
    hooks.when_imported(_PREFIX + "instrumentor", _watch_instrumentors)
    for name, instrumentor in _FOR_ONE_APP.items():
        hooks.when_imported(_PREFIX + name, _method_watcher(name, instrumentor, "instrument_app"))
    for name in _MIDDLEWARE:
        hooks.when_imported(
            _PREFIX + name, _method_watcher(name, "OpenTelemetryMiddleware", "__init__")
        )


def _step_back(name):
    reason = "the app activates opentelemetry-instrumentation-%s" % name.replace("_", "-")
    for library in (name,) + _SERVERS.get(name, ()):
        try:
            libraries.step_back(library, reason)
        except Exception as error:
            _native.fault("stepping back for " + name, error)


def _watch_instrumentors(module):
    original = module.BaseInstrumentor.instrument

    def instrument(self, **kwargs):
        owner = type(self).__module__
        if owner.startswith(_PREFIX):
            _step_back(owner[len(_PREFIX) :].partition(".")[0])
        return original(self, **kwargs)

    module.BaseInstrumentor.instrument = instrument


def _method_watcher(name, class_name, method):
    def watch_method(module):
        owner = getattr(module, class_name)
        given = owner.__dict__[method]
        # Some are static methods; all are told by their first call only.
        is_static = isinstance(given, staticmethod)
        original = given.__func__ if is_static else given

        def wrapper(*args, **kwargs):
            _step_back(name)
            return original(*args, **kwargs)

        wrapper.__wrapped__ = original
        wrapper.__doc__ = original.__doc__
        setattr(owner, method, staticmethod(wrapper) if is_static else wrapper)

    return watch_method


# What an app imports of the library that a package is for. Packages that are not
# here are activated at the start.
_MODULES = {
    "aio_pika": "aio_pika",
    "aiohttp_client": "aiohttp",
    "aiohttp_server": "aiohttp",
    "aiokafka": "aiokafka",
    "aiopg": "aiopg",
    "asyncclick": "asyncclick",
    "asyncio": "asyncio",
    "asyncpg": "asyncpg",
    "boto": "boto",
    "boto3sqs": "boto3",
    "botocore": "botocore",
    "cassandra": "cassandra",
    "click": "click",
    "confluent_kafka": "confluent_kafka",
    "elasticsearch": "elasticsearch",
    "falcon": "falcon",
    "grpc": "grpc",
    "kafka_python": "kafka",
    "mysql": "mysql.connector",
    "pika": "pika",
    "pymemcache": "pymemcache",
    "pymongo": "pymongo",
    "pymssql": "pymssql",
    "pyramid": "pyramid",
    "remoulade": "remoulade",
    "tornado": "tornado",
    "tortoiseorm": "tortoise",
}


def load():
    """Activates the installed packages that nothing of ours does the work of, now or when the app
    imports their libraries."""
    for package in sorted(_installed()):
        if libraries.covers(package):
            continue
        module = _MODULES.get(package)
        if module is None:
            _activate(package)
        else:
            hooks.when_imported(module, lambda _module, package=package: _activate(package))


def _activate(package):
    """Activates the instrumentors of a package."""
    try:
        from opentelemetry.util._importlib_metadata import entry_points
    except ImportError as error:
        _native.notice(
            2, package, "", "its official package needs the OpenTelemetry API: %s" % (error,)
        )
        return
    for entry_point in entry_points(group=_ENTRY_POINTS):
        name = entry_point.name
        if _package_of(entry_point) != package or libraries.covers(name):
            continue
        if libraries.is_disabled(name):
            _native.notice(1, name, "", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it")
            continue
        try:
            _instrument(entry_point)
        except Exception as error:
            _native.notice(
                2, name, "", "its official package: %s: %s" % (type(error).__name__, error)
            )


def _package_of(entry_point):
    """The package's name without what all have in front; None for another distribution."""
    name = entry_point.dist.name.replace("-", "_").lower() if entry_point.dist else ""
    return name[len(_DISTRIBUTION_PREFIX) :] if name.startswith(_DISTRIBUTION_PREFIX) else None


def _instrument(entry_point):
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    version = entry_point.dist.version
    conflict = get_dist_dependency_conflicts(entry_point.dist)
    if conflict is not None:
        # Mostly: the library is not installed. Nobody misses that.
        if getattr(conflict, "found", None):
            _native.notice(1, entry_point.name, version, str(conflict))
        return
    instrumentor = entry_point.load()()
    instrumentor.instrument(skip_dep_check=True)
    _native.notice(0, entry_point.name, version, "by its official package")


def _installed():
    """Names of the official packages on the path, from the names of metadata directories: to ask
    importlib.metadata costs more than all the rest of the start."""
    names = set()
    for directory in sys.path:
        try:
            entries = os.listdir(directory or ".")
        except OSError:
            continue
        for entry in entries:
            if entry.startswith(_DISTRIBUTION_PREFIX) and entry.endswith(
                (".dist-info", ".egg-info")
            ):
                names.add(entry[len(_DISTRIBUTION_PREFIX) :].partition("-")[0])
    return names
