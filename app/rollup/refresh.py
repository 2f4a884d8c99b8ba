"""Refresh: bring every level up to date now, whoever keeps it.

TimescaleDB's own policies refresh continuous aggregates from time to time, and the worker folds
the others; this is for whoever doesn't want to wait.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.errors import Unavailable
from app.rollup.fold import fold
from app.rollup.levels import Level, levels
from app.store.database import Database

# How TimescaleDB is to cut a long refresh into transactions: as it likes.
OPTIONS: dict[str, int] = {}
PATIENCE_SECONDS = 600.0
PAUSE_SECONDS = 0.2
LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A level and until when it is clean now; None while it is not."""

    level: str
    clean_until: datetime | None


def refresh(database: Database, until: datetime | None = None) -> list[Refreshed]:
    """Bring all levels up to date, as far as `until`, by default to now.

    Cost: what changed since the last time.

    Raises:
        Unavailable: a refresh by a policy doesn't end.
    """
    fold(database, until)
    with database.outside_transactions() as conn:
        for level in levels(conn):
            if not level.folded:
                _refresh_aggregate(conn, level, until)
    with database.reading() as conn:
        return list(_clean(conn))


def _refresh_aggregate(conn: Connection, level: Level, until: datetime | None) -> None:
    """Only whole spans are refreshed, from where the source still has its rows.

    A refresh of what was dropped from the source would erase the cells.
    """
    since = conn.execute(_SINCE, {"source": level.source}).scalar()
    span = {"level": f"truthline_data.{level.name}", "since": since, "until": until}
    span["options"] = json.dumps(OPTIONS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _refreshed(conn, span):
        if time.monotonic() > deadline:
            raise Unavailable(f"another refresh of {level.name} takes its time; try again later")
        time.sleep(PAUSE_SECONDS)


def _refreshed(conn: Connection, span: dict[str, Any]) -> bool:
    """Refresh, unless a policy is at it: TimescaleDB lets one at a time do it."""
    try:
        conn.execute(_REFRESH, span)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _clean(conn: Connection) -> Iterator[Refreshed]:
    for name, clean_until in conn.execute(_CLEAN):
        yield Refreshed(name, clean_until)


_SINCE = text("SELECT since FROM retention WHERE relation = :source")
_REFRESH = text("""
    CALL public.refresh_continuous_aggregate(
        CAST(:level AS text), CAST(:since AS timestamptz),
        least(CAST(:until AS timestamptz), clock_timestamp()), options => CAST(:options AS jsonb))
""")
_CLEAN = text("SELECT name, nullif(clean_until, '-infinity') FROM truthline.levels()")
