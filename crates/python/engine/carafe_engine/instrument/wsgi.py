"""WSGI servers: every request to an app that no framework's shim serves has a span.

The app is wrapped where its server takes it, not where it is made, so any app is
seen: a framework that the engine does not know, middleware, a bare callable.
"""

import sys

from carafe_engine import _native, hooks
from carafe_engine.instrument.patches import Patches

# What a class of the app's must come from to have a shim of its own: module and class.
_FRAMEWORKS = (
    ("flask.app", "Flask"),
    ("django.core.handlers.wsgi", "WSGIHandler"),
)

# gunicorn's workers that call their app by WSGI; others (uvicorn's) call it by ASGI.
_GUNICORN_WORKERS = (
    ("gunicorn.workers.sync", "SyncWorker"),
    ("gunicorn.workers.gthread", "ThreadWorker"),
    ("gunicorn.workers.base_async", "AsyncWorker"),
)

# Attributes in which middleware keeps the app that it is around, and how much of it is looked into.
_INNER = ("app", "wsgi_app", "application")
_MIDDLEWARE_LIMIT = 16

_patches = Patches()


class Application:
    """An app whose requests are told."""

    __slots__ = ("_app", "__weakref__")

    def __init__(self, app):
        self._app = app

    def __call__(self, environ, start_response):
        request = _native.begin_wsgi(environ, start_response)
        if request is None:
            return self._app(environ, start_response)
        try:
            iterable = self._app(environ, request)
        except BaseException as error:
            request.fail(error)
            raise
        return request.done(iterable)

    def __getattr__(self, name):
        # Copies are asked before they have it.
        if name == "_app":
            raise AttributeError(name)
        return getattr(self._app, name)

    def __repr__(self):
        return repr(self._app)


class _ResponseSetter:
    """Puts headers into a WSGI response's list, for the API's propagators."""

    def set(self, carrier, key, value):
        carrier.append((key, value))


RESPONSE_SETTER = _ResponseSetter()

hooks.when_imported("opentelemetry.instrumentation.propagators", _native.set_response_propagators)


def told(app):
    """`app`, wrapped where nothing else tells its requests."""
    if app is None or isinstance(app, Application) or _leads_to_framework(app):
        return app
    _native.yield_universal(1)
    return Application(app)


def _leads_to_framework(app):
    """Whether `app` is a framework's, or middleware around one (a debugger, a proxy's headers):
    the framework's shim tells its requests, with their routes."""
    for _ in range(_MIDDLEWARE_LIMIT):
        # An app's method, such as Flask's `wsgi_app`, stands for the app.
        app = getattr(app, "__self__", app)
        if _is_one_of(app, _FRAMEWORKS):
            return True
        inner = (vars(app).get(name) for name in _INNER) if hasattr(app, "__dict__") else ()
        app = next((found for found in inner if callable(found)), None)
        if app is None:
            return False
    return False


def _is_one_of(thing, classes):
    for module, name in classes:
        found = getattr(sys.modules.get(module), name, None)
        if found is not None and isinstance(thing, found):
            return True
    return False


def instrument(module):
    """Wraps the apps that a server's module is given."""
    for owner, name, make in _SERVERS[module.__name__](module):
        _patches.wrap(owner, name, make)


def uninstrument():
    """Servers made from now on take apps as they are."""
    _patches.undo()


def _wsgiref_handlers(module):
    def run(original):
        return lambda self, application: original(self, told(application))

    return ((module.BaseHandler, "run", run),)


def _wsgiref_simple_server(module):
    def set_app(original):
        return lambda self, application: original(self, told(application))

    return ((module.WSGIServer, "set_app", set_app),)


def _wraps_attribute(attribute):
    """For a constructor that keeps the app in `attribute`."""

    def make(original):
        def __init__(self, *args, **kwargs):
            original(self, *args, **kwargs)
            app = getattr(self, attribute, None)
            wrapped = told(app)
            if wrapped is not app:
                setattr(self, attribute, wrapped)

        return __init__

    return make


def _gunicorn(module):
    def load_wsgi(original):
        def load_wsgi(self):
            original(self)
            if _is_one_of(self, _GUNICORN_WORKERS):
                self.wsgi = told(self.wsgi)

        return load_wsgi

    return ((module.Worker, "load_wsgi", load_wsgi),)


# Server module -> what is replaced in it.
_SERVERS = {
    "wsgiref.handlers": _wsgiref_handlers,
    "wsgiref.simple_server": _wsgiref_simple_server,
    "werkzeug.serving": lambda module: (
        (module.BaseWSGIServer, "__init__", _wraps_attribute("app")),
    ),
    "gunicorn.workers.base": _gunicorn,
    "waitress.server": lambda module: (
        (module.BaseWSGIServer, "__init__", _wraps_attribute("application")),
    ),
    "cheroot.wsgi": lambda module: ((module.Server, "__init__", _wraps_attribute("wsgi_app")),),
    "gevent.pywsgi": lambda module: (
        (module.WSGIServer, "__init__", _wraps_attribute("application")),
    ),
}
