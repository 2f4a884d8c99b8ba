"""`truthline worker`: what has to be done from time to time. Any number may run; one works."""

import logging
import signal
import threading
from pathlib import Path

import click
from sqlalchemy import Connection, text

from app.cli.connection import connected, data_option
from app.config import Settings
from app.errors import Unavailable
from app.ingest.batch import forget_old_batches
from app.store.database import Database

PAUSE_SECONDS = 60.0
# Any number will do, as long as nothing else in the database takes it.
HOUSEKEEPING_LOCK = 7_236_514_412

_log = logging.getLogger(__name__)


@click.command()
@data_option
@click.pass_obj
def worker(settings: Settings, data: Path | None) -> None:
    """Keep house until stopped."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with connected(settings, data) as database:
        _log.info("worker started")
        keep_house(database, stop)


def keep_house(database: Database, stop: threading.Event) -> None:
    """Do a round now and then. An outage is waited out, not died of."""
    while not stop.is_set():
        try:
            with database.writing() as conn:
                _round(conn)
        except Unavailable as error:
            _log.warning("housekeeping put off: %s", error)
        stop.wait(PAUSE_SECONDS)


def _round(conn: Connection) -> None:
    """One round, unless another worker is at it."""
    if not conn.execute(_TRY_LOCK, {"lock": HOUSEKEEPING_LOCK}).scalar():
        return
    if forgotten := forget_old_batches(conn):
        _log.info("forgot %d old idempotency keys", forgotten)


_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
