"""Calls back when a module has been imported for the first time."""

import sys

from carafe_engine import _native

# Module name -> callbacks that wait for it.
_waiting = {}

# Modules whose spec is being looked for: the finders behind ours are asked then.
_looking = set()


def when_imported(name, callback):
    """Calls `callback(module)` right after the module's first import, or now if it has been."""
    module = sys.modules.get(name)
    if module is not None and not _is_initialising(module):
        _call(callback, module)
    else:
        _waiting.setdefault(name, []).append(callback)


def install():
    """Starts to watch imports."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _is_initialising(module):
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _call(callback, module):
    try:
        callback(module)
    except Exception as error:
        _native.fault("import of " + module.__name__, error)


class _Finder:
    """Finds nothing itself; lets the loaders of watched modules call back."""

    def find_spec(self, name, path=None, target=None):
        if name not in _waiting or name in _looking:
            return None
        _looking.add(name)
        try:
            spec = _find(name, path, target, self)
        finally:
            _looking.discard(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        spec.loader = _Loader(spec.loader)
        return spec


def _find(name, path, target, own):
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        if finder is own or find_spec is None:
            continue
        spec = find_spec(name, path, target)
        if spec is not None:
            return spec
    return None


class _Loader:
    """The module's own loader, and a call back after it."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        # Copies are asked before they have it.
        if name == "_loader":
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # Nobody should find our loader in the module.
        module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for callback in _waiting.pop(module.__name__, ()):
            _call(callback, module)
