"""Wait for other transactions: writers, whose rows are visible at their end, and readers.

A writer stamps its rows before it commits, and holds a lock on the table from before its first row
until its end. So once all that held one at some moment have ended, every row received before that
moment is visible, unless it was backdated.
"""

import time
from collections.abc import Callable, Iterable

from sqlalchemy import Connection, text

TIME_LIMIT_SECONDS = 20.0
PAUSE_SECONDS = 0.02


def writers_have_ended(conn: Connection, source: str) -> bool:
    """Wait for those who are writing to a raw table or level, but not for later ones.

    Returns whether they ended within TIME_LIMIT_SECONDS. Prepared transactions count too.
    """
    return _have_ended(lambda: conn.execute(_WRITERS, {"source": source}).scalars())


def snapshots_have_ended(conn: Connection) -> bool:
    """Wait for those who may still read the database as it was, but not for later ones.

    Returns whether they ended within TIME_LIMIT_SECONDS. The transaction that holds the worker's
    lock reads nothing, so nobody waits for it.
    """
    return _have_ended(lambda: conn.execute(_TRANSACTIONS).scalars())


def _have_ended(running: Callable[[], Iterable[str]]) -> bool:
    left = set(running())
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while left:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
        left &= set(running())
    return True


_WRITERS = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE relation IN (SELECT truthline_internal.written_tables(:source))
      AND mode = 'RowExclusiveLock'
      AND pid IS DISTINCT FROM pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
_TRANSACTIONS = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock'
      AND pid IN (SELECT pid FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type = 'client backend')
      AND pid <> pg_backend_pid()
      AND pid NOT IN (SELECT pid FROM pg_locks
                      WHERE relation = to_regclass('truthline_data.upkeep_lock')
                        AND mode = 'ShareRowExclusiveLock' AND granted)
""")
