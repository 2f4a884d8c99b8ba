"""How much of a process one workspace's questions may take at once.

A question that comes on top of that is answered 429: its client may repeat it, and no thread waits.
"""

import threading
from collections import Counter

from flask import Flask, current_app, g

from app.config import Settings
from app.errors import Busy

# Of all workspaces together, next to what one may ask for.
WORKSPACES_AT_ONCE = 2
# Buckets of a question that is always answered.
CHEAP = 500


class Turns:
    """Questions under way, and the buckets they ask for, by workspace."""

    def __init__(self, settings: Settings) -> None:
        self._most_questions = settings.max_questions
        self._most_buckets = settings.max_buckets_at_once
        self._questions: Counter[int] = Counter()
        self._buckets: Counter[int] = Counter()
        self._lock = threading.Lock()

    def begin(self, workspace_id: int) -> None:
        """Count a question.

        Raises:
            Busy: the workspace has as many under way as it may have.
        """
        with self._lock:
            if 0 < self._most_questions <= self._questions[workspace_id]:
                raise Busy(f"{self._most_questions} questions are under way; ask again")
            self._questions[workspace_id] += 1

    def charge(self, workspace_id: int, buckets: int) -> None:
        """Count the buckets of a costly question; the first may have as many as it likes.

        Raises:
            Busy: together with what is under way they are too many.
        """
        with self._lock:
            own, all_ = self._buckets[workspace_id], self._buckets.total()
            if (own and own + buckets > self._most_buckets) or (
                all_ and all_ + buckets > self._most_buckets * WORKSPACES_AT_ONCE
            ):
                raise Busy(f"costly questions are under way; ask again, or for {CHEAP} buckets")
            self._buckets[workspace_id] += buckets

    def end(self, workspace_id: int, buckets: int) -> None:
        """A question is answered, or its client told why not."""
        with self._lock:
            self._questions[workspace_id] -= 1
            self._buckets[workspace_id] -= buckets
            if not self._questions[workspace_id]:
                del self._questions[workspace_id], self._buckets[workspace_id]


def install(app: Flask, settings: Settings) -> None:
    """Count the questions of an application; each ends with its request."""
    app.extensions["turns"] = Turns(settings)
    app.teardown_request(_end)


def take_turn(workspace_id: int) -> None:
    """The current request asks a question for this workspace.

    Raises:
        Busy: the workspace has as many under way as it may have.
    """
    if "turn" not in g:
        _turns().begin(workspace_id)
        g.turn, g.buckets = workspace_id, 0


def charge(buckets: int) -> None:
    """The question of the current request is about so many buckets.

    Raises:
        Busy: together with others under way they are too many.
    """
    if "turn" in g and buckets > CHEAP:
        _turns().charge(g.turn, buckets)
        g.buckets += buckets


def _end(_error: BaseException | None) -> None:
    if "turn" in g:
        _turns().end(g.pop("turn"), g.pop("buckets"))


def _turns() -> Turns:
    found: Turns = current_app.extensions["turns"]
    return found
