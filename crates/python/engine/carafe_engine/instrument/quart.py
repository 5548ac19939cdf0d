"""Quart: requests to its apps, their routes and their exceptions.

There is no official package for Quart; its documentation puts the official ASGI middleware in
front of it. We do as that does, and add the route, as for Flask.
"""

from carafe_engine import _native
from carafe_engine.instrument import asgi, starlette

_originals = []


def instrument(module):
    """Reports requests to Quart apps."""
    if _originals:
        return
    kind = module.Quart
    wrapped = asgi.wrap_call(kind.__call__, _native.Asgi("quart"))
    _replace(kind, "__call__", wrapped)
    for name in ("full_dispatch_request", "full_dispatch_websocket"):
        _replace(kind, name, _wrap_dispatch(getattr(kind, name)))


def _replace(kind, name, wrapped):
    _originals.append((kind, name, kind.__dict__[name]))
    setattr(kind, name, wrapped)


def uninstrument():
    starlette.restore(_originals)


def _wrap_dispatch(original):
    async def dispatch(self, *contexts):
        request = _request_of(contexts[0]) if contexts else None
        if request is None:
            return await original(self, *contexts)
        _native.asgi_rule(request)
        try:
            return await original(self, *contexts)
        except Exception as error:
            # Quart answers it with an error.
            _native.asgi_exception(request, error)
            raise

    return asgi.like(original, dispatch)


def _request_of(context):
    """The request or WebSocket of a context of Quart's, before and since 0.23."""
    request = getattr(context, "request_websocket", None)
    return request if request is not None else getattr(context, "_request_websocket", None)
