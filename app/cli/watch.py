"""Restarts the embedded server if it has died: killed, or out of disk space."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded.server import Cluster, revive
from app.errors import TruthlineError

CHECK_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

_log = logging.getLogger(__name__)


def watch(cluster: Cluster, stop: threading.Event) -> None:
    """Check regularly whether the server is running, less often while it can't be started."""
    pause = CHECK_SECONDS
    while not stop.wait(pause):
        try:
            if revive(cluster):
                _log.warning("the database in %s had died and runs again", cluster.directory)
            pause = CHECK_SECONDS
        except TruthlineError as error:
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            _log.error("the database has died; the next attempt is in %.0f s: %s", pause, error)
        except Exception:  # noqa: BLE001 - nobody would notice if the thread ended
            pause = LONGEST_PAUSE_SECONDS
            _log.exception("watching the database failed")


@contextmanager
def watched(cluster: Cluster | None) -> Iterator[None]:
    """Watch the server within the block, if it is an embedded one."""
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
        thread.join()  # otherwise it would restart what is stopped next
