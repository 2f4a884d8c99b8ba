"""Who waits for what is asked of the database, and how long a database may say nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

Result = TypeVar("Result")

# Whether whoever waits for an answer in this thread has left; None where nobody waits.
asker: ContextVar[Callable[[], bool] | None] = ContextVar("asker", default=None)

# A client that ends its side, as `nc -N` does, may still want its answer: a quick one it gets.
GRACE_SECONDS = 1.0
# The database gives up statements by itself; it is silent for longer only if it hangs.
SILENCE_SECONDS = 5.0
_LOOK_EVERY = 0.1
# Less patience than a connection has; None: what it has.
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
_CANCEL_SECONDS = 5.0


@contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """Let the database be silent for so long only, for what is asked in this thread meanwhile."""
    before = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(before)


class WatchedConnection(psycopg.Connection[TupleRow]):
    """A connection that doesn't wait for ever, and not for what nobody waits for.

    Only for statements on behalf of an asker; housekeeping takes as long as it needs.
    """

    longest_s: float = 0.0  # 0: no limit
    reading = False  # what is only read can be cancelled without a word

    @classmethod
    def connect_for(cls, statement_timeout_ms: int, *args: Any, **parameters: Any) -> Self:
        """Connect to a server that gives up statements after so long."""
        conn = cls.connect(*args, **parameters)
        if statement_timeout_ms:
            conn.longest_s = statement_timeout_ms / 1000 + SILENCE_SECONDS
        return conn

    def wait(
        self, gen: PQGen[Result], interval: float = _LOOK_EVERY, timeout: float | None = None
    ) -> Result:
        """As psycopg's.

        Raises:
            OperationalError: the database says nothing; the connection is closed.
        """
        if gone := asker.get():
            gen = self._watched(gen, gone)
        return super().wait(gen, interval, timeout)

    def _watched(self, gen: PQGen[Result], gone: Callable[[], bool]) -> PQGen[Result]:
        """The same generator; each time that nothing has come, look whether it is worth waiting.

        psycopg lets a generator ask for the socket, and sends in whether it is ready.
        """
        began, cancelled = time.monotonic(), False
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready:
                    waited = time.monotonic() - began
                    self._check_silence(waited)
                    if self.reading and not cancelled and waited > GRACE_SECONDS and gone():
                        cancelled = True
                        self._cancel()
                state = gen.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _check_silence(self, waited: float) -> None:
        longest = _patience.get() or self.longest_s
        if longest and waited > longest:
            self.close()
            raise psycopg.OperationalError(f"the database has said nothing for {waited:.0f} s")

    def _cancel(self) -> None:
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=_CANCEL_SECONDS)
