"""What has to be done from time to time. Any number of processes may keep house; one works."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.auth.refresh import forget_old_tokens
from app.config import Settings
from app.errors import Unavailable
from app.ingest.batch import delete_old_batches
from app.ingest.events.pairs import delete_old_pairs
from app.ingest.feedback import delete_stray_feedback
from app.ingest.joins import join_orphaned
from app.rollup.columnstore import arrange_columnstore
from app.rollup.event_totals import fold_event_counts
from app.rollup.refresh import refresh
from app.rollup.retention import enforce, forget_keys
from app.store.database import Database
from app.store.outages import is_held_lock

PAUSE_SECONDS = 60.0

_log = logging.getLogger(__name__)


def keep_house(database: Database, settings: Settings, stop: threading.Event) -> None:
    """Do a round now and then. An outage is waited out, not died of."""
    while not stop.is_set():
        try:
            with _leading(database) as leader:
                if leader:
                    do_round(database, settings)
        except Unavailable as error:
            _log.warning("housekeeping put off: %s", error)
        except Exception:  # noqa: BLE001 - a thread that ended would be missed by nobody
            _log.exception("housekeeping failed; the next round tries again")
        stop.wait(PAUSE_SECONDS)


@contextmanager
def _leading(database: Database) -> Iterator[bool]:
    """Whether this process may do the round: one at a time does, for as long as it lives.

    The lock is one on a table, for anybody may take an advisory lock, and it ends with the
    transaction, so that it works through poolers too. The transaction has neither a snapshot nor an
    id: it holds back no vacuum however long the round takes.
    """
    with database.writing() as conn:
        conn.execute(_NO_TIMEOUTS)
        yield _is_free(conn)


def _is_free(conn: Connection) -> bool:
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(_TAKE_TURN)
    except OperationalError as error:
        if is_held_lock(error):
            return False
        raise
    return True


def do_round(database: Database, settings: Settings) -> None:
    """Forget what is too old, fill and audit the levels, drop what is counted and not kept."""
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        forget(conn, settings)
        for table in arrange_columnstore(conn, settings):
            _log.info("columnstore of %s: %d days", table, settings.columnstore_after_days)
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if joined := join_orphaned(conn):
            _log.warning("joined %d requests with truths that a process left waiting", joined)
    with database.writing() as conn:
        if numbers := fold_event_counts(conn):
            _log.info("added %d numbers to the totals of events", numbers)
    refresh(database)
    for dropped in enforce(database, settings, datetime.now(UTC)):
        _log.info("dropped %s before %s", *astuple(dropped))


def forget(conn: Connection, settings: Settings) -> None:
    """What no retry and no late truth will ask for any more."""
    if forgotten := delete_old_batches(conn):
        _log.info("forgot %d old idempotency keys", forgotten)
    if expired := forget_old_tokens(conn):
        _log.info("forgot %d expired refresh tokens", expired)
    if pairs := delete_old_pairs(conn):
        _log.info("forgot %d requests and responses of a day ago", pairs)
    if strays := delete_stray_feedback(conn):
        _log.warning("forgot %d truths of another kind than their model's", strays)
    if keys := forget_keys(conn, settings):
        _log.info("forgot %d requests and truths that waited too long", keys)


_TAKE_TURN = "LOCK TABLE truthline_data.upkeep_lock IN SHARE ROW EXCLUSIVE MODE NOWAIT"
# The transaction that holds the lock is idle while others of this process work.
_NO_TIMEOUTS = text("""
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
""")
