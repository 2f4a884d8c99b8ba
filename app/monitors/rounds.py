"""A round: judge what is due, and store verdicts and messages in one transaction."""

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from app.monitors.due import Due, due_monitors
from app.monitors.evaluation import evaluate
from app.monitors.outcome import Outcome, outcome_of
from app.monitors.past import past_of
from app.monitors.stored_verdicts import store
from app.query.stored_until import stored_until
from app.store.database import Database

# So many windows are judged by one set of statements, so that memory is bounded.
MAX_WINDOWS = 20_000

_log = logging.getLogger(__name__)


def judge_due(
    database: Database, until: datetime | None = None, public_url: str = ""
) -> datetime | None:
    """Judge the windows that have ended, and again those that later rows have touched.

    Returns the moment as of which it judged; None if there is nothing to do, or if another process
    was faster. `until` is the latest moment, by default now: an earlier one if rows received before
    it are still being stored. Messages have links to pages below `public_url`.

    Raises:
        Unavailable: nobody can tell since when some are stored; the next round tries again.
    """
    with database.reading() as conn:
        since, now, any_monitors = conn.execute(_BEGIN).one()
        if not any_monitors:
            return None
        as_of = stored_until(conn, min(now, until or now), earlier=True)
    if since is not None and as_of <= since:
        return None
    with database.reading() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        outcomes = _outcomes(conn, due_monitors(conn, since, as_of), as_of)
    if not store(database, outcomes, since, as_of, public_url):
        _log.info("another process has judged; its verdicts stay")
        return None
    return as_of


def _outcomes(conn: Connection, dues: Sequence[Due], as_of: datetime) -> list[Outcome]:
    found: list[Outcome] = []
    for chunk in _chunks(dues):
        judged = evaluate(conn, [due.job for due in chunk], as_of)
        past = past_of(conn, chunk, judged, as_of)
        found += [outcome_of(due, own, past, as_of) for due, own in zip(chunk, judged, strict=True)]
    return found


def _chunks(dues: Sequence[Due]) -> list[list[Due]]:
    chunks: list[list[Due]] = []
    windows = MAX_WINDOWS
    for due in dues:
        if windows >= MAX_WINDOWS:
            chunks.append([])
            windows = 0
        chunks[-1].append(due)
        windows += len(due.new) + len(due.touched)
    return chunks


_BEGIN = text("""
    SELECT as_of, clock_timestamp(), EXISTS (SELECT FROM monitor) FROM monitor_round
""")
