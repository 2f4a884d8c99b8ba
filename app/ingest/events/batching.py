"""Events of concurrent requests are stored together, in one transaction.

A transaction costs the same for one event as for ten, and a broker sends one event per request. So
a request that arrives while earlier events are being stored waits for that, and is then stored
together with all that arrived since; none waits for later ones. A batch is stored by itself.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from app.errors import Unavailable
from app.ingest.batch import Verdict
from app.ingest.events.ingest import Event, ingest_events
from app.store.database import Database


class _Submission:
    """The events of submission request, and later their verdict or error."""

    def __init__(self, workspace_id: int, events: Sequence[Event]) -> None:
        self.workspace_id = workspace_id
        self.events = events
        self.verdict: Verdict | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.verdict is not None or self.error is not None


class EventBatcher:
    """Stores the events of submission process; all its threads share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._storing = threading.Lock()
        self._queue: deque[_Submission] = deque()

    def store(self, workspace_id: int, events: Sequence[Event]) -> Verdict:
        """Like `ingest_events`: all or none, each once, independent of other requests' events.

        Raises:
            InvalidRows: some predictions or truths can't be stored; nothing was stored.
        """
        if len(events) == 1:
            return self._store_together(workspace_id, events)
        new_keys = ingest_events(self._database, workspace_id, events) if events else ()
        return Verdict(len(new_keys), len(events) - len(new_keys))

    def _store_together(self, workspace_id: int, events: Sequence[Event]) -> Verdict:
        mine = _Submission(workspace_id, events)
        self._queue.append(mine)
        with self._storing:
            if not mine.done:
                self._store_all([self._queue.popleft() for _ in range(len(self._queue))])
        if mine.error:
            raise mine.error
        assert mine.verdict is not None, "the lock's holder stores all"  # noqa: S101 - for the type checker
        return mine.verdict

    def _store_all(self, queued: list[_Submission]) -> None:
        queued.sort(key=lambda submission: submission.workspace_id)
        for workspace_id, group in groupby(queued, key=lambda submission: submission.workspace_id):
            self._store(workspace_id, list(group))

    def _store(self, workspace_id: int, submissions: list[_Submission]) -> None:
        """Store the events of several requests; if that fails, each request by itself."""
        events = [event for submission in submissions for event in submission.events]
        try:
            new_keys = set(ingest_events(self._database, workspace_id, events))
        except Exception as error:  # noqa: BLE001 - each request raises its own
            if len(submissions) > 1 and not isinstance(error, Unavailable):
                for submission in submissions:
                    self._store(workspace_id, [submission])
            else:
                _fail(submissions, error)
        else:
            for submission in submissions:
                accepted = {event.key for event in submission.events} & new_keys
                new_keys -= accepted
                submission.verdict = Verdict(len(accepted), len(submission.events) - len(accepted))


def _fail(submissions: Iterable[_Submission], error: Exception) -> None:
    """Give each request its own error: a traceback grows with each raise."""
    for submission in submissions:
        submission.error = type(error)(*error.args) if isinstance(error, Unavailable) else error
