"""Continuous aggregates: refresh the levels that TimescaleDB maintains, when it is safe.

A writer reads how far an aggregate is refreshed before its rows become visible. If a refresh moves
that threshold in between, it misses these rows, and TimescaleDB never learns of them. So a span is
refreshed only after waiting for those who write after its end, as for a fold; and no policy of
TimescaleDB, which would wait for no writer, refreshes our levels. The audit finds what is missed
all the same, for example by a refresh that another process runs.
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

# How TimescaleDB splits a long refresh into transactions: by default, as it chooses.
OPTIONS: dict[str, int] = {}
MAX_PASSES = 5  # two suffice, unless older rows keep arriving
TIME_LIMIT_SECONDS = 600.0
PAUSE_SECONDS = 0.2


def refresh_aggregate(database: Database, level: Level, until: datetime | None = None) -> None:
    """Refresh the complete spans of a level that have ended, at most until `until`.

    Does nothing if nothing has changed, or if a writer doesn't end in time. A long refresh skips
    days without rows, and the level would count as filled up to the first of them: so it is
    refreshed again for as long as that gets it further.

    Raises:
        Unavailable: another refresh doesn't end.
    """
    with database.outside_transactions() as conn:
        before = None
        for _ in range(MAX_PASSES):
            span = conn.execute(_SPAN, {"level": level.name, "until": until}).one()
            if span.until is None or span.filled == before:
                return
            if not writers_have_ended(conn, level.source):
                return
            _refresh(conn, level, span.since, span.until, force=False)
            before = span.filled


def recompute_aggregate(database: Database, level: Level, since: datetime, until: datetime) -> None:
    """Recompute the cells of [since, until), even if TimescaleDB sees no changes.

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
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while not _try_refresh(conn, span):
        if time.monotonic() > deadline:
            raise Unavailable(f"another refresh of {level.name} is still running; try again later")
        time.sleep(PAUSE_SECONDS)


def _try_refresh(conn: Connection, span: dict[str, Any]) -> bool:
    """Refresh, unless another refresh is running: TimescaleDB allows one at a time."""
    try:
        conn.execute(_REFRESH, span)
    except OperationalError as error:
        if not is_held_lock(error):
            raise
        return False
    return True


# From where the source still has its rows: refreshing what was dropped there would erase the cells.
# To the end of the last complete span. NULL if the level is already filled that far.
_SPAN = text("""
    SELECT (SELECT since FROM truthline_data.retention WHERE relation = level.source),
           filled_until::text AS filled,  -- may be -infinity, which Python doesn't have
           CASE WHEN target > filled_until AND isfinite(target) THEN target END AS until
    FROM truthline_data.level
    JOIN truthline_internal.filled_levels() AS filled USING (name)
    CROSS JOIN LATERAL (
        SELECT truthline_data.learned_start(learned_width, least(
            CAST(:until AS timestamptz), clock_timestamp(), truthline_internal.clean_until(source)))
    ) AS goal (target)
    WHERE name = :level
""")
_REFRESH = text("""
    CALL public.refresh_continuous_aggregate(
        CAST(:level AS text), CAST(:since AS timestamptz), CAST(:until AS timestamptz),
        force => :force, options => CAST(:options AS jsonb))
""")
