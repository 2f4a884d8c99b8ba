"""A read replica: which questions it can answer, and up to which moment it has everything.

A replica replays the primary's log, so it is behind by a little, and says only how far it is in the
log. What that means in time is found out from marks: now and then the primary is asked for its
clock and, after that, the end of its log. Whatever was stored by the time of a mark lies before the
mark's end. So a replica that has replayed a mark has everything that was stored by then.

A position in the log is a number of bytes, which PostgreSQL writes as two hexadecimal numbers.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from app.errors import Unavailable, with_reason
from app.store.outages import ALL_BUSY, translating_outages

_log = logging.getLogger(__name__)

MARK_EVERY_SECONDS = 1.0
MARKS = 1_000
# How long a question waits for the replica before it goes to the primary, and how often it looks.
PATIENCE_SECONDS = 0.5
PAUSE_SECONDS = 0.005
# How long a replica that could not be reached, or is too far behind, is left alone.
REST_SECONDS = 5.0
POSITION = r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question must see: everything before a position in the log, and up to some moments.

    With `all`, it must see everything stored by now, as only the primary surely has.
    """

    position: int = 0
    moment: datetime | None = None
    all: bool = False


ANY = Wanted()
# What the request of this thread must see.
wanted: ContextVar[Wanted] = ContextVar("wanted", default=ANY)


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything stored by `moment`, of the primary's clock, lies before `position` in its log."""

    moment: datetime
    position: int
    taken: float  # of this process's monotonic clock


@dataclass(frozen=True, slots=True)
class Reached:
    """What a replica has: everything stored by `moment`, which was `lag` ago."""

    moment: datetime
    lag: timedelta


def reached_of(conn: Connection) -> Reached | None:
    """What the replica behind a connection of `asking` has; None for the primary."""
    reached: Reached | None = conn.get_execution_options().get("reached")
    return reached


