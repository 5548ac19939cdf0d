"""Functions of libraries that are replaced by ours, and can be put back."""

# Copied from a function to what stands in for it.
_NAMES = ("__module__", "__name__", "__qualname__", "__doc__")

# In the place of an original that the owner itself did not have: it was inherited.
_INHERITED = object()


def disguise(function, original):
    """Gives `function` the looks of `original`, as `functools.wraps` does."""
    for name in _NAMES:
        try:
            setattr(function, name, getattr(original, name))
        except AttributeError:
            pass
    function.__wrapped__ = original
    return function


class Patches:
    """What one shim has replaced."""

    __slots__ = ("_done",)

    def __init__(self):
        self._done = []

    def wrap(self, owner, name, make):
        """Replaces the function `name` of the class or module `owner` by `make(function)`.

        Where there is no such function, nothing happens: the version at hand is without it.
        """
        original = vars(owner).get(name)
        if not callable(original):
            return
        self.replace(owner, name, disguise(make(original), original))

    def replace(self, owner, name, ours):
        """Puts `ours` in the place of the attribute `name` of a class or module."""
        original = vars(owner).get(name, _INHERITED)
        setattr(owner, name, ours)
        self._done.append((owner, name, ours, original))

    def native(self, owner, name, method):
        """As `replace`, for a method that the native half has made. False where it made none."""
        if method is not None:
            self.replace(owner, name, method)
        return method is not None

    def undo(self):
        """Puts the originals back. Where somebody has wrapped ours since, it stays below theirs:
        the shim must let calls through once it is off."""
        while self._done:
            owner, name, ours, original = self._done.pop()
            if vars(owner).get(name) is not ours:
                continue
            if original is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
