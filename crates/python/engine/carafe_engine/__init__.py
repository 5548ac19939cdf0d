"""Carafe's engine in a Python process.

`begin` runs before the app. It starts the native half, which owns the ring, and waits for the
libraries that it knows to be imported. Nothing here may fail the app: what goes wrong is counted
and named in the start report.
"""

import os
import sys

# Import names of the app that must not be imported here before the app does: importing this
# package must stay cheap, and must not change the order in which the app's modules load.


def begin():
    """Starts the engine in this process; does nothing where there is no launcher."""
    gil = getattr(sys, "_is_gil_enabled", None)
    if gil is not None and not gil():
        # The stable ABI that the native half is built for does not exist there.
        return
    if _is_subinterpreter():
        # What the native half keeps belongs to one interpreter. Before 3.12, loading it in a
        # second one would not fail but deadlock.
        raise RuntimeError("this is a subinterpreter, and it works in the main one only")
    from carafe_engine import _native

    if _native.start() is not None:
        return
    import atexit

    from carafe_engine import contrib, hooks, libraries, sdk

    # Registered first, so called last.
    atexit.register(_native.hold_threads)
    _present(_native)
    if os.geteuid() == 0:
        # A worker that gives up root can make no ring in root's directory any more.
        os.register_at_fork(after_in_child=lambda: _present(_native))
    libraries.watch(hooks)
    sdk.watch(hooks)
    contrib.watch()
    hooks.install()
    sdk.load()
    contrib.load()


def _is_subinterpreter():
    """Whether this is not the process' main interpreter, to which alone signals belong."""
    import _signal

    try:
        given = _signal.set_wakeup_fd(-1)
    except ValueError:
        return True
    if given != -1:
        _signal.set_wakeup_fd(given)
    return False


def _present(native):
    """Names this process to the launcher, by which its ring is made."""
    native.notice(0, "python", "%d.%d.%d" % sys.version_info[:3], "")
