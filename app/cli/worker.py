"""`truthline worker`: housekeeping as a process of its own."""

import logging
import signal
import threading
from pathlib import Path

import click

from app.cli.connection import connected, data_option, embedded
from app.cli.watch import watched
from app.config import Settings
from app.upkeep.housekeeping import run_housekeeping

_log = logging.getLogger(__name__)


@click.command()
@data_option
@click.pass_obj
def worker(settings: Settings, data: Path | None) -> None:
    """Run housekeeping until stopped."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    cluster = embedded(settings, data)
    with connected(settings, data, create=True) as database, watched(cluster):
        _log.info("worker started")
        run_housekeeping(database, settings, stop)
