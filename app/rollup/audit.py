"""Audit: recount the rows of a level before the level is used.

What fills a level should have missed no row; the audit checks this. A span whose cells differ from
its rows is recorded in `audit_fault`, in the transaction that moves `audited_until` past it. As
long as the fault is open, the level isn't used from there on. app/rollup/refresh.py repairs it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.levels import Level
from app.rollup.writers import writers_have_ended
from app.store.database import Database

# The learned span that one statement reads.
SLICE = "7 days"


@dataclass(frozen=True, slots=True)
class Fault:
    """A learned span whose cells don't equal the rows they were computed from.

    `n_rows` is the number of rows in the source, `n_counted` that in the cells, both for the series
    that differ.
    """

    level: str
    learned_from: datetime
    learned_until: datetime
    n_rows: int
    n_counted: int


def audit_new(database: Database, level: Level, *, wait: bool = True) -> list[Fault]:
    """Audit what was filled since the last audit; returns the faulty spans.

    Waits for those who are writing, whatever filled the level: a row that it missed, because a
    clock went back or another process refreshed, is visible then. Does nothing if a writer doesn't
    end in time: the next round tries again. Without `wait` the caller has waited.
    """
    with database.reading() as conn:
        state = conn.execute(_STATE, {"level": level.name}).one()
        if not state.is_behind:
            return []
        if wait and not writers_have_ended(conn, level.source):
            return []
    return audit(database, level, state.audited_until, state.goal)


def audit(
    database: Database,
    level: Level,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Fault]:
    """Audit the spans of a level in [since, until), as far as it is filled; all of them by default.

    Spans that contain `since` or `until` are audited as a whole. Those of a recent level have no
    fixed edges: give none there, or those of its folds.

    Returns the faulty spans, which are recorded; recorded faults that no longer exist there are
    closed. Cost: the source's rows or cells in those spans, read once, a week per transaction.
    """
    with database.reading() as conn:
        parameters = {"level": level.name, "since": since, "until": until, "slice": SLICE}
        slices = conn.execute(text(_SLICES.format(level=level.name)), parameters).all()
    return [fault for span in slices for fault in _audit_slice(database, level, *span)]


def open_faults(database: Database, level: Level) -> list[Fault]:
    """Faults that audits have found and nobody has repaired since."""
    with database.reading() as conn:
        return [Fault(*row) for row in conn.execute(_OPEN_FAULTS, {"level": level.name})]


def _audit_slice(
    database: Database, level: Level, since: datetime | None, until: datetime
) -> list[Fault]:
    """One transaction: faults and `audited_until` become visible together."""
    span: dict[str, object] = {"level": level.name, "since": since, "until": until}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        rows = conn.execute(_COMPARE, span).all()
        span["until"] = rows[0].audited_until
        if span["until"] is None:  # the level is empty now
            return []
        faults = [Fault(level.name, *row[1:]) for row in rows if row.learned_from is not None]
        _record(conn, span, faults)
    return faults


def _record(conn: Connection, span: dict[str, object], faults: list[Fault]) -> None:
    """Close old faults of the span, record the present ones, and move `audited_until`."""
    open_spans = [fault.learned_from for fault in faults]
    conn.execute(_CLOSE, span | {"open_spans": open_spans})
    for fault in faults:
        conn.execute(
            _OPEN,
            {
                "level": fault.level,
                "since": fault.learned_from,
                "until": fault.learned_until,
                "rows": fault.n_rows,
                "counted": fault.n_counted,
            },
        )
    conn.execute(_MOVE_AUDITED_UNTIL, span)


_STATE = text("""
    SELECT nullif(audited_until, '-infinity') AS audited_until,
           nullif(goal, '-infinity') AS goal, goal > audited_until AS is_behind
    FROM level CROSS JOIN LATERAL truthline_internal.audit_goal(name) AS goal
    WHERE name = :level
""")
_OPEN_FAULTS = text("""
    SELECT level, learned_from, learned_until, n_rows, n_counted FROM audit_fault
    WHERE level = :level AND healed_at IS NULL ORDER BY learned_from
""")
# The first slice starts where the caller says, by default at -infinity: rows that were never
# counted could be older than the first cell.
_SLICES = """
    WITH requested AS (
        SELECT coalesce(CASE WHEN recent THEN asked.since ELSE learned_start(span, asked.since) END,
                        '-infinity') AS since,
               least(CASE WHEN recent OR asked.until = learned_start(span, asked.until)
                          THEN asked.until ELSE learned_start(span, asked.until) + span END,
                     truthline_internal.audit_goal(name)) AS until,
               span, greatest(CAST(:slice AS interval), span) AS width
        FROM level CROSS JOIN LATERAL whole_span(level) AS span
        CROSS JOIN (SELECT CAST(:since AS timestamptz), CAST(:until AS timestamptz))
            AS asked (since, until)
        WHERE name = :level
    ),
    earliest AS (
        SELECT nullif(greatest(since, (SELECT min(learned) FROM {level})), '-infinity') AS first
        FROM requested
    ),
    edge AS (
        SELECT since AS at FROM requested
        UNION
        SELECT at FROM requested CROSS JOIN earliest CROSS JOIN LATERAL generate_series(
            learned_start(span, first) + width, until, width) AS at
    )
    SELECT nullif(at, '-infinity'), lead(at, 1, until) OVER (ORDER BY at)
    FROM edge CROSS JOIN requested WHERE at < until ORDER BY at
"""
# The limit and the compared rows are from one snapshot.
_COMPARE = text("""
    WITH goal AS MATERIALIZED (
        SELECT least(CAST(:until AS timestamptz),
                     truthline_internal.audit_goal(:level)) AS audited_until
    )
    SELECT nullif(audited_until, '-infinity') AS audited_until, fault.*
    FROM goal LEFT JOIN LATERAL truthline_internal.audit(
        :level, coalesce(CAST(:since AS timestamptz), '-infinity'), audited_until) AS fault ON true
""")
_CLOSE = text("""
    UPDATE audit_fault SET healed_at = clock_timestamp()
    WHERE level = :level AND healed_at IS NULL
      AND learned_from >= coalesce(CAST(:since AS timestamptz), '-infinity')
      AND learned_until <= :until AND learned_from <> ALL (CAST(:open_spans AS timestamptz[]))
""")
_OPEN = text("""
    INSERT INTO audit_fault (level, learned_from, learned_until, n_rows, n_counted)
    VALUES (:level, :since, :until, :rows, :counted)
    ON CONFLICT (level, learned_from) WHERE healed_at IS NULL
    DO UPDATE SET n_rows = EXCLUDED.n_rows, n_counted = EXCLUDED.n_counted
""")
# Only if the span continues what was audited before.
_MOVE_AUDITED_UNTIL = text("""
    UPDATE level SET audited_until = :until
    WHERE name = :level AND audited_until < :until
      AND audited_until >= coalesce(CAST(:since AS timestamptz), '-infinity')
""")
