"""The libraries that the engine knows, and which of them it instruments here."""

import os
import sys

from carafe_engine import _native


class Library:
    """A library, and how it is instrumented."""

    def __init__(self, name, shim, modules, distribution=None, versions=None):
        # The name that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS and the start report use.
        self.name = name
        # The module of carafe_engine.instrument with `instrument(module)` and `uninstrument()`.
        self.shim = shim
        # Modules whose import calls `instrument`.
        self.modules = modules
        # Where the version is looked up; None for the standard library.
        self.distribution = distribution
        # Lowest version that is known, and the first that is not known any more.
        self.versions = versions
        # Whether the shim is in place, and whether it may be.
        self.is_active = False
        self.is_allowed = True
        # Why it may not be, for the start report once it is imported; None once that is told.
        self.left_alone = None


_WSGI_SERVERS = (
    "wsgiref.handlers",
    "wsgiref.simple_server",
    "werkzeug.serving",
    "gunicorn.workers.base",
    "waitress.server",
    "cheroot.wsgi",
    "gevent.pywsgi",
)

LIBRARIES = (
    Library("wsgi", "wsgi", _WSGI_SERVERS),
    Library("flask", "flask", ("flask.app",), "flask", ("2.0", "3.2")),
    Library("django", "django", ("django.core.handlers.base",), "django", ("2.2", "6.2")),
    Library("fastapi", "fastapi", ("fastapi.applications",), "fastapi", ("0.92", "1")),
    Library("starlette", "starlette", ("starlette.applications",), "starlette", ("0.20", "2")),
    Library("quart", "quart", ("quart.app",), "quart", ("0.18", "1")),
    Library("uvicorn", "uvicorn", ("uvicorn.config",), "uvicorn", ("0.15", "1")),
    Library("hypercorn", "hypercorn", ("hypercorn.app_wrappers",), "hypercorn", ("0.14", "1")),
    Library("gunicorn", "gunicorn", ("gunicorn.workers.gasgi",), "gunicorn", ("24", "28")),
    Library("granian", "granian", ("granian.asgi",), "granian", ("1.0", "3")),
    Library("daphne", "daphne", ("daphne.server",), "daphne", ("3", "5")),
    Library("threading", "threading", ("threading", "concurrent.futures.thread")),
    # Clients
    Library("http_client", "http_client", ("http.client",)),
    Library("urllib", "urllib", ("urllib.request",)),
    Library("urllib3", "urllib3", ("urllib3.connectionpool",), "urllib3", ("1.0", "3")),
    Library("requests", "requests", ("requests.sessions",), "requests", ("2.0", "3")),
    Library("httpx", "httpx", ("httpx",), "httpx", ("0.20", "1")),
    Library("httpx2", "httpx2", ("httpx2",), "httpx2", ("2.0", "3")),
    Library(
        "redis",
        "redis",
        ("redis.client", "redis.cluster", "redis.asyncio.client", "redis.asyncio.cluster"),
        "redis",
        ("3.0", "9"),
    ),
    Library("jinja2", "jinja2", ("jinja2.environment",), "jinja2", ("2.7", "4")),
    Library("celery", "celery", ("celery.app.base",), "celery", ("4.0", "6")),
    # Databases and logging
    Library("sqlite3", "sqlite3", ("sqlite3",)),
    Library("psycopg2", "psycopg2", ("psycopg2",), "psycopg2", ("2.7.3.1", "3")),
    Library("psycopg", "psycopg", ("psycopg",), "psycopg", ("3.1", "4")),
    Library("pymysql", "pymysql", ("pymysql.cursors",), "pymysql", ("0.7", "2")),
    Library("mysqlclient", "mysqlclient", ("MySQLdb.cursors",), "mysqlclient", ("1.3", "3")),
    Library("sqlalchemy", "sqlalchemy", ("sqlalchemy",), "sqlalchemy", ("1.4", "2.2")),
    Library("logging", "logging", ("logging", "werkzeug.serving")),
    # Metrics of the interpreter, which is there from the start.
    Library("system_metrics", "runtime", ("sys",)),
)

