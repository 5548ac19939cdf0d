"""gunicorn's own ASGI worker: the app that it has loaded."""

from carafe_engine.instrument import asgi

_originals = []


def instrument(module):
    """Reports requests to apps of no framework that we know."""
    if _originals:
        return
    kind = module.ASGIWorker
    load = kind.load_wsgi
    _originals.append((kind, load))

    def wrapped(self, *args, **kwargs):
        load(self, *args, **kwargs)
        # Not where the app, which was just loaded, has something else report its requests.
        if _originals:
            self.asgi = asgi.wrap_app(self.asgi)

    kind.load_wsgi = asgi.like(load, wrapped)


def uninstrument():
    while _originals:
        kind, load = _originals.pop()
        kind.load_wsgi = load
