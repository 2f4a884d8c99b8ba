"""Fold: append to each level what was learned since, and move its bound in one transaction.

For editions without continuous aggregates. Only whole spans of the learned clock are folded, and
only once all rows of them can be seen. A writer stamps its rows before it commits, so when a span
has ended there may be rows of it that nobody sees yet. Such a writer holds a lock on the table
from before its first row until its end: once all who held one after the span's end are gone, the
span is complete. A row that is stamped for a span already folded is counted by the trigger
`keep_backdated`, which takes the lock on the bound that the fold takes.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.levels import Level, levels
from app.store.database import Database

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.02
# The trigger looks at rows that are five minutes old or older; younger ones must not be folded.
CLOCK_MARGIN = "10 minutes"


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did: cells appended, and how far the level is clean now."""

    level: str
    cells: int
    until: datetime


def fold(database: Database, until: datetime | None = None) -> list[Folded]:
    """Fold every level as far as it goes; `until` holds it back, for tests and catching up.

    A level whose writers don't end in time is left for the next round. Levels that TimescaleDB
    keeps are left to it.
    """
    with database.reading() as conn:
        ours = [level for level in levels(conn) if level.folded]
    return [done for level in ours if (done := _fold_level(database, level, until))]


def _fold_level(database: Database, level: Level, until: datetime | None) -> Folded | None:
    """Fold one level; the lock on its bound lets one at a time do it.

    The writers are waited for before that lock is taken: one of them may need it to end.
    """
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        bounds = {"level": level.name, "until": until, "margin": CLOCK_MARGIN}
        target = conn.execute(_TARGET, bounds).scalar_one_or_none()
        if target is None or (level.from_raw and not _writers_have_ended(conn, level.source)):
            return None
        goal = {"level": level.name, "target": target}
        append = conn.execute(_LOCK_BOUND, goal).scalar_one_or_none()
        if append is None:  # somebody else was here
            return None
        cells = conn.exec_driver_sql(append).rowcount
        conn.execute(_MOVE_BOUND, goal)
        return Folded(level.name, cells, target)


def _writers_have_ended(conn: Connection, table: str) -> bool:
    """Wait for those who write now, not for those who begin later."""
    writers = set(conn.execute(_WRITERS, {"table": table}).scalars())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while writers:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
        writers &= set(conn.execute(_WRITERS, {"table": table}).scalars())
    return True


# How far to fold now; no row if there is nothing to do. A level from another goes no further than
# that one; one from raw rows, than the clock.
_TARGET = text("""
    SELECT target FROM level
    CROSS JOIN LATERAL (
        SELECT learned_start(learned_width, least(
            CAST(:until AS timestamptz),
            clock_timestamp() - CAST(:margin AS interval),
            truthline.clean_until(source)))
    ) AS goal (target)
    WHERE name = :level AND target > learned_until
""")
# What to append, as the text of a statement.
_LOCK_BOUND = text("""
    SELECT format(
        'INSERT INTO truthline_data.%I %s ORDER BY 1, 3, 2', name,
        level_query(level, format('truthline_data.%I', source),
                    format('truthline_data.learned_start(%L, {at})', learned_width),
                    format('{at} >= %L AND {at} < %L',
                           learned_until, CAST(:target AS timestamptz))))
    FROM level
    WHERE name = :level AND learned_until < :target
    FOR UPDATE
""")
_MOVE_BOUND = text("UPDATE level SET learned_until = :target WHERE name = :level")
_WRITERS = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE relation = CAST(:table AS regclass) AND mode = 'RowExclusiveLock'
      AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
