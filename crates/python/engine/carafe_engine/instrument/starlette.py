"""Starlette: requests to its apps, and the routes that match them."""

import sys

from carafe_engine import _native, hooks, libraries
from carafe_engine.instrument import asgi

_originals = []
_routing_users = set()
_routing_originals = []

# Subclasses whose requests are not ours to report.
_skipped = ()


def instrument(module):
    """Reports requests to Starlette apps, from the outermost middleware on."""
    if _originals:
        return
    watch_routes("starlette")
    kind = module.Starlette
    _originals.append((kind, "__call__", kind.__call__))
    kind.__call__ = _wrap_call(kind.__call__, _native.Asgi("starlette").begin)
    if not libraries.is_allowed("fastapi"):
        hooks.when_imported("fastapi.applications", lambda module: skip(module.FastAPI))


def skip(kind):
    """Leaves the apps of a subclass alone."""
    global _skipped
    if kind not in _skipped:
        _skipped += (kind,)


def unskip(kind):
    """Undoes `skip`."""
    global _skipped
    _skipped = tuple(one for one in _skipped if one is not kind)


def _wrap_call(original, begin):
    async def __call__(self, scope, receive, send):
        if _skipped and isinstance(self, _skipped):
            return await original(self, scope, receive, send)
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

    return asgi.like(original, __call__)


def uninstrument():
    restore(_originals)
    unwatch_routes("starlette")


def watch_routes(user):
    """Lets routes tell the request that they match; `user` needs it."""
    if not _routing_users:
        routing = sys.modules["starlette.routing"]
        for name in ("Route", "WebSocketRoute"):
            watch(getattr(routing, name), _native.asgi_route, _routing_originals)
        watch(routing.Mount, _native.asgi_mount, _routing_originals)
    _routing_users.add(user)


def unwatch_routes(user):
    _routing_users.discard(user)
    if not _routing_users:
        restore(_routing_originals)


def watch(kind, tell, originals):
    """Calls `tell(route, scope)` when a route of that kind is to handle a request."""
    original = kind.__dict__["handle"]

    def handle(self, scope, receive, send):
        tell(self, scope)
        return original(self, scope, receive, send)

    originals.append((kind, "handle", original))
    kind.handle = asgi.like(original, handle)


def restore(originals):
    while originals:
        kind, name, original = originals.pop()
        setattr(kind, name, original)


def find_route(app, scope):
    """Path and path format of the route that would handle a request; None where none does."""
    routes = app.routes
    fastapi = sys.modules.get("fastapi.routing")
    flattened = getattr(fastapi, "iter_route_contexts", None)
    if flattened is not None:
        routes = flattened(routes)
    full = sys.modules["starlette.routing"].Match.FULL
    partial = None
    for route in routes:
        match, _ = route.matches(scope)
        path = getattr(route, "path", None)
        if not path:
            continue
        found = (path, getattr(route, "path_format", None))
        if match == full:
            return found
        if partial is None and match.value:
            partial = found
    return partial