def parse_position(text: str) -> int:
    """The number of a position that PostgreSQL wrote, such as 16/B374D848."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def format_position(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


class Replica:
    """A replica and the marks of its primary. Thread-safe.

    `ask` and `ask_primary` execute a statement on a connection of SQLAlchemy, or on one to the
    primary, as a transaction of its own, and return its only row.
    """

    def __init__(
        self,
        engine: Engine,
        ask: Callable[[Connection, str], Any],
        ask_primary: Callable[[str], Any],
        max_lag: timedelta,
    ) -> None:
        self.engine = engine
        self._ask, self._ask_primary = ask, ask_primary
        self._max_lag = max_lag
        self._marks: deque[Mark] = deque(maxlen=MARKS)
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._checked = False  # whether it was found to be a copy of this primary

    @contextmanager
    def connected(
        self, *moments: datetime | None, position: int = 0
    ) -> Iterator[Connection | None]:
        """A connection to the replica if it has what is needed, else None.

        That is what the request wants, what was stored by each of `moments`, and `position`.

        `reached_of` says what it has. Errors in the block are the caller's.

        Raises:
            Unavailable: all connections to the replica are busy.
        """
        need = _with(wanted.get(), moments, position)
        conn = None
        if not need.all and time.monotonic() >= self._rests_until:
            conn = self._connect(need)
        if conn is None:
            yield None
            return
        with conn:
            yield conn

    def lag(self) -> timedelta | None:
        """How far behind it is; None if that is not known, or it can't be reached.

        Cost: a look-up on each server.
        """
        try:
            with translating_outages(), self.engine.connect() as conn:
                self._mark()
                reached = self._reached(self._position(conn))
        except Unavailable:
            return None
        return reached.lag if reached else None

    def position(self) -> int:
        """The end of the primary's log: all that was stored before this call lies before it."""
        return parse_position(self._ask_primary(_MARK).position)

    def _connect(self, need: Wanted) -> Connection | None:
        try:
            with translating_outages(), ExitStack() as stack:
                conn = stack.enter_context(self.engine.connect())
                self._check(conn)
                reached = self._wait(conn, need)
                if reached is None:
                    return None
                stack.pop_all()
        except Unavailable as error:
            if str(error) == ALL_BUSY:
                raise  # so many questions are no reason to ask the primary too
            self._rests_until = time.monotonic() + REST_SECONDS
            _log.warning(
                "no question to the read replica for %d s: %s", REST_SECONDS, with_reason(error)
            )
            return None
        return conn.execution_options(reached=reached)

    def _check(self, conn: Connection) -> None:
        """Refuse a server that is not a copy of the primary: it would answer from other rows."""
        if not self._checked:
            its, primary = self._ask(conn, _IDENTITY), self._ask_primary(_IDENTITY)
            if its != primary:
                raise Unavailable("it is not a copy of the database of TRUTHLINE_DATABASE_URL")
            self._checked = True

    def _mark(self) -> None:
        """Take a mark, unless the newest is fresh, or another thread is about to take one."""
        if self._marks and time.monotonic() - self._marks[-1].taken < MARK_EVERY_SECONDS:
            return
        if not self._lock.acquire(blocking=not self._marks):
            return
        try:
            taken = time.monotonic()
            row = self._ask_primary(_MARK)
            self._marks.append(Mark(row.moment, parse_position(row.position), taken))
        finally:
            self._lock.release()

    def _wait(self, conn: Connection, need: Wanted) -> Reached | None:
        """What it has, as soon as that is what is needed; None if it takes too long.

        Raises:
            Unavailable: it is too far behind for any question.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._mark()
            position = self._position(conn)
            reached = self._reached(position)
            near = reached is not None and reached.lag <= self._max_lag
            if reached and near and position >= need.position and _has(reached, need):
                return reached
            if time.monotonic() > deadline or not self._may_come(need):
                break
            time.sleep(PAUSE_SECONDS)
        if not near:
            raise Unavailable(f"it is behind {_in_words(reached)}")
        return None

    def _position(self, conn: Connection) -> int:
        return parse_position(self._ask(conn, _REPLAYED).position)

    def _reached(self, position: int) -> Reached | None:
        marks = list(self._marks)
        mark = next((mark for mark in reversed(marks) if mark.position <= position), None)
        if mark is None:
            return None
        newest = marks[-1]
        now = newest.moment + timedelta(seconds=time.monotonic() - newest.taken)
        return Reached(mark.moment, max(now - mark.moment, timedelta()))

    def _may_come(self, need: Wanted) -> bool:
        """Whether waiting helps: no replica has a moment that the primary has not reached."""
        latest = self._marks[-1].moment + timedelta(seconds=MARK_EVERY_SECONDS + PATIENCE_SECONDS)
        return need.moment is None or need.moment <= latest


def _has(reached: Reached, need: Wanted) -> bool:
    return need.moment is None or need.moment <= reached.moment


def _in_words(reached: Reached | None) -> str:
    return f"by {reached.lag.total_seconds():.1f} s" if reached else "everything known of it"


def _with(need: Wanted, moments: Sequence[datetime | None], position: int) -> Wanted:
    known = [moment for moment in (need.moment, *moments) if moment is not None]
    moment = max(known, default=None)
    return replace(need, moment=moment, position=max(need.position, position))


# The clock is read first: whatever was acknowledged by then was flushed, unless commits don't wait
# for that. What others write afterwards without a commit may stay unflushed for a while, so the end
# of what is inserted is asked for only where it has to be. At the beginning of a page that lies
# behind the page's header, which is written with what follows: the end of the page before is meant.
_MARK = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS moment)
    SELECT moment, (
        SELECT CASE WHEN current_setting('synchronous_commit') <> 'off'
                    THEN pg_current_wal_flush_lsn()
                    WHEN mod(inserted - '0/0', 8192) IN (24, 40)
                    THEN inserted - mod(inserted - '0/0', 8192)
                    ELSE inserted END
        FROM (SELECT pg_current_wal_insert_lsn() AS inserted WHERE moment IS NOT NULL) AS log
    )::text AS position
    FROM clock
"""
_REPLAYED = """
    SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                 ELSE pg_current_wal_insert_lsn() END)::text AS position
"""
_IDENTITY = """
    SELECT system_identifier,
           (SELECT oid FROM pg_database WHERE datname = current_database()) AS database
    FROM pg_control_system()
"""
