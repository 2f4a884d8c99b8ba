"""Continuous aggregates: refresh those levels that TimescaleDB keeps, when it is safe to.

A writer looks up how far an aggregate was refreshed before its rows can be seen. If a refresh moves
that bound in between, it misses the rows, and nothing tells it of them later. So those who write
after a span's end are waited for before the span is refreshed, as for a fold; and no policy of
TimescaleDB's, which would wait for nobody, refreshes our levels. What slips through all the same,
as a refresh that somebody else asks for, is found by the audit.
"""

import json
import time
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.errors import Unavailable
from app.rollup.levels import Level
from app.rollup.writers import writers_have_ended
from app.store.database import Database
from app.store.outages import is_held_lock

# How TimescaleDB is to cut a long refresh into transactions: as it likes.
OPTIONS: dict[str, int] = {}
PATIENCE_SECONDS = 600.0
PAUSE_SECONDS = 0.2


def refresh_aggregate(database: Database, level: Level, until: datetime | None = None) -> None:
    """Refresh the whole spans of a level that have ended; `until` holds it back.

    Nothing is done where nothing changed, or where a writer doesn't end in time.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    with database.outside_transactions() as conn:
        span = conn.execute(_SPAN, {"level": level.name, "until": until}).one()
        if span.until is None or not writers_have_ended(conn, level.source):
            return
        _refresh(conn, level, span.since, span.until, force=False)


def refresh_again(database: Database, level: Level, since: datetime, until: datetime) -> None:
    """Make the cells of [since, until) again, whatever TimescaleDB thinks has changed.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    with database.outside_transactions() as conn:
        _refresh(conn, level, since, until, force=True)


def _refresh(
    conn: Connection, level: Level, since: datetime | None, until: datetime, *, force: bool
) -> None:
    span: dict[str, Any] = {"level": f"truthline_data.{level.name}", "since": since, "until": until}
    span |= {"force": force, "options": json.dumps(OPTIONS)}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _refreshed(conn, span):
        if time.monotonic() > deadline:
            raise Unavailable(f"another refresh of {level.name} takes its time; try again later")
        time.sleep(PAUSE_SECONDS)


def _refreshed(conn: Connection, span: dict[str, Any]) -> bool:
    """Refresh, unless another refresh is under way: TimescaleDB lets one at a time do it."""
    try:
        conn.execute(_REFRESH, span)
    except OperationalError as error:
        if not is_held_lock(error):
            raise
        return False
    return True


# From where the source still has its rows, for a refresh of what was dropped there would erase the
# cells; to the end of the last whole span. NULL where the level is filled that far already.
_SPAN = text("""
    SELECT (SELECT since FROM retention WHERE relation = level.source),
           CASE WHEN target > filled_until AND isfinite(target) THEN target END AS until
    FROM level
    JOIN truthline_internal.filled_levels() AS filled USING (name)
    CROSS JOIN LATERAL (
        SELECT learned_start(learned_width, least(
            CAST(:until AS timestamptz), clock_timestamp(), truthline_internal.clean_until(source)))
    ) AS goal (target)
    WHERE name = :level
""")
_REFRESH = text("""
    CALL public.refresh_continuous_aggregate(
        CAST(:level AS text), CAST(:since AS timestamptz), CAST(:until AS timestamptz),
        force => :force, options => CAST(:options AS jsonb))
""")
