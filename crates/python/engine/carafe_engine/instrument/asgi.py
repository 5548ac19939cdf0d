"""ASGI: what the framework and server shims share.

The native `Asgi` of a library decides, for each scope, whether a request begins here; its
`Request` gives the `receive` and `send` that the app gets, and takes the end. This module holds
what has to be a coroutine.
"""

from time import time_ns

from carafe_engine import _native, hooks, libraries


async def receive(request, original):
    """The app's `receive`: a span for each message that it waits for."""
    start_ns = time_ns()
    try:
        message = await original()
    except BaseException as error:
        request.received(start_ns, None, error)
        raise
    request.received(start_ns, message, None)
    return message


async def send_last(request, sending):
    """Sends the message that completes the response."""
    await sending
    request.responded()


_native.asgi_coroutines(receive, send_last)


class ResponseSetter:
    """Puts headers into an ASGI response's message, for the API's propagators."""

    def set(self, carrier, key, value):
        headers = list(carrier.get("headers") or ())
        headers.append((key.lower().encode("latin-1"), value.encode("latin-1")))
        carrier["headers"] = headers


RESPONSE_SETTER = ResponseSetter()

hooks.when_imported("opentelemetry.instrumentation.propagators", _native.set_response_propagators)


def wrap_call(original, library):
    """An ASGI class' `__call__` that reports requests as `library`, an `Asgi`."""
    begin = library.begin

    async def __call__(self, scope, receive, send):
        request = begin(scope, receive, send)
        if request is None:
            return await original(self, scope, receive, send)
        try:
            result = await original(self, scope, request.receive, request.send)
        except BaseException as error:
            request.finish(error)
            raise
        request.finish(None)
        return result

    return like(original, __call__)


def like(original, wrapper):
    """`wrapper`, looking like `original`."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        try:
            setattr(wrapper, name, getattr(original, name))
        except (AttributeError, TypeError):
            pass
    wrapper.__wrapped__ = original
    return wrapper


class App:
    """An ASGI app as a server calls it, where no class of a framework reports its requests."""

    def __init__(self, app, begin):
        self._carafe_app = app
        self._carafe_begin = begin

    def __getattr__(self, name):
        # Copies are asked before they have it.
        if name == "_carafe_app":
            raise AttributeError(name)
        return getattr(self._carafe_app, name)

    async def __call__(self, scope, receive, send):
        request = self._carafe_begin(scope, receive, send)
        if request is None:
            return await self._carafe_app(scope, receive, send)
        try:
            result = await self._carafe_app(scope, request.receive, request.send)
        except BaseException as error:
            request.finish(error)
            raise
        request.finish(None)
        return result


#: Apps whose requests are seen elsewhere, or whose instrumentation the user has disabled: module
#: and class, and the library that reports them.
OWN = {
    ("fastapi.applications", "FastAPI"): "fastapi",
    ("starlette.applications", "Starlette"): "starlette",
    ("quart.app", "Quart"): "quart",
    ("django.core.handlers.asgi", "ASGIHandler"): None,
    ("uvicorn.middleware.wsgi", "_WSGIMiddleware"): None,
    ("a2wsgi.wsgi", "WSGIMiddleware"): None,
    ("asgiref.wsgi", "WsgiToAsgi"): None,
    # The official package, put there by the app.
    ("opentelemetry.instrumentation.asgi", "OpenTelemetryMiddleware"): None,
}

#: Apps around the app that are looked through.
DEPTH_LIMIT = 16

#: Library -> `begin` of its `Asgi`.
_begins = {}


def wrap_app(app):
    """The app that a server shall call instead of `app`."""
    inner, depth = app, 0
    while inner is not None and depth < DEPTH_LIMIT:
        if isinstance(inner, App):
            return app
        for kind in type(inner).__mro__:
            key = (kind.__module__, kind.__name__)
            if key not in OWN:
                continue
            name = OWN[key]
            if depth == 0 or name is None or not libraries.is_allowed(name):
                return app
            _native.yield_universal(1)
            # Middleware around a framework's app: its requests are the framework's.
            return App(app, _begin(name))
        # Middleware keeps the app that it is around under this name.
        inner = getattr(inner, "__dict__", {}).get("app")
        depth += 1
    _native.yield_universal(1)
    return App(app, _begin("asgi"))


def _begin(name):
    begin = _begins.get(name)
    if begin is None:
        begin = _begins[name] = _native.Asgi(name).begin
    return begin
