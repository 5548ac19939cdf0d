"""Serves Carafe's SDK under the name `opentelemetry.sdk`.

`opentelemetry` and `opentelemetry.sdk` are namespace packages that several
distributions share, so nothing may be put on `sys.path` for them. A finder
answers for `opentelemetry.sdk` alone: its portions are the overlay's directory
first, then those that are installed, so that `opentelemetry.sdk.extension.aws`
is still found. Below it the ordinary import system works by `__path__`.
"""

import sys
from importlib.machinery import ModuleSpec
from os.path import abspath, dirname, isdir, join

NAME = "opentelemetry.sdk"
DIRECTORY = join(dirname(dirname(abspath(__file__))), "opentelemetry_sdk")


class _Finder:
    """Answers for `opentelemetry.sdk` and nothing else."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != NAME:
            return None
        installed = [join(entry, "sdk") for entry in path or ()]
        # A spec without a loader and with locations is a namespace package.
        spec = ModuleSpec(NAME, None, is_package=True)
        spec.submodule_search_locations = [DIRECTORY] + [portion for portion in installed if isdir(portion)]
        return spec

    @staticmethod
    def invalidate_caches():
        pass


def serve():
    """From now on `import opentelemetry.sdk` gives the overlay. Not undone by itself, and done once."""
    if _Finder not in sys.meta_path and NAME not in sys.modules:
        sys.meta_path.insert(0, _Finder)


def withdraw():
    """Leaves `opentelemetry.sdk` to what is installed, for imports still to come."""
    if _Finder in sys.meta_path:
        sys.meta_path.remove(_Finder)
