"""What has to be done from time to time. Any number of processes may keep house; one works."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from app.auth.refresh import forget_old_tokens
from app.config import Settings
from app.errors import Unavailable
from app.ingest.batch import forget_old_batches
from app.ingest.event_pairs import forget_old_pairs
from app.ingest.feedback import forget_stray_feedback
from app.rollup.columnstore import arrange_columnstore
from app.rollup.event_totals import fold_event_counts
from app.rollup.refresh import refresh
from app.rollup.retention import enforce, forget_keys
from app.store.database import Database

PAUSE_SECONDS = 60.0
# Any number will do, as long as nothing else in the database takes it.
HOUSEKEEPING_LOCK = 7_236_514_412

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
    """Whether this process may do the round: one at a time does, for as long as it lives."""
    with database.outside_transactions() as conn:
        lock = {"lock": HOUSEKEEPING_LOCK}
        leader = bool(conn.execute(_TRY_LOCK, lock).scalar())
        try:
            yield leader
        finally:
            if leader:
                conn.execute(_UNLOCK, lock)


def do_round(database: Database, settings: Settings) -> None:
    """Forget what is too old, fill and audit the levels, drop what is counted and not kept."""
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        forget(conn, settings)
        for table in arrange_columnstore(conn, settings):
            _log.info("columnstore of %s: %d days", table, settings.columnstore_after_days)
    with database.writing() as conn:
        if numbers := fold_event_counts(conn):
            _log.info("added %d numbers to the totals of events", numbers)
    refresh(database)
    for dropped in enforce(database, settings, datetime.now(UTC)):
        _log.info("dropped %s before %s", *astuple(dropped))


def forget(conn: Connection, settings: Settings) -> None:
    """What no retry and no late truth will ask for any more."""
    if forgotten := forget_old_batches(conn):
        _log.info("forgot %d old idempotency keys", forgotten)
    if expired := forget_old_tokens(conn):
        _log.info("forgot %d expired refresh tokens", expired)
    if pairs := forget_old_pairs(conn):
        _log.info("forgot %d requests and responses of a day ago", pairs)
    if strays := forget_stray_feedback(conn):
        _log.warning("forgot %d truths of another kind than their model's", strays)
    if keys := forget_keys(conn, settings):
        _log.info("forgot %d requests and truths that waited too long", keys)


_TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
_UNLOCK = text("SELECT pg_advisory_unlock(:lock)")
