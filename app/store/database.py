"""Connections: one engine per process, transactions for reading and for writing."""

import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    PoolProxiedConnection,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import InvalidatePoolError

from app.config import Settings
from app.errors import Unavailable
from app.store.asker import WatchedConnection
from app.store.executions import StepRegistry
from app.store.metrics import MetricRegistry
from app.store.outages import naming_outages
from app.store.registry import Registry

POOL_RECYCLE_SECONDS = 3600
# How long a database host that vanished can hold a request: seconds, and milliseconds for the last.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}
SEARCH_PATH = "truthline_data, truthline, public"


class Database:
    """The engine, and what this process remembers of the registries.

    Every connection speaks UTC and gives up a statement after
    `Settings.statement_timeout_ms`. Plans are kept for statements that ask for it: the best plan
    of most depends on their parameters.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.registry = Registry(engine)
        self.steps = StepRegistry(engine)
        self.metrics = MetricRegistry(engine)
        self.default_workspace_id: int | None = None  # once somebody has looked it up

    @classmethod
    def from_settings(cls, settings: Settings) -> "Database":
        """Make the engine. Nothing connects before the first query."""
        options = (
            f"-c timezone=UTC -c search_path={SEARCH_PATH.replace(' ', '')}"
            f" -c statement_timeout={settings.statement_timeout_ms}"
        )
        engine = create_engine(
            sqlalchemy_url(settings.database_url),
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_s,
            # a session's temporary tables can't be frozen by vacuum while it lives
            pool_recycle=POOL_RECYCLE_SECONDS,
            # locks taken in one statement must be followed by a new snapshot in the next
            isolation_level="READ COMMITTED",
            connect_args={"options": options, "prepare_threshold": sys.maxsize, **PATIENCE},
        )
        event.listen(engine, "checkout", _refuse_ended)
        event.listen(engine, "do_connect", partial(_connect, settings.statement_timeout_ms))
        return cls(engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot for all statements inside, so that parts of an answer agree.

        Raises:
            Unavailable: the database is away, busy, or too slow.
            AskerGone: whoever asked has left, and the statement was cancelled.
        """
        with naming_outages(), self.engine.connect() as conn:
            with _only_reading(driver(conn)):
                yield conn.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            conn.commit()  # after a rollback psycopg forgets all plans, and tells the server so

    @contextmanager
    def glancing(self) -> Iterator[psycopg.Connection]:
        """For small statements that come with almost every request, and need no common snapshot.

        They go past SQLAlchemy, whose share of them is longer than the database's, and without the
        round trips that begin and end a transaction (bench/steps.py).

        Raises:
            Unavailable: the database is away, busy, or too slow, or a plan that was kept is stale.
        """
        with naming_outages(), closing(self.engine.raw_connection()) as pooled:
            conn = _driver(pooled)
            conn.autocommit = True
            try:
                yield conn
            except psycopg.Error as error:
                conn.close()  # it may be broken, or hold a plan that would fail again
                if isinstance(error, psycopg.errors.FeatureNotSupported):
                    raise Unavailable("the database's schema has changed; try again") from error
                raise
            finally:
                if conn.info.transaction_status == TransactionStatus.IDLE:
                    conn.autocommit = False
                else:  # closed, or in the middle of something
                    pooled.invalidate()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends, and rolls back if it raises.

        Raises:
            Unavailable: the database is away, busy, or too slow; nothing was stored, unless the
                connection broke in the very moment of the commit. Repeating is safe.
        """
        with naming_outages(), self.engine.begin() as conn:
            yield conn

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection whose statements stand alone and take as long as they need.

        For what PostgreSQL refuses inside a transaction, as a refresh of a continuous aggregate.

        Raises:
            Unavailable: the database is away or busy.
        """
        with naming_outages(), self.engine.connect() as connection:
            conn = connection.execution_options(isolation_level="AUTOCOMMIT")
            conn.exec_driver_sql("SET statement_timeout = 0")
            try:
                yield conn
            finally:
                if not conn.invalidated:  # or the error that it was broken by would be lost
                    conn.exec_driver_sql("RESET statement_timeout")

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def driver(conn: Connection) -> psycopg.Connection:
    """The connection below, for what goes past SQLAlchemy inside a transaction."""
    return _driver(conn.connection)


def prepared(
    conn: Connection, query: bytes, parameters: Mapping[str, object]
) -> psycopg.Cursor[TupleRow]:
    """Execute a small statement that comes with almost every request, whose plan is kept.

    It goes past SQLAlchemy, inside the transaction that SQLAlchemy ends.
    """
    if not conn.in_transaction():
        conn.begin()
    return driver(conn).execute(query, parameters, prepare=True, binary=True)


def _driver(pooled: PoolProxiedConnection) -> psycopg.Connection:
    below = pooled.driver_connection
    assert isinstance(below, psycopg.Connection)  # noqa: S101 - the engine is made for no other
    return below


def _connect(
    statement_timeout_ms: int, _dialect: Any, _record: Any, args: Any, parameters: Any
) -> psycopg.Connection:
    return WatchedConnection.connect_for(statement_timeout_ms, *args, **parameters)


@contextmanager
def _only_reading(conn: psycopg.Connection) -> Iterator[None]:
    """What is asked meanwhile may be cancelled when nobody waits for it any more."""
    assert isinstance(conn, WatchedConnection)  # noqa: S101 - the engine makes no other
    conn.reading = True
    try:
        yield
    finally:
        conn.reading = False


def _refuse_ended(connection: psycopg.Connection, *_: object) -> None:
    """Let the pool replace connections that the server has ended while they were idle.

    The server says so, or the socket is at its end: there is something to be read, where nothing
    is on a connection in order. A ping would tell the same, and cost a round trip each time.

    Raises:
        InvalidatePoolError: the pool knows it.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError


def sqlalchemy_url(url: str) -> URL:
    """Accept the URL as libpq writes it: `postgres://` and `postgresql://` mean psycopg 3 here."""
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed
