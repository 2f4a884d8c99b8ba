"""Periodic work. Any number of processes may run it; a lock lets one at a time do it."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.auth.refresh import delete_expired_tokens
from app.config import Settings
from app.errors import Unavailable, with_reason
from app.ingest.batch import delete_old_batches
from app.ingest.events.pairs import delete_old_pairs
from app.ingest.events.unanswered import store_unanswered
from app.ingest.feedback import delete_stray_feedback
from app.ingest.joins import join_orphaned
from app.monitors.deliveries import delete_done, run_deliveries
from app.monitors.retention import delete_old_verdicts
from app.monitors.rounds import judge_due
from app.rollup.columnstore import set_columnstore_policies
from app.rollup.event_totals import fold_event_counts
from app.rollup.recent import Group, Pace, refresh_recent
from app.rollup.refresh import refresh
from app.rollup.retention import delete_old_keys, drop_expired
from app.store.database import Database
from app.store.outages import is_held_lock

PAUSE_SECONDS = 60.0
RECENT_PAUSE_SECONDS = 2.0
JUDGE_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


def run_housekeeping(database: Database, settings: Settings, stop: threading.Event) -> None:
    """Do a round every minute, and in between fill recent levels and let monitors judge.

    A thread delivers messages: each process does, because the database gives each one only once. It
    survives outages: it logs.
    """
    arguments = (database, settings, stop)
    threading.Thread(target=run_deliveries, args=arguments, daemon=True).start()
    paces: dict[Group, Pace] = defaultdict(Pace)
    next_round = next_verdicts = time.monotonic()
    while not stop.is_set():
        try:
            with leading(database) as leader:
                if leader and time.monotonic() < next_round:
                    refresh_recent(database, paces=paces)
                elif leader:
                    next_round = time.monotonic() + PAUSE_SECONDS
                    do_round(database, settings, paces)
                if leader and time.monotonic() >= next_verdicts:
                    next_verdicts = time.monotonic() + JUDGE_PAUSE_SECONDS
                    judge_due(database, public_url=settings.public_url)
        except Unavailable as error:
            _log.warning("housekeeping postponed: %s", with_reason(error))
        except Exception:  # noqa: BLE001 - nobody would notice if the thread ended
            _log.exception("housekeeping failed; the next round tries again")
        stop.wait(RECENT_PAUSE_SECONDS)


@contextmanager
def leading(database: Database) -> Iterator[bool]:
    """Whether this process does the round: one does, until it dies.

    The lock is on a table, because anybody may take an advisory lock. It ends with the transaction,
    so it works through connection poolers too. The transaction has neither a snapshot nor an id, so
    it delays no vacuum, however long the round takes.
    """
    with database.writing() as conn:
        conn.execute(_NO_TIMEOUTS)
        yield _try_lock(conn)


def _try_lock(conn: Connection) -> bool:
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(_LOCK_TABLE)
    except OperationalError as error:
        if is_held_lock(error):
            return False
        raise
    return True


def do_round(
    database: Database, settings: Settings, paces: Mapping[Group, Pace] | None = None
) -> None:
    """Delete what is too old, fill and audit the levels, and drop what is counted and expired."""
    seconds = settings.unanswered_after_s
    if seconds and (failures := store_unanswered(database, seconds)):
        _log.info("counted %d requests without a response as failed", failures)
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        delete_old(conn, settings)
    for table in set_columnstore_policies(database, settings):
        _log.info("columnstore of %s: %d days", table, settings.columnstore_after_days)
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if joined := join_orphaned(conn):
            _log.warning("joined %d requests with truths that a dead process left pending", joined)
    with database.writing() as conn:
        if numbers := fold_event_counts(conn):
            _log.info("added %d numbers to the totals of events", numbers)
    refresh(database, paces=paces)
    for dropped in drop_expired(database, settings, datetime.now(UTC)):
        _log.info("dropped %s before %s", *astuple(dropped))


def delete_old(conn: Connection, settings: Settings) -> None:
    """Delete what no retry and no late truth will need."""
    if batches := delete_old_batches(conn):
        _log.info("deleted %d old idempotency keys", batches)
    if expired := delete_expired_tokens(conn):
        _log.info("deleted %d expired refresh tokens", expired)
    if pairs := delete_old_pairs(conn):
        _log.info("deleted %d requests and responses that are a day old", pairs)
    if strays := delete_stray_feedback(conn):
        _log.warning("deleted %d truths of a different kind than their model", strays)
    if messages := delete_done(conn):
        _log.info("deleted %d messages that were delivered, or abandoned, long ago", messages)
    if verdicts := delete_old_verdicts(conn, settings.keep_verdicts_days):
        _log.info("deleted %d verdicts on windows that ended long ago", verdicts)
    if keys := delete_old_keys(conn, settings):
        _log.info("deleted %d requests and pending truths that are too old", keys)


_LOCK_TABLE = "LOCK TABLE truthline_data.upkeep_lock IN SHARE ROW EXCLUSIVE MODE NOWAIT"
# The transaction that holds the lock is idle while this process works in others.
_NO_TIMEOUTS = text("""
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
""")
