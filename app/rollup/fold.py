"""Fold: append newly learned rows to each level, and move `learned_until`, in one transaction.

For editions without continuous aggregates. Only complete spans of the learned clock are folded,
once all their rows are visible: the fold waits for those who write after the span's end
(app/rollup/writers.py). A row that is backdated into a folded span is counted by the trigger
`keep_backdated`, which takes the same lock on the level as the fold.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.levels import Level
from app.rollup.writers import writers_have_ended
from app.store.database import Database

# The trigger takes no lock for rows of the last five minutes; they must not be folded.
CLOCK_MARGIN = "10 minutes"


@dataclass(frozen=True, slots=True)
class Folded:
    """Result of a fold: how many cells it appended, of how many rows, and until when they reach."""

    level: str
    cells: int
    rows: int
    until: datetime


def fold(database: Database, level: Level, until: datetime | None = None) -> Folded | None:
    """Fold a level as far as possible, at most until `until`. None if there is nothing to do.

    A lock on the level's row lets one process at a time do it. The fold waits for writers before it
    takes this lock: one of them may need it to end. If one doesn't end in time, or if the clock
    went back, the level is left for the next round.
    """
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        parameters = {"level": level.name, "until": until, "margin": CLOCK_MARGIN}
        target = conn.execute(_TARGET, parameters).scalar_one_or_none()
        if target is None or (level.from_raw and not writers_have_ended(conn, level.source)):
            return None
        return append(conn, level, target, CLOCK_MARGIN)


def append(conn: Connection, level: Level, target: datetime, margin: str) -> Folded | None:
    """Append what a level has not learned before `target`. All rows until then must be visible.

    None if another process has done it, or if `target` is not older than `margin`.
    """
    goal = {"level": level.name, "target": target, "margin": margin}
    statement = conn.execute(_LOCK_LEVEL, goal).scalar_one_or_none()
    if statement is None:
        return None
    cells, rows = conn.exec_driver_sql(statement).one()
    conn.execute(_MOVE_LEARNED_UNTIL, goal)
    return Folded(level.name, cells, rows, target)


def refold(database: Database, level: Level, since: datetime, until: datetime) -> None:
    """Replace the cells of [since, until) by those of the source's present rows.

    Uncommitted rows that are backdated into those spans hold the lock on the level's row, for which
    this waits.
    """
    span = {"level": level.name, "since": since, "until": until}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        delete, append = conn.execute(_LOCK_SPAN, span).one()
        conn.exec_driver_sql(delete)
        conn.exec_driver_sql(append)


# How far to fold now; no row if there is nothing to do. A level made from another is folded no
# further than that one, and one made from raw rows until shortly before now.
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
# The statement that appends a span, as text. A span of a recent level begins where the last one
# ended, or with an hour.
_INSERT = """format(
        'INSERT INTO truthline_data.%I %s ORDER BY 1, 3, 2', name,
        level_query(level, format('truthline_data.%I', source),
                    format('greatest(%L, truthline_data.learned_start(%L, {{at}}))',
                           {since}, whole_span(level)),
                    format('{{at}} >= %L AND {{at}} < %L', {since}, {until})))
"""
# It returns the number of cells, and that of their rows.
_LOCK_LEVEL = text(f"""
    SELECT format('WITH appended AS (%s RETURNING %I AS n_rows)'
                  ' SELECT count(*), coalesce(sum(n_rows), 0)::bigint FROM appended',
                  {_INSERT.format(since="learned_until", until="CAST(:target AS timestamptz)")},
                  (SELECT row_count FROM subject WHERE subject.name = level.subject))
    FROM level
    WHERE name = :level AND learned_until < :target
      AND :target <= clock_timestamp() - CAST(:margin AS interval)
    FOR UPDATE
""")
_MOVE_LEARNED_UNTIL = text("UPDATE level SET learned_until = :target WHERE name = :level")
_SINCE, _UNTIL = "CAST(:since AS timestamptz)", "CAST(:until AS timestamptz)"
_LOCK_SPAN = text(f"""
    SELECT format('DELETE FROM truthline_data.%I WHERE learned >= %L AND learned < %L',
                  name, CAST(:since AS timestamptz), CAST(:until AS timestamptz)),
           {_INSERT.format(since=_SINCE, until=_UNTIL)}
    FROM level
    WHERE name = :level
    FOR UPDATE
""")
