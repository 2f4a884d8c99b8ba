"""Waiting for those who write: what they have stamped can be seen once they have ended.

A writer stamps its rows before it commits, and holds a lock on the table from before its first row
until its end. So once all who held one at some moment are gone, every row received before that
moment can be seen, unless it was backdated.
"""

import time

from sqlalchemy import Connection, text

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.02


def writers_have_ended(conn: Connection, source: str) -> bool:
    """Wait for those who write to a raw table or level now, not for those who begin later.

    Returns whether they ended within PATIENCE_SECONDS. Prepared transactions count too.
    """
    writers = set(conn.execute(_WRITERS, {"source": source}).scalars())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while writers:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
        writers &= set(conn.execute(_WRITERS, {"source": source}).scalars())
    return True


_WRITERS = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE relation IN (SELECT truthline_internal.written_tables(:source))
      AND mode = 'RowExclusiveLock'
      AND pid IS DISTINCT FROM pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
