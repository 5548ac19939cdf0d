"""Hypercorn: the ASGI app that it serves."""

from carafe_engine.instrument import asgi

_originals = []


def instrument(module):
    """Reports requests to apps of no framework that we know."""
    if _originals:
        return
    kind = module.ASGIWrapper
    init = kind.__init__
    _originals.append((kind, init))

    def wrapped(self, app, *args, **kwargs):
        init(self, asgi.wrap_app(app), *args, **kwargs)

    kind.__init__ = asgi.like(init, wrapped)


def uninstrument():
    while _originals:
        kind, init = _originals.pop()
        kind.__init__ = init
