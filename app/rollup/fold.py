"""Fold: append to each level what was learned since, and move its bound in one transaction.

Only whole spans of the learned clock are folded, and only once all rows of them can be seen. A
writer stamps its rows before it commits, so when a span has ended there may be rows of it that
nobody sees yet. Such a writer holds a lock on the table from before its first row until its end:
once all who held one after the span's end are gone, the span is complete.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.levels import LEVELS, Level
from app.store.database import Database

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.02
# A server's clock may be set back, or a standby that takes over be behind: rows would then be
# stamped within a span that is folded, and never counted. It costs a few raw rows more.
CLOCK_MARGIN = "10 minutes"


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did: cells appended, and how far the level is clean now."""

    level: str
    cells: int
    until: datetime


def fold(database: Database, until: datetime | None = None) -> list[Folded]:
    """Fold every level as far as it goes; `until` holds it back, for tests and catching up.

    A level whose writers don't end in time is left for the next round.
    """
    done = []
    for level in LEVELS:
        with database.writing() as conn:
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            if folded := _fold_level(conn, level, until):
                done.append(folded)
    return done


def _fold_level(conn: Connection, level: Level, until: datetime | None) -> Folded | None:
    """Fold one level; the lock on its bound lets one at a time do it."""
    bounds = {"level": level.name, "source": level.source, "until": until}
    target = conn.execute(text(_target(level)), bounds).scalar_one_or_none()
    if target is None or (level.from_raw and not _writers_have_ended(conn)):
        return None
    cells = conn.execute(text(_append(level)), {"until": target}).rowcount
    conn.execute(_MOVE_BOUND, {"level": level.name, "until": target})
    return Folded(level.name, cells, target)


def _writers_have_ended(conn: Connection) -> bool:
    """Wait for those who write now, not for those who begin later."""
    writers = set(conn.execute(_WRITERS).scalars())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while writers:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
        writers &= set(conn.execute(_WRITERS).scalars())
    return True


def _target(level: Level) -> str:
    """How far to fold now; no row if there is nothing to do.

    A level from another goes no further than that one; one from raw rows, than the clock.
    """
    clock = f"clock_timestamp() - INTERVAL '{CLOCK_MARGIN}'"
    limit = f"least(CAST(:until AS timestamptz), {clock}, truthline.clean_until(:source))"
    return f"""
        SELECT target FROM level
        CROSS JOIN LATERAL (SELECT {level.span_of.format(at=limit)}) AS goal (target)
        WHERE name = :level AND target > learned_until
        FOR UPDATE OF level
    """


def _append(level: Level) -> str:
    learned, bucket, n, absolute_error, squared_error = level.columns
    return f"""
        INSERT INTO {level.name} (learned, bucket, series_id, predicted_label, actual_label,
                                  n, sum_absolute_error, sum_squared_error)
        SELECT {level.span_of.format(at=learned)}, {bucket},
               series_id, predicted_label, actual_label,
               sum({n})::bigint, sum({absolute_error}), sum({squared_error})
        FROM {level.source}
        WHERE {learned} >= truthline.clean_until('{level.name}') AND {learned} < :until
        GROUP BY 1, 2, 3, 4, 5
        ORDER BY 1, 3, 2
    """


_WRITERS = text("""
    SELECT virtualtransaction FROM pg_locks
    WHERE relation = 'outcome'::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
_MOVE_BOUND = text("UPDATE level SET learned_until = :until WHERE name = :level")
