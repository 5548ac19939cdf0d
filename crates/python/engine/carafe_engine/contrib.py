"""The official instrumentation packages that the app has installed.

Those for libraries that we do not know ourselves are activated at the start,
as the official agent does. Where the app activates one for a library that we
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
        hooks.when_imported(_PREFIX + name, _method_watcher(name, "OpenTelemetryMiddleware", "__init__"))


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


def load():
    """Activates the installed packages that nothing of ours does the work of."""
    installed = [name for name in _installed() if not libraries.covers(name)]
    if not installed:
        return
    try:
        from opentelemetry.util._importlib_metadata import entry_points
    except ImportError as error:
        _native.notice(2, "opentelemetry-instrumentation", "", "no OpenTelemetry API: %s" % (error,))
        return
    for entry_point in entry_points(group=_ENTRY_POINTS):
        name = entry_point.name
        if libraries.covers(name):
            continue
        if libraries.is_disabled(name):
            _native.notice(1, name, "", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it")
            continue
        try:
            _activate(entry_point)
        except Exception as error:
            _native.notice(2, name, "", "its official package: %s: %s" % (type(error).__name__, error))


def _activate(entry_point):
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    version = entry_point.dist.version if entry_point.dist else ""
    conflict = get_dist_dependency_conflicts(entry_point.dist) if entry_point.dist else None
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
            if entry.startswith(_DISTRIBUTION_PREFIX) and entry.endswith((".dist-info", ".egg-info")):
                names.add(entry[len(_DISTRIBUTION_PREFIX) :].partition("-")[0])
    return names
