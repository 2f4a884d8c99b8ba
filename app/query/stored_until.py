"""A moment before which nothing more will be stored.

A row is stamped before its transaction commits, so a row that was received before a moment may
become visible after it. A reader that needs several transactions for what had been received by
one moment waits first for the transactions that were storing rows then.
"""

import time
from datetime import datetime

from sqlalchemy import Connection, Row, text

from app.errors import Unavailable

TIME_LIMIT_SECONDS = 5.0
PAUSE_SECONDS = 0.01
SOURCES = ["prediction", "outcome"]


def stored_until(conn: Connection, moment: datetime, *, earlier: bool) -> datetime:
    """A moment whose predictions and truths are all visible to transactions that begin now.

    It is `moment`, as soon as those who were storing rows then have ended. If they take longer than
    TIME_LIMIT_SECONDS, and `earlier` allows it, it is when the first of them began: they can't have
    stored anything before.

    Raises:
        Unavailable: they take longer, and it may not be earlier.
    """
    writers = _writers(conn, moment)
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while writers and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        left = {writer.transaction for writer in writers}
        writers = [writer for writer in _writers(conn, moment) if writer.transaction in left]
    if not writers:
        return moment
    began: list[datetime] = [writer.began for writer in writers if writer.began]
    if not earlier or len(began) < len(writers):  # a role can't see the activity of all others
        raise Unavailable("rows received before that moment are still being stored; try again")
    return min(began)


def _writers(conn: Connection, moment: datetime) -> list[Row[tuple[str, datetime | None]]]:
    return list(conn.execute(_WRITERS, {"moment": moment, "sources": SOURCES}))


_WRITERS = text("""
    SELECT DISTINCT lock.virtualtransaction AS transaction, activity.xact_start AS began
    FROM pg_locks AS lock
    LEFT JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
    WHERE lock.relation IN (SELECT truthline_internal.written_tables(source)
                            FROM unnest(CAST(:sources AS text[])) AS source)
      AND lock.mode = 'RowExclusiveLock'
      AND lock.pid IS DISTINCT FROM pg_backend_pid()
      AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND coalesce(activity.xact_start < :moment, true)
""")
