"""Limits the queries that one workspace may run at once in a process.

Further queries return 429: the client may retry, and no thread waits. Bulk bodies and exports, each
of which occupies a thread for as long as it takes, are limited for all workspaces together.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask, current_app, g

from app.config import Settings
from app.errors import Busy

# The limit of all workspaces together, as a multiple of that of one.
WORKSPACES_AT_ONCE = 2
# A query with up to this many buckets is always admitted.
CHEAP = 500


class QueryLimiter:
    """The number of running queries and their buckets, by workspace."""

    def __init__(self, settings: Settings) -> None:
        self._max_queries = settings.max_questions
        self._max_buckets = settings.max_buckets_at_once
        self._queries: Counter[int] = Counter()
        self._buckets: Counter[int] = Counter()
        self._lock = threading.Lock()

    def start(self, workspace_id: int) -> None:
        """Count a query.

        Raises:
            Busy: the workspace already runs as many as it may.
        """
        with self._lock:
            if 0 < self._max_queries <= self._queries[workspace_id]:
                raise Busy(f"{self._max_queries} queries are running; try again")
            self._queries[workspace_id] += 1

    def add_buckets(self, workspace_id: int, buckets: int) -> None:
        """Count the buckets of a costly query; the first one may have any number.

        Raises:
            Busy: together with those of running queries they are too many.
        """
        with self._lock:
            of_workspace, total = self._buckets[workspace_id], self._buckets.total()
            if (of_workspace and of_workspace + buckets > self._max_buckets) or (
                total and total + buckets > self._max_buckets * WORKSPACES_AT_ONCE
            ):
                raise Busy(f"costly queries are running; try again, or request {CHEAP} buckets")
            self._buckets[workspace_id] += buckets

    def finish(self, workspace_id: int, buckets: int) -> None:
        """A query has succeeded or failed."""
        with self._lock:
            self._queries[workspace_id] -= 1
            self._buckets[workspace_id] -= buckets
            if not self._queries[workspace_id]:
                del self._queries[workspace_id], self._buckets[workspace_id]


def install(app: Flask, settings: Settings) -> None:
    """Limit the queries of an application; each finishes with its request."""
    app.extensions["query_limiter"] = QueryLimiter(settings)
    app.extensions["bulk_bodies"] = threading.BoundedSemaphore(settings.max_bulk_bodies)
    app.extensions["exports"] = threading.BoundedSemaphore(settings.max_exports)
    app.teardown_request(_finish)


@contextmanager
def admitted_bulk() -> Iterator[None]:
    """Count the current request as a bulk body while the block runs.

    Raises:
        Busy: as many as there may be are being stored.
    """
    running: threading.BoundedSemaphore = current_app.extensions["bulk_bodies"]
    if not running.acquire(blocking=False):
        raise Busy("other bulk bodies are being stored; try again")
    try:
        yield
    finally:
        running.release()


def admit_export() -> Callable[[], None]:
    """Count an export until the function that is returned is called; more calls do nothing.

    Raises:
        Busy: as many as there may be are running.
    """
    running: threading.BoundedSemaphore = current_app.extensions["exports"]
    if not running.acquire(blocking=False):
        raise Busy("other exports are running; try again")
    ended = threading.Lock()

    def end() -> None:
        if ended.acquire(blocking=False):
            running.release()

    return end


def admit_query(workspace_id: int) -> None:
    """Count the current request as a query of this workspace.

    Raises:
        Busy: the workspace already runs as many as it may.
    """
    if "query_of" not in g:
        _limiter().start(workspace_id)
        g.query_of, g.buckets = workspace_id, 0


def add_buckets(buckets: int) -> None:
    """Count the buckets of the current request's query.

    Raises:
        Busy: together with those of running queries they are too many.
    """
    if "query_of" in g and buckets > CHEAP:
        _limiter().add_buckets(g.query_of, buckets)
        g.buckets += buckets


def _finish(_error: BaseException | None) -> None:
    if "query_of" in g:
        _limiter().finish(g.pop("query_of"), g.pop("buckets"))


def _limiter() -> QueryLimiter:
    limiter: QueryLimiter = current_app.extensions["query_limiter"]
    return limiter