# Names by which the official agent calls what one of ours does.
_BY_NAME = {}


def is_disabled(name):
    """Whether OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it."""
    disabled = _disabled()
    return "*" in disabled or name in disabled


def _disabled():
    names = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return {name.strip().lower() for name in names}


def covers(name):
    """Whether we do what the official package of that name does."""
    return name in _BY_NAME


def watch(hooks):
    """Waits for the libraries to be imported."""
    disabled = _disabled()
    for library in LIBRARIES:
        _BY_NAME[library.name] = library
        if "*" in disabled or library.name in disabled:
            library.is_allowed = False
            library.left_alone = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"
        for module in library.modules:
            hooks.when_imported(module, _instrumenter(library))


def is_allowed(name):
    """Whether a library may be instrumented, as far as the user's variables say."""
    library = _BY_NAME.get(name)
    return library is None or library.is_allowed


def step_back(name, reason):
    """Takes the shim of a library away: something else instruments it. Returns whether there
    was or would have been one."""
    library = _BY_NAME.get(name)
    if library is None or not library.is_allowed:
        return False
    library.is_allowed = False
    if library.is_active:
        library.is_active = False
        _shim(library).uninstrument()
        _native.notice(1, library.name, "", reason)
    else:
        library.left_alone = reason
    return True


def _instrumenter(library):
    def instrument(module):
        version = _version_of(library, module)
        if not library.is_allowed:
            if library.left_alone is not None:
                _native.notice(1, library.name, version or "", library.left_alone)
                library.left_alone = None
            return
        reason = _unknown_version(library, version)
        if reason is not None:
            _native.notice(1, library.name, version or "", reason)
            return
        # A shim that does nothing after all says why.
        reason = _shim(library).instrument(module)
        if reason is not None:
            _native.notice(1, library.name, version or "", reason)
            return
        if not library.is_active:
            library.is_active = True
            _native.notice(0, library.name, version or "", "")

    return instrument


def _shim(library):
    name = "carafe_engine.instrument." + library.shim
    module = sys.modules.get(name)
    if module is None:
        __import__(name)
        module = sys.modules[name]
    return module


def _unknown_version(library, version):
    """Why this version is left alone; None where it is known."""
    if library.versions is None:
        return None
    lowest, beyond = library.versions
    if version is None:
        return None
    if _numbers(version) < _numbers(lowest):
        return "it is older than %s" % lowest
    if _numbers(version) >= _numbers(beyond):
        return "version %s and newer are not known yet" % beyond
    return None


def _numbers(version):
    numbers = []
    for part in version.split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


# Directory -> distribution name -> version.
_installed = {}


def _version_of(library, module):
    """The version in the name of the metadata directory beside the package: importing
    importlib.metadata would cost more than all the rest of the start."""
    if library.distribution is None:
        return None
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    file = getattr(top, "__file__", None)
    if file is None:
        return getattr(top, "__version__", None)
    directory = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        directory = os.path.dirname(directory)
    versions = _installed.get(directory)
    if versions is None:
        versions = _installed[directory] = _scan(directory)
    wanted = library.distribution.replace("-", "_").lower()
    version = versions.get(wanted)
    return version if version is not None else _declared(top)


def _declared(module):
    version = module.__dict__.get("__version__")
    return version if isinstance(version, str) else None


def _scan(directory):
    versions = {}
    try:
        names = os.listdir(directory)
    except OSError:
        return versions
    for name in names:
        stem, _, kind = name.rpartition(".")
        if kind in ("dist-info", "egg-info"):
            distribution, _, version = stem.partition("-")
            versions[distribution.replace("-", "_").lower()] = version.partition("-")[0]
    return versions
