"""Threads: what starts in a thread continues in the context of the one that started it.

Covers `threading.Thread`, `threading.Timer` and `ThreadPoolExecutor.submit`, as the official
package does. Emits nothing.
"""

from carafe_engine import _native

_attach = _native.attach
_current = _native.current
_detach = _native.detach

_originals = []


def instrument(module):
    """Patches `threading`, or `concurrent.futures.thread`, which is imported later if at all."""
    if module.__name__ == "threading":
        _replace(module.Thread, "start", _wrap_start)
        _replace(module.Thread, "run", _wrap_run)
        _replace(module.Timer, "run", _wrap_run)
    else:
        _replace(module.ThreadPoolExecutor, "submit", _wrap_submit)


def uninstrument():
    while _originals:
        kind, name, original = _originals.pop()
        setattr(kind, name, original)


def _replace(kind, name, wrap):
    original = kind.__dict__[name]
    if hasattr(original, "_carafe_original"):
        return
    wrapped = wrap(original)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(wrapped, attribute, getattr(original, attribute))
    wrapped.__wrapped__ = wrapped._carafe_original = original
    _originals.append((kind, name, original))
    setattr(kind, name, wrapped)


def _wrap_start(original):
    def start(self):
        value = _current()
        # A pool's own thread serves many callers: each task brings its context.
        if value is not None and not _is_worker(getattr(self, "_target", None)):
            # Not by `setattr`: the app's class may have its own.
            self.__dict__["_carafe_context"] = value
        return original(self)

    return start


def _is_worker(target):
    return target is not None and getattr(target, "__module__", None) == "concurrent.futures.thread"


def _wrap_run(original):
    def run(self):
        value = self.__dict__.pop("_carafe_context", None)
        if value is None:
            return original(self)
        token = _attach(value)
        try:
            return original(self)
        finally:
            _detach(token)

    return run


def _wrap_submit(original):
    def submit(self, function, /, *args, **kwargs):
        value = _current()
        if value is None:
            return original(self, function, *args, **kwargs)
        return original(self, _Task(value, function), *args, **kwargs)

    return submit


class _Task:
    """A submitted function and the context of its caller."""

    __slots__ = ("value", "function")

    def __init__(self, value, function):
        self.value = value
        self.function = function

    def __call__(self, *args, **kwargs):
        token = _attach(self.value)
        try:
            return self.function(*args, **kwargs)
        finally:
            _detach(token)
