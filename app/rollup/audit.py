"""Audit: count again what a level was made from, before anything is answered from it.

Whoever fills a level has a reason to believe that no row was missed; the audit looks. A span that
holds other than its rows is noted in `audit_fault`, in the same transaction that moves
`audited_until` past it, and while it stands there nothing is answered from the level from there on.
Healing it is for those who fill the level (app/rollup/refresh.py).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.levels import Level
from app.rollup.writers import writers_have_ended
from app.store.database import Database

# How much of the learned clock one statement looks at.
SLICE = "7 days"


@dataclass(frozen=True, slots=True)
class Fault:
    """A learned span whose cells don't hold the rows it was made from.

    `n_rows` is the number of rows in the source, `n_counted` that in the cells, both of the series
    that differ.
    """

    level: str
    learned_from: datetime
    learned_until: datetime
    n_rows: int
    n_counted: int


def audit_new(database: Database, level: Level) -> list[Fault]:
    """Audit what was filled since the last audit; returns the spans that are wrong.

    Nothing is done where a writer doesn't end in time: the next round tries again.
    """
    with database.reading() as conn:
        state = conn.execute(_STATE, {"level": level.name}).one()
        if not state.is_behind:
            return []
        # our own fold has waited; a refresh may not have been the only one, or not ours
        if not level.folded and not writers_have_ended(conn, level.source):
            return []
    return audit(database, level, state.audited_until, state.goal)


def audit(
    database: Database,
    level: Level,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Fault]:
    """Audit the spans of a level in [since, until), as far as it is filled; all of them by default.

    Returns those that are wrong, which are noted; faults noted there before and now gone are
    closed. Cost: the source's rows or cells in those spans, read once, a week per transaction.
    """
    with database.reading() as conn:
        bounds = {"level": level.name, "since": since, "until": until, "slice": SLICE}
        slices = conn.execute(text(_SLICES.format(level=level.name)), bounds).all()
    return [fault for span in slices for fault in _audit_slice(database, level, *span)]


def open_faults(database: Database, level: Level) -> list[Fault]:
    """What audits found wrong and nobody has healed since."""
    with database.reading() as conn:
        return [Fault(*row) for row in conn.execute(_OPEN_FAULTS, {"level": level.name})]


def _audit_slice(
    database: Database, level: Level, since: datetime | None, until: datetime
) -> list[Fault]:
    """One transaction: what is found, noted and passed becomes visible together."""
    span: dict[str, object] = {"level": level.name, "since": since, "until": until}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        looked = conn.execute(_LOOK, span).all()
        span["until"] = looked[0].audited_until
        if span["until"] is None:  # nothing is filled any more
            return []
        faults = [Fault(level.name, *row[1:]) for row in looked if row.learned_from is not None]
        _note(conn, span, faults)
    return faults


def _note(conn: Connection, span: dict[str, object], faults: list[Fault]) -> None:
    """Close what was noted in the span before, note what is wrong now, and move the bound."""
    still = [fault.learned_from for fault in faults]
    conn.execute(_CLOSE, span | {"still": still})
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
    conn.execute(_PASS, span)


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
# The first slice begins where the caller says, at the beginning of time by default: rows that were
# never counted could lie before the first cell.
_SLICES = """
    WITH asked AS (
        SELECT coalesce(CAST(:since AS timestamptz), '-infinity') AS since,
               least(CAST(:until AS timestamptz), truthline_internal.audit_goal(name)) AS until,
               learned_width, greatest(CAST(:slice AS interval), learned_width) AS width
        FROM level WHERE name = :level
    ),
    earliest AS (
        SELECT nullif(greatest(since, (SELECT min(learned) FROM {level})), '-infinity') AS first
        FROM asked
    ),
    bound AS (
        SELECT since AS at FROM asked
        UNION
        SELECT at FROM asked CROSS JOIN earliest CROSS JOIN LATERAL generate_series(
            learned_start(learned_width, first) + width, until, width) AS at
    )
    SELECT nullif(at, '-infinity'), lead(at, 1, until) OVER (ORDER BY at)
    FROM bound CROSS JOIN asked WHERE at < until ORDER BY at
"""
# The bound and what is compared are of one snapshot.
_LOOK = text("""
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
      AND learned_until <= :until AND learned_from <> ALL (CAST(:still AS timestamptz[]))
""")
_OPEN = text("""
    INSERT INTO audit_fault (level, learned_from, learned_until, n_rows, n_counted)
    VALUES (:level, :since, :until, :rows, :counted)
    ON CONFLICT (level, learned_from) WHERE healed_at IS NULL
    DO UPDATE SET n_rows = EXCLUDED.n_rows, n_counted = EXCLUDED.n_counted
""")
# Only what follows on what was audited before.
_PASS = text("""
    UPDATE level SET audited_until = :until
    WHERE name = :level AND audited_until < :until
      AND audited_until >= coalesce(CAST(:since AS timestamptz), '-infinity')
""")
