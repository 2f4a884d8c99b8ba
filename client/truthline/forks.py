"""A process that forks: threads, locks and connections don't come along; the child makes its own.

Servers that load a model once and fork their workers, as gunicorn with `preload_app` does, copy
whatever this package holds at that moment.
"""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that a child process has to make anew."""

    def after_fork(self) -> None:
        """Forget, in the child, what belongs to the parent."""


_watched: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def watch(one: Forked) -> None:
    """Call `one.after_fork()` in each child process, as long as anybody holds it."""
    _watched.add(one)


def _after_fork() -> None:
    for one in list(_watched):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which doesn't fork
    os.register_at_fork(after_in_child=_after_fork)
