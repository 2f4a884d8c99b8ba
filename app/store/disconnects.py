"""Cancel statements of clients that have left, and limit how long the database may be silent."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

Result = TypeVar("Result")

# Whether the client of this thread has disconnected; None if no client waits.
client_gone: ContextVar[Callable[[], bool] | None] = ContextVar("client_gone", default=None)

# A client that shuts down its side, as `nc -N` does, may still read its answer, if that is quick.
GRACE_SECONDS = 1.0
# The database cancels statements itself; it is silent for longer only if it hangs.
SILENCE_SECONDS = 5.0
_POLL_SECONDS = 0.1
# A shorter limit than that of the connection, or None.
_time_limit: ContextVar[float | None] = ContextVar("time_limit", default=None)
_CANCEL_SECONDS = 5.0
# Seconds that this thread has waited for the database since `count_waiting`.
_waited: ContextVar[float] = ContextVar("waited", default=0.0)


def count_waiting() -> None:
    """Count from here on how long this thread waits for the database."""
    _waited.set(0.0)


def seconds_waited() -> float:
    """How long this thread has waited since then."""
    return _waited.get()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the silence of the database for statements of this thread within the block."""
    outer = _time_limit.set(seconds)
    try:
        yield
    finally:
        _time_limit.reset(outer)


def watched(gen: PQGen[Result], check: Callable[[float], None]) -> PQGen[Result]:
    """The same generator; `check` gets the seconds waited, each time that nothing has arrived.

    psycopg lets a generator ask for the socket, and sends in whether it is ready.
    """
    began = time.monotonic()
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready:
                check(time.monotonic() - began)
            state = gen.send(ready)
    except StopIteration as end:
        result: Result = end.value
        return result


class WatchedConnection(psycopg.Connection[TupleRow]):
    """A connection that limits its waiting, and doesn't wait for a client that has left.

    Only statements on behalf of a client are watched; housekeeping takes as long as it needs.
    """

    limit_s: float = 0.0  # 0: no limit
    reading = False  # a statement that only reads can be cancelled silently

    def limit_silence(self, statement_timeout_ms: int) -> None:
        """Limit waiting for a server that cancels statements after this time."""
        if statement_timeout_ms:
            self.limit_s = statement_timeout_ms / 1000 + SILENCE_SECONDS

    def wait(
        self, gen: PQGen[Result], interval: float = _POLL_SECONDS, timeout: float | None = None
    ) -> Result:
        """Like psycopg's.

        Raises:
            OperationalError: the database has been silent for too long; the connection is closed.
        """
        if has_left := client_gone.get():
            gen = self._watched(gen, has_left)
        began = time.perf_counter()
        try:
            return super().wait(gen, interval, timeout)
        finally:
            _waited.set(_waited.get() + time.perf_counter() - began)

    def _watched(self, gen: PQGen[Result], has_left: Callable[[], bool]) -> PQGen[Result]:
        """The same generator; whenever nothing has arrived, check whether to go on waiting."""
        cancelled = False

        def check(waited: float) -> None:
            nonlocal cancelled
            self._check_silence(waited)
            if self.reading and not cancelled and waited > GRACE_SECONDS and has_left():
                cancelled = True
                self._cancel()

        return watched(gen, check)

    def _check_silence(self, waited: float) -> None:
        limit = _time_limit.get() or self.limit_s
        if limit and waited > limit:
            self.close()
            raise psycopg.OperationalError(f"the database has been silent for {waited:.0f} s")

    def _cancel(self) -> None:
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=_CANCEL_SECONDS)
