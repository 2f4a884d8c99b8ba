"""What has to be done from time to time. Any number of processes may keep house; one works."""

import logging
import threading
from dataclasses import astuple

from sqlalchemy import Connection, text

from app.auth.refresh import forget_old_tokens
from app.errors import Unavailable
from app.ingest.batch import forget_old_batches
from app.ingest.feedback import forget_stray_feedback
from app.rollup.fold import fold
from app.store.database import Database

PAUSE_SECONDS = 60.0
# Any number will do, as long as nothing else in the database takes it.
HOUSEKEEPING_LOCK = 7_236_514_412

_log = logging.getLogger(__name__)


def keep_house(database: Database, stop: threading.Event) -> None:
    """Do a round now and then. An outage is waited out, not died of."""
    while not stop.is_set():
        try:
            with database.writing() as conn:
                do_round(conn)
            for folded in fold(database):
                _log.info("folded %s: %d cells until %s", *astuple(folded))
        except Unavailable as error:
            _log.warning("housekeeping put off: %s", error)
        except Exception:  # noqa: BLE001 - a thread that ended would be missed by nobody
            _log.exception("housekeeping failed; the next round tries again")
        stop.wait(PAUSE_SECONDS)


def do_round(conn: Connection) -> None:
    """One round, unless another worker is at it."""
    if not conn.execute(_TRY_LOCK, {"lock": HOUSEKEEPING_LOCK}).scalar():
        return
    if forgotten := forget_old_batches(conn):
        _log.info("forgot %d old idempotency keys", forgotten)
    if expired := forget_old_tokens(conn):
        _log.info("forgot %d expired refresh tokens", expired)
    if strays := forget_stray_feedback(conn):
        _log.warning("forgot %d truths of another kind than their model's", strays)


_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
