"""Support for fork: threads, locks and connections are not inherited, so the child recreates them.

Servers that load a model once and fork their workers, such as gunicorn with `preload_app`, copy the
state of this package at that moment.
"""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """An object that a child process has to reinitialize."""

    def after_fork(self) -> None:
        """Reset, in the child, the state that belongs to the parent."""


_watched: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def watch(one: Forked) -> None:
    """Call `one.after_fork()` in each child process, as long as the object is referenced."""
    _watched.add(one)


def _after_fork() -> None:
    for one in list(_watched):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which doesn't fork
    os.register_at_fork(after_in_child=_after_fork)
