"""Erasing: what is erased from the raw tables vanishes from the levels too.

Where levels are folded, this happens in the transaction that deletes the rows. TimescaleDB records
the deletion instead, so that answers read rows from there on; `recount` lets it compute the cells
again.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

from app.rollup.audit import Fault
from app.rollup.refresh import audit_levels, refresh
from app.store.database import Database


def erase_from_levels(conn: Connection, whole_series: list[int]) -> None:
    """Take the rows of the temporary table `erased_row` out of all levels.

    All cells of `whole_series` are deleted, also those whose rows retention has dropped.
    """
    if whole_series:
        conn.execute(_ERASE_CELLS, {"series": whole_series})
    else:
        conn.execute(_RECOUNT)
    for level in conn.execute(_RECENT).scalars().all():
        conn.execute(_START_OVER, {"level": level})


def recount(database: Database, since: datetime, until: datetime) -> Iterable[Fault]:
    """Fill the levels again and audit the months of [since, until]; returns unrepaired faults.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    refresh(database)
    with database.reading() as conn:
        months = conn.execute(_MONTHS, {"since": since, "until": until}).one()
    return [
        fault
        for audited in audit_levels(database, since=months.since, until=months.until)
        for fault in audited.unrepaired
    ]


_ERASE_CELLS = text("CALL erase_cells(CAST(:series AS integer[]))")
_RECOUNT = text("CALL recount_erased()")
_RECENT = text("""
    SELECT level.name FROM level JOIN subject ON subject.name = level.subject
    WHERE recent AND level.source = subject.source ORDER BY place
""")
_START_OVER = text("CALL start_over(:level)")
# An audit compares whole spans: the widest are months.
_MONTHS = text("""
    SELECT learned_start(width, CAST(:since AS timestamptz)) AS since,
           learned_start(width, CAST(:until AS timestamptz)) + width AS until
    FROM (SELECT max(learned_width) AS width FROM level) AS widest
""")
