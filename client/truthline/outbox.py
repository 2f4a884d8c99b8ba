"""Background delivery: any thread adds rows, and one background thread sends them.

Adding a row neither blocks nor returns a result. Rows of a kind are stored exactly once, in the
order in which they were logged: a batch whose response was lost is retried with the same key.
"""

import atexit
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from truthline.batch import Batch
from truthline.buffer import Buffer, Counts
from truthline.errors import InvalidRequest, TooLarge, TruthlineError
from truthline.forks import watch
from truthline.session import Backoff

_log = logging.getLogger("truthline")


class Kind(str, Enum):
    """The kind of a row; also the last segment of its path."""

    PREDICTIONS = "predictions"
    FEEDBACK = "feedback"


@dataclass(frozen=True)
class Limits:
    """Limits of the queue and of batches, for predictions and for feedback separately.

    Attributes:
        max_rows: maximum number of queued rows; beyond it, the oldest are dropped.
        max_bytes: maximum memory of queued rows.
        batch_rows: rows per request.
        batch_bytes: bytes per request, before compression.
        linger: seconds that a row may wait for a batch to fill.
        exit_seconds: maximum delay of the process exit to send queued rows.
    """

    max_rows: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    batch_rows: int = 5_000
    batch_bytes: int = 4 * 1024 * 1024
    linger: float = 1.0
    exit_seconds: float = 5.0

    def __post_init__(self) -> None:
        counts = (self.max_rows, self.max_bytes, self.batch_rows, self.batch_bytes)
        if min(counts) < 1 or min(self.linger, self.exit_seconds) < 0:
            raise ValueError(f"limits must be positive: {self}")

    def worth_sending(self, rows: int, size: int) -> bool:
        """Whether the rows fill a batch, or half of the queue."""
        return rows >= min(self.batch_rows, (self.max_rows + 1) // 2) or size >= min(
            self.batch_bytes, self.max_bytes // 2
        )


Deliver = Callable[[Kind, Batch], None]


