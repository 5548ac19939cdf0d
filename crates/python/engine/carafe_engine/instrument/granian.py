"""Granian: the ASGI app that it serves."""

from carafe_engine.instrument import asgi

_originals = []


def instrument(module):
    """Reports requests to apps of no framework that we know."""
    if _originals:
        return
    # The servers take it from this module when they are imported, which is later.
    wrapper = module._callback_wrapper
    _originals.append((module, wrapper))

    def wrapped(callback, *args, **kwargs):
        if _originals:
            callback = asgi.wrap_app(callback)
        return wrapper(callback, *args, **kwargs)

    module._callback_wrapper = asgi.like(wrapper, wrapped)


def uninstrument():
    while _originals:
        module, wrapper = _originals.pop()
        module._callback_wrapper = wrapper
