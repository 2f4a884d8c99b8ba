"""Whoever holds the embedded server starts it again when it has ended: killed, or out of disk."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded.server import Cluster, revive
from app.errors import TruthlineError

LOOK_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

_log = logging.getLogger(__name__)


def watch(cluster: Cluster, stop: threading.Event) -> None:
    """Look now and then whether the server is there, less often while it can't be started."""
    pause = LOOK_SECONDS
    while not stop.wait(pause):
        try:
            if revive(cluster):
                _log.warning("the database in %s had ended and runs again", cluster.directory)
            pause = LOOK_SECONDS
        except TruthlineError as error:
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            _log.error("the database has ended; the next try is in %.0f s: %s", pause, error)
        except Exception:  # noqa: BLE001 - a thread that ended would be missed by nobody
            pause = LONGEST_PAUSE_SECONDS
            _log.exception("looking after the database failed")


@contextmanager
def watched(cluster: Cluster | None) -> Iterator[None]:
    """Look after the server meanwhile, if it is one of our own."""
    if cluster is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(cluster, stop), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()  # or it would start again what is stopped next
