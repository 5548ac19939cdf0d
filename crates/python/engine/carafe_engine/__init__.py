"""Carafe's engine in a Python process.

`begin` runs before the app. It starts the native half, which owns the ring, and waits for the
libraries that it knows to be imported. Nothing here may fail the app: what goes wrong is counted
and named in the start report.
"""

import sys

# Import names of the app that must not be imported here before the app does: importing this
# package must stay cheap, and must not change the order in which the app's modules load.


def begin():
    """Starts the engine in this process; does nothing where there is no launcher."""
    gil = getattr(sys, "_is_gil_enabled", None)
    if gil is not None and not gil():
        # The stable ABI that the native half is built for does not exist there.
        return
    from carafe_engine import _native

    if _native.start() is not None:
        return
    from carafe_engine import contrib, hooks, libraries, sdk

    version = "%d.%d.%d" % sys.version_info[:3]
    _native.notice(0, "python", version, "")
    libraries.watch(hooks)
    sdk.watch(hooks)
    contrib.watch()
    hooks.install()
    sdk.load()
    contrib.load()
