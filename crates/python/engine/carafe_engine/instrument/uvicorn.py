"""uvicorn: the ASGI app that it has loaded."""

from carafe_engine.instrument import asgi

_originals = []


def instrument(module):
    """Reports requests to apps of no framework that we know."""
    if _originals:
        return
    kind = module.Config
    load = kind.load
    _originals.append((kind, load))

    def wrapped(self, *args, **kwargs):
        result = load(self, *args, **kwargs)
        # Not where the app, which was just loaded, has something else report its requests.
        if _originals:
            self.loaded_app = _inside(self.loaded_app)
        return result

    kind.load = asgi.like(load, wrapped)


def uninstrument():
    while _originals:
        kind, load = _originals.pop()
        kind.load = load


def _inside(app):
    """The app wrapped below uvicorn's own middleware, which corrects client and scheme."""
    outer, inner = None, app
    while type(inner).__name__ in ("ProxyHeadersMiddleware", "MessageLoggerMiddleware"):
        outer, inner = inner, inner.app
    wrapped = asgi.wrap_app(inner)
    if outer is None:
        return wrapped
    outer.app = wrapped
    return app
