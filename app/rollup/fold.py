"""Fold: append to each level what was learned since, and move its bound in one transaction.

For editions without continuous aggregates. Only whole spans of the learned clock are folded, and
only once all rows of them can be seen: those who write after the span's end are waited for
(app/rollup/writers.py). A row that is stamped for a span already folded is counted by the trigger
`keep_backdated`, which takes the lock on the bound that the fold takes.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from app.rollup.levels import Level
from app.rollup.writers import writers_have_ended
from app.store.database import Database

# Rows of the last five minutes pass the trigger without a lock; they must not be folded.
CLOCK_MARGIN = "10 minutes"


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did: cells appended, and how far the level is clean now."""

    level: str
    cells: int
    until: datetime


def fold(database: Database, level: Level, until: datetime | None = None) -> Folded | None:
    """Fold a level as far as it goes; `until` holds it back. None where there is nothing to do.

    The lock on its bound lets one at a time do it. Writers are waited for before that lock is
    taken: one of them may need it to end. Where one doesn't end in time, the level is left for the
    next round; so it is where the clock went back meanwhile.
    """
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        bounds = {"level": level.name, "until": until, "margin": CLOCK_MARGIN}
        target = conn.execute(_TARGET, bounds).scalar_one_or_none()
        if target is None or (level.from_raw and not writers_have_ended(conn, level.source)):
            return None
        goal = {"level": level.name, "target": target, "margin": CLOCK_MARGIN}
        append = conn.execute(_LOCK_BOUND, goal).scalar_one_or_none()
        if append is None:  # another process was here, or the clock went back
            return None
        cells = conn.exec_driver_sql(append).rowcount
        conn.execute(_MOVE_BOUND, goal)
        return Folded(level.name, cells, target)


def fold_again(database: Database, level: Level, since: datetime, until: datetime) -> None:
    """Replace the cells of [since, until) by what the source holds.

    Rows that are stamped for those spans and not yet committed have taken the lock on the bound,
    which is waited for.
    """
    span = {"level": level.name, "since": since, "until": until}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        drop, append = conn.execute(_LOCK_SPAN, span).one()
        conn.exec_driver_sql(drop)
        conn.exec_driver_sql(append)


# How far to fold now; no row if there is nothing to do. A level from another goes no further than
# that one; one from raw rows, than the clock.
_TARGET = text("""
    SELECT target FROM level
    CROSS JOIN LATERAL (
        SELECT learned_start(learned_width, least(
            CAST(:until AS timestamptz),
            clock_timestamp() - CAST(:margin AS interval),
            truthline_internal.clean_until(source)))
    ) AS goal (target)
    WHERE name = :level AND target > learned_until
""")
# What to append of a span, as the text of a statement.
_APPEND = """format(
        'INSERT INTO truthline_data.%I %s ORDER BY 1, 3, 2', name,
        level_query(level, format('truthline_data.%I', source),
                    format('truthline_data.learned_start(%L, {{at}})', learned_width),
                    format('{{at}} >= %L AND {{at}} < %L', {since}, {until})))
"""
_LOCK_BOUND = text(f"""
    SELECT {_APPEND.format(since="learned_until", until="CAST(:target AS timestamptz)")}
    FROM level
    WHERE name = :level AND learned_until < :target
      AND :target <= clock_timestamp() - CAST(:margin AS interval)
    FOR UPDATE
""")
_MOVE_BOUND = text("UPDATE level SET learned_until = :target WHERE name = :level")
_SINCE, _UNTIL = "CAST(:since AS timestamptz)", "CAST(:until AS timestamptz)"
_LOCK_SPAN = text(f"""
    SELECT format('DELETE FROM truthline_data.%I WHERE learned >= %L AND learned < %L',
                  name, CAST(:since AS timestamptz), CAST(:until AS timestamptz)),
           {_APPEND.format(since=_SINCE, until=_UNTIL)}
    FROM level
    WHERE name = :level
    FOR UPDATE
""")