class Outbox:
    """Buffers, and the thread that empties them, started by the first row.

    Args:
        deliver: sends one batch, or raises a `TruthlineError`.
        limits: limits of the buffers and batches.
        backoff: wait between attempts.
    """

    def __init__(self, deliver: Deliver, limits: Limits, backoff: Backoff) -> None:
        self._deliver = deliver
        self._limits = limits
        self._backoff = backoff
        self._closed = False
        self._begin()
        watch(self)

    def _begin(self) -> None:
        # Reentrant: a signal handler may log while its thread is in the middle of logging.
        self._lock = threading.RLock()
        self._stirred = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        limits = self._limits
        self._buffers = {
            kind: Buffer(max_rows=limits.max_rows, max_bytes=limits.max_bytes) for kind in Kind
        }
        self._thread: threading.Thread | None = None
        self._lingering = False
        self._flushing = 0
        self._deadline: float | None = None
        self._given_up = False
        self._said: set[str] = set()
        self._dropped_before = 0  # when no rows were being dropped
        self.last_problem = ""

    def after_fork(self) -> None:
        """Start with empty buffers: the parent sends the queued rows."""
        self._begin()

    # --- from the model's threads -----------------------------------------------------------

    def put(self, kind: Kind, row: bytes) -> None:
        """Queue a row."""
        with self._lock:
            buffer = self._buffers[kind]
            if self._closed:
                buffer.miss()
                return
            buffer.put(row)
            if len(buffer) == 1 or (self._lingering and self._full(buffer)):
                self._stirred.notify()
            if self._thread is None:
                self._start()

    def refuse(self, kind: Kind, reason: str) -> None:
        """Count a row that can't be sent."""
        with self._lock:
            self._buffers[kind].refuse()
            self.last_problem = reason
        self._warn_once("refused", "a row of %s can't be logged: %s", kind.value, reason)

    def counts(self, kind: Kind) -> Counts:
        """Return the numbers of rows of a kind, by state."""
        with self._lock:
            return self._buffers[kind].counts

    def flush(self, timeout: float | None) -> bool:
        """Send queued rows now; returns whether all were settled within `timeout` seconds."""
        with self._lock:
            if self._thread is None and not self._idle():
                self._start()
                if self._thread is None:
                    return False
            self._flushing += 1
            self._stirred.notify()
            try:
                return self._settled.wait_for(self._idle, timeout) and not self._given_up
            finally:
                self._flushing -= 1

    def close(self, timeout: float | None = None) -> None:
        """Send queued rows for at most `timeout` seconds, drop the rest, and accept no more."""
        seconds = self._limits.exit_seconds if timeout is None else timeout
        with self._lock:
            self._closed = True
            self._deadline = time.monotonic() + seconds
            self._stirred.notify()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        atexit.unregister(self.close)
        with self._lock:
            left = sum(buffer.abandon() for buffer in self._buffers.values())
            self._given_up = self._given_up or left > 0
            self._settled.notify_all()
        if left:
            _log.warning("%d rows were not sent before the client closed, and are lost", left)

    # --- the thread -------------------------------------------------------------------------

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="truthline", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread available; the next row tries again
            return
        self._thread = thread
        _at_exit(self.close)

    def _run(self) -> None:
        while self._wait_for_rows():
            for kind in Kind:
                rows = self._take(kind)
                if rows and not self._send(kind, rows):
                    return

    def _wait_for_rows(self) -> bool:
        """Wait until a batch is full or lingered long enough; False if there will be no more."""
        with self._lock:
            self._stirred.wait_for(lambda: not self._idle() or self._closed)
            self._lingering = True
            self._stirred.wait_for(self._due, self._limits.linger)
            self._lingering = False
            return not self._idle()

    def _take(self, kind: Kind) -> list[bytes]:
        with self._lock:
            return self._buffers[kind].take(
                max_rows=self._limits.batch_rows, max_bytes=self._limits.batch_bytes
            )

    def _send(self, kind: Kind, rows: list[bytes]) -> bool:
        """Send until the server has settled each row; False if the time ran out."""
        work, attempt = deque([Batch(rows)]), 0
        while work:
            try:
                self._deliver(kind, work[0])
            except (InvalidRequest, TooLarge) as error:
                rest = work.popleft().without_refused(error)
                work.extendleft(reversed(rest.batches))
                self._on_refused(kind, rest.refused, error)
            except Exception as error:  # noqa: BLE001 - this thread must survive any error
                self._on_away(error)
                asked = error.retry_after if isinstance(error, TruthlineError) else None
                if not self._pause(self._backoff.seconds(attempt, asked)):
                    return False
                attempt += 1
            else:
                attempt = 0
                self._on_sent(kind, len(work.popleft().rows))
            self._tell_of_dropped()
        return True

    def _pause(self, seconds: float) -> bool:
        """Wait, or less if the client closes; False if no time is left."""
        with self._lock:
            if self._deadline is not None:
                seconds = min(seconds, self._deadline - time.monotonic())
                self._stirred.wait_for(lambda: self._given_up, max(seconds, 0))
            else:
                self._stirred.wait_for(lambda: self._closed, seconds)
            return self._deadline is None or time.monotonic() < self._deadline

    # --- what happened ----------------------------------------------------------------------

    def _on_sent(self, kind: Kind, rows: int) -> None:
        with self._lock:
            was_away = "away" in self._said
            self._said.discard("away")
        if was_away:
            _log.info("the server is reachable again")
        self._settle(kind, sent=rows)

    def _on_refused(self, kind: Kind, rows: int, error: TruthlineError) -> None:
        if not rows:
            return
        self.last_problem = str(error)
        self._warn_once("refused", "%d rows of %s were refused: %s", rows, kind.value, error)
        self._settle(kind, refused=rows)

    def _on_away(self, error: Exception) -> None:
        self.last_problem = str(error) or type(error).__name__
        self._warn_once(
            "away",
            "%s; queueing up to %d predictions and as much feedback, then dropping the oldest",
            self.last_problem,
            self._limits.max_rows,
        )

    def _tell_of_dropped(self) -> None:
        """Log once when rows begin to be dropped, and their number after the queue is empty."""
        with self._lock:
            dropped = sum(buffer.counts.dropped for buffer in self._buffers.values())
            lost, over = dropped - self._dropped_before, self._idle()
            told = "dropped" in self._said
            if over:
                self._dropped_before = dropped
                self._said.discard("dropped")
        if lost and not over:
            self._warn_once("dropped", "no room for more rows: the oldest are being dropped")
        elif lost:
            _log.log(logging.INFO if told else logging.WARNING, "%d rows were dropped", lost)

    def _settle(self, kind: Kind, *, sent: int = 0, refused: int = 0) -> None:
        with self._lock:
            if self._given_up:
                return  # counted as dropped already
            self._buffers[kind].settle(sent=sent, refused=refused)
            if self._idle():
                self._settled.notify_all()

    def _warn_once(self, about: str, message: str, *details: object) -> None:
        """Log, which never raises; `warnings.warn` can be configured to raise."""
        with self._lock:
            new = about not in self._said
            self._said.add(about)
        _log.log(logging.WARNING if new else logging.DEBUG, message, *details)

    # --- conditions; the lock is held -------------------------------------------------------

    def _idle(self) -> bool:
        return all(buffer.idle for buffer in self._buffers.values())

    def _due(self) -> bool:
        hurried = self._flushing or self._closed
        return bool(hurried or any(self._full(buffer) for buffer in self._buffers.values()))

    def _full(self, buffer: Buffer) -> bool:
        return self._limits.worth_sending(len(buffer), buffer.bytes)


def _at_exit(close: Callable[[], None]) -> None:
    """Call at the exit of this process, also of a multiprocessing child, which skips atexit."""
    atexit.register(close)
    if util := sys.modules.get("multiprocessing.util"):
        util.Finalize(None, close, exitpriority=0)
