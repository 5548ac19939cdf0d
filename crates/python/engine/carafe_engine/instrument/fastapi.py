"""FastAPI: requests to its apps, their routes, and background tasks.

Newer FastAPI has telemetry of its own, which steps back where the official package is active. It
does so for us too, except in apps that were given providers: those have a destination of their
own, which we must not dry up.
"""

import sys

from carafe_engine import _native
from carafe_engine.instrument import asgi, starlette

_originals = []


def instrument(module):
    """Reports requests to FastAPI apps, and what runs after their responses."""
    if _originals:
        return
    starlette.watch_routes("fastapi")
    routing = sys.modules["fastapi.routing"]
    for name in ("APIRoute", "APIWebSocketRoute"):
        kind = getattr(routing, name)
        # Older versions inherit Starlette's.
        if "handle" in kind.__dict__:
            starlette.watch(kind, _native.asgi_route, _originals)

    kind = module.FastAPI
    starlette.unskip(kind)
    _originals.append((kind, "__call__", kind.__call__))
    kind.__call__ = _wrap_call(kind.__call__, _native.Asgi("fastapi"))

    task = sys.modules["starlette.background"].BackgroundTask
    _originals.append((task, "__call__", task.__call__))
    task.__call__ = _wrap_task(task.__call__)


def uninstrument():
    if not _originals:
        return
    starlette.restore(_originals)
    starlette.unwatch_routes("fastapi")
    # Something else reports them: they are Starlette apps, too.
    starlette.skip(sys.modules["fastapi.applications"].FastAPI)


def _wrap_call(original, library):
    begin = library.begin

    async def __call__(self, scope, receive, send):
        request = begin(scope, receive, send)
        if not _has_own_providers(self):
            # What FastAPI itself sets for a request that its telemetry shall not see.
            scope.setdefault("fastapi.telemetry", None)
        if request is None:
            return await original(self, scope, receive, send)
        try:
            result = await original(self, scope, request.receive, request.send)
        except BaseException as error:
            request.finish(error)
            raise
        request.finish(None)
        return result

    return asgi.like(original, __call__)


def _has_own_providers(app):
    config = getattr(app, "_telemetry", None)
    return bool(config) and any(
        config.get(name) is not None
        for name in ("tracer_provider", "meter_provider", "logger_provider")
    )


def _wrap_task(original):
    start = (
        _native.provider()
        .tracer("opentelemetry.instrumentation.fastapi", _native.VERSION)
        .start_as_current_span
    )

    async def __call__(self):
        function = self.func
        name = getattr(function, "__name__", None) or type(function).__name__
        with start("BackgroundTask " + name):
            return await original(self)

    return asgi.like(original, __call__)
