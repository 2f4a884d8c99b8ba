"""Events of requests that come at the same time are taken together, in one transaction.

A transaction costs the same for one event as for ten, and a broker sends one event per request. So
whoever comes while another request's events are being stored waits for that, and is then stored
with all others who came meanwhile; nobody waits for more to come. A batch is stored by itself.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from app.errors import Unavailable
from app.ingest.batch import Verdict
from app.ingest.events.ingest import Event, ingest_events
from app.store.database import Database


class _Waiting:
    """The events of one request, and later what became of them."""

    def __init__(self, workspace_id: int, events: Sequence[Event]) -> None:
        self.workspace_id = workspace_id
        self.events = events
        self.verdict: Verdict | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.verdict is not None or self.error is not None


class EventIntake:
    """The way in for events, of one process. All its threads share one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._storing = threading.Lock()
        self._queue: deque[_Waiting] = deque()

    def take(self, workspace_id: int, events: Sequence[Event]) -> Verdict:
        """As `ingest_events`: all or none, each once. Other requests' events don't matter.

        Raises:
            InvalidRows: some predictions or truths can't be stored; nothing was.
        """
        if len(events) == 1:
            return self._take_together(workspace_id, events)
        fresh = ingest_events(self._database, workspace_id, events) if events else ()
        return Verdict(len(fresh), len(events) - len(fresh))

    def _take_together(self, workspace_id: int, events: Sequence[Event]) -> Verdict:
        mine = _Waiting(workspace_id, events)
        self._queue.append(mine)
        with self._storing:
            if not mine.done:
                self._store_all([self._queue.popleft() for _ in range(len(self._queue))])
        if mine.error:
            raise mine.error
        assert mine.verdict is not None, "whoever stores, stores all"  # noqa: S101 - for the type checker
        return mine.verdict

    def _store_all(self, queued: list[_Waiting]) -> None:
        queued.sort(key=lambda one: one.workspace_id)
        for workspace_id, group in groupby(queued, key=lambda one: one.workspace_id):
            self._store(workspace_id, list(group))

    def _store(self, workspace_id: int, group: list[_Waiting]) -> None:
        """Store what several requests brought; if that fails, one by one, to find whose fault."""
        events = [event for one in group for event in one.events]
        try:
            fresh = set(ingest_events(self._database, workspace_id, events))
        except Exception as error:  # noqa: BLE001 - each request raises its own
            if len(group) > 1 and not isinstance(error, Unavailable):
                for one in group:
                    self._store(workspace_id, [one])
            else:
                _fail(group, error)
        else:
            for one in group:
                accepted = {event.key for event in one.events} & fresh
                fresh -= accepted
                one.verdict = Verdict(len(accepted), len(one.events) - len(accepted))


def _fail(group: Iterable[_Waiting], error: Exception) -> None:
    """Give each request an error of its own: a traceback grows with each raise."""
    for one in group:
        one.error = type(error)(*error.args) if isinstance(error, Unavailable) else error
