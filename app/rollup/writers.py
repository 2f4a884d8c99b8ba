"""Wait for writers: their rows are visible once their transactions have ended.

A writer stamps its rows before it commits, and holds a lock on the table from before its first row
until its end. So once all that held one at some moment have ended, every row received before that
moment is visible, unless it was backdated.
"""

import time

from sqlalchemy import Connection, text

TIME_LIMIT_SECONDS = 20.0
PAUSE_SECONDS = 0.02


def writers_have_ended(conn: Connection, source: str) -> bool:
    """Wait for those who are writing to a raw table or level, but not for later ones.

    Returns whether they ended within TIME_LIMIT_SECONDS. Prepared transactions count too.
    """
    writers = set(conn.execute(_WRITERS, {"source": source}).scalars())
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
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
