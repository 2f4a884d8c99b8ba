"""Connections: one engine per process, transactions for reading and for writing."""

import re
import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, namedtuple_row
from sqlalchemy import (
    Connection,
    Engine,
    PoolProxiedConnection,
    create_engine,
    event,
)
from sqlalchemy.exc import InvalidatePoolError

from app.config import Settings
from app.errors import TruthlineError, Unavailable
from app.store.event_metrics import EventMetricRegistry
from app.store.executions import StepRegistry
from app.store.outages import translating_outages
from app.store.poolers import PoolableConnection, Pooler
from app.store.registry import Registry
from app.store.replica import Replica
from app.store.urls import sqlalchemy_url

POOL_RECYCLE_SECONDS = 3600
# Limits how long a vanished database host can block a request: seconds, the last in milliseconds.
NETWORK_TIMEOUTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}
REPLICA_TIMEOUT = 3  # seconds: the primary can answer instead
SEARCH_PATH = "truthline_data, truthline, public"


class Database:
    """The engine, and the registries' caches of this process.

    Every connection uses UTC and cancels a statement after `Settings.statement_timeout_ms`. Plans
    are cached only for statements that ask for it: the best plan of most depends on their
    parameters.
    """

    def __init__(
        self, engine: Engine, settings: Settings, replica_engine: Engine | None = None
    ) -> None:
        self.engine = engine
        self.replica: Replica | None = None
        if replica_engine is not None:
            max_lag = timedelta(seconds=settings.max_replica_lag_s)
            self.replica = Replica(replica_engine, _ask, self._ask_primary, max_lag)
        self._statement_timeout_ms = settings.statement_timeout_ms
        self.registry = Registry(engine, settings.max_series_per_model)
        self.steps = StepRegistry(engine)
        self.event_metrics = EventMetricRegistry(engine)
        self.default_workspace_id: int | None = None  # looked up on first use

    @classmethod
    def from_settings(cls, settings: Settings) -> "Database":
        """Create the engines. They connect on the first query."""
        replica = None
        if settings.read_database_url:
            replica = _engine(settings, settings.read_database_url, connect_timeout=REPLICA_TIMEOUT)
        return cls(_engine(settings, settings.database_url), settings, replica)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot for all statements inside, so that the parts of a response agree.

        Raises:
            Unavailable: the database is unreachable, busy, or too slow.
            ClientGone: the client has disconnected, and the statement was cancelled.
        """
        with (
            translating_outages(),
            self.engine.connect() as conn,
            _one_snapshot(conn) as snapshot,
        ):
            yield snapshot

    @contextmanager
    def asking(self, *moments: datetime | None, position: int = 0) -> Iterator[Connection]:
        """As `reading`, for a question, which the replica can answer.

        The primary answers if there is no replica, or if that lacks something that was stored by
        one of `moments`, lies before `position` in the log, or is `wanted` by the request.

        Raises:
            Unavailable, ClientGone: as `reading`.
        """
        if self.replica is None:
            with self.reading() as conn:
                yield conn
            return
        with self.replica.connected(*moments, position=position) as conn:
            if conn is None:
                with self.reading() as primary:
                    yield primary
            else:
                with translating_outages(), _one_snapshot(conn) as snapshot:
                    yield snapshot

    @contextmanager
    def glancing(self) -> Iterator[psycopg.Connection]:
        """For small statements of almost every request, which need no common snapshot.

        They bypass SQLAlchemy, whose overhead is longer than the statement itself, and save the
        round trips that begin and end a transaction (bench/steps.py). Behind a pooler they are one
        transaction, because only within one they have our settings.

        Raises:
            Unavailable: the database is unreachable, busy, or too slow, or a cached plan is stale.
        """
        with translating_outages(), closing(self.engine.raw_connection()) as pooled:
            conn = _driver(pooled)
            conn.autocommit = not conn.pooled
            try:
                yield conn
                if conn.pooled:
                    conn.commit()
            except psycopg.Error as error:
                conn.close()  # it may be broken, or have a cached plan that would fail again
                if isinstance(error, psycopg.errors.FeatureNotSupported):
                    raise Unavailable("the database's schema has changed; try again") from error
                raise
            except TruthlineError:
                if conn.pooled:
                    conn.rollback()
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
            Unavailable: the database is unreachable, busy, or too slow; nothing was stored, unless
                the connection broke during the commit. Retrying is safe.
        """
        with translating_outages(), self.engine.begin() as conn:
            yield conn

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection in autocommit mode, without a time limit for statements.

        For what PostgreSQL rejects inside a transaction, such as refreshing a continuous aggregate.
        Behind a pooler none of our settings apply, so names must be qualified, and the database's
        own time limit applies, by default none.

        Raises:
            Unavailable: the database is unreachable or busy.
        """
        with translating_outages(), self.engine.connect() as connection:
            conn = connection.execution_options(isolation_level="AUTOCOMMIT")
            if driver(conn).pooled:
                yield conn
                return
            conn.exec_driver_sql("SET statement_timeout = 0")
            try:
                yield conn
            finally:
                if not conn.invalidated:  # otherwise the original error would be lost
                    conn.exec_driver_sql(f"SET statement_timeout = {self._statement_timeout_ms}")

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self.replica:
            self.replica.engine.dispose()

    def _ask_primary(self, query: str) -> Any:
        with self.glancing() as conn:
            return conn.cursor(row_factory=namedtuple_row).execute(query, prepare=True).fetchone()


def _engine(settings: Settings, url: str, **parameters: object) -> Engine:
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_s,
        # vacuum can't freeze the temporary tables of a session while it lives
        pool_recycle=POOL_RECYCLE_SECONDS,
        # a statement that follows one that takes locks needs a new snapshot
        isolation_level="READ COMMITTED",
        connect_args={"prepare_threshold": sys.maxsize, **NETWORK_TIMEOUTS, **parameters},
    )
    event.listen(engine, "checkout", _reject_closed)
    event.listen(engine, "do_connect", partial(_connect, settings))
    return engine


@contextmanager
def _one_snapshot(conn: Connection) -> Iterator[Connection]:
    with _only_reading(driver(conn)):
        yield conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    conn.commit()  # a rollback would make psycopg discard all prepared statements


def _ask(conn: Connection, query: str) -> Any:
    """Execute a small statement as a transaction of its own; returns its only row."""
    raw = driver(conn)
    raw.autocommit = True  # a BEGIN would say READ WRITE, which a replica refuses
    try:
        row = raw.cursor(row_factory=namedtuple_row).execute(query, prepare=True).fetchone()
    except BaseException:
        conn.invalidate()  # in the pool it would commit each statement of a transaction
        raise
    raw.autocommit = False
    return row


def driver(conn: Connection) -> PoolableConnection:
    """The psycopg connection, for what bypasses SQLAlchemy inside a transaction."""
    return _driver(conn.connection)


def prepared(
    conn: Connection, query: bytes, parameters: Mapping[str, object]
) -> psycopg.Cursor[TupleRow]:
    """Execute a small statement of almost every request, whose plan is cached.

    It bypasses SQLAlchemy, within the transaction that SQLAlchemy ends.
    """
    if not conn.in_transaction():
        conn.begin()
    return driver(conn).execute(query, parameters, prepare=True, binary=True)


class Prepared:
    """A statement whose plan each connection keeps, with parameters like `:name`.

    For statements that only call functions, in which plans depend on the parameters. It must name
    its columns: if a function returns more of them in a later release, `*` would fail.
    """

    def __init__(self, statement: str) -> None:
        self._query = _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%")).encode()

    def rows(self, conn: Connection, parameters: Mapping[str, object]) -> list[Any]:
        """Execute it; rows are named tuples."""
        if not conn.in_transaction():
            conn.begin()
        cursor = driver(conn).cursor(row_factory=namedtuple_row)
        return cursor.execute(self._query, parameters, prepare=True, binary=True).fetchall()


_PARAMETER = re.compile(r"(?<!:):(\w+)")


def _driver(pooled: PoolProxiedConnection) -> PoolableConnection:
    driver_connection = pooled.driver_connection
    assert isinstance(driver_connection, PoolableConnection)  # noqa: S101 - see `_connect`
    return driver_connection


def _connect(
    settings: Settings, _dialect: Any, _record: Any, args: Any, parameters: Any
) -> psycopg.Connection:
    ours = {
        "search_path": SEARCH_PATH,
        "TimeZone": "UTC",
        "statement_timeout": str(settings.statement_timeout_ms),
    }
    pooler = Pooler(settings.pooler)
    conn = PoolableConnection.connect_with(
        ours, pooler, settings.pool_timeout_s, *args, **parameters
    )
    conn.limit_silence(settings.statement_timeout_ms)
    return conn


@contextmanager
def _only_reading(conn: PoolableConnection) -> Iterator[None]:
    """Allow statements in the block to be cancelled once their client has disconnected."""
    conn.reading = True
    try:
        yield
    finally:
        conn.reading = False


def _reject_closed(connection: psycopg.Connection, *_: object) -> None:
    """Let the pool replace connections that the server closed while they were idle.

    The socket is then readable: it contains the server's message, or is at its end. On a healthy
    idle connection there is nothing to read. A ping would cost a round trip each time.

    Raises:
        InvalidatePoolError: handled by the pool.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError
