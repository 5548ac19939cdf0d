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

    def __init__(self, is_api_known):
        self._is_api_known = is_api_known

    def find_spec(self, name, path=None, target=None):
        if name != NAME or not self._is_api_known():
            return None
        installed = [join(entry, "sdk") for entry in path or ()]
        # A spec without a loader and with locations is a namespace package.
        spec = ModuleSpec(NAME, None, is_package=True)
        spec.submodule_search_locations = [DIRECTORY] + [
            portion for portion in installed if isdir(portion)
        ]
        return spec

    def invalidate_caches(self):
        pass


def serve(is_api_known):
    """From now on `import opentelemetry.sdk` gives the overlay, where the API is one that it works with."""
    if NAME not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(is_api_known))
