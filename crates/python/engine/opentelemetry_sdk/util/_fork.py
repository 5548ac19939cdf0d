"""What objects do in a forked child, without keeping them alive."""

from __future__ import annotations

import os
import weakref
from typing import Callable, List

_LIMIT_BEFORE_SWEEP = 64
_methods: List["weakref.WeakMethod"] = []


def after_in_child(method: Callable[[], None]) -> None:
    """Calls a bound method in each child forked from now on, as long as its object lives."""
    if len(_methods) >= _LIMIT_BEFORE_SWEEP:
        _methods[:] = [known for known in _methods if known() is not None]
    _methods.append(weakref.WeakMethod(method))


def _run() -> None:
    for known in tuple(_methods):
        call = known()
        if call is not None:
            call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run)
