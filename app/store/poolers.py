"""Session settings, with or without a connection pooler in front of the database.

A pooler in transaction mode (PgBouncer, RDS Proxy, Neon) gives each transaction a server connection
of its choice, which other clients use before and after. So a session has no settings, no prepared
statements and no temporary tables there: settings are sent together with BEGIN, for the transaction
only, which costs no round trip. Without a pooler they are set once per connection. They are no
startup `options`, which poolers reject.

A transaction waits in the pooler's queue while all its server connections are in use. The pooler
limits that to minutes, or not at all, so it is limited here, as waiting for our own pool is.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self, TypeVar

from psycopg import OperationalError, generators, sql
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from app.store.disconnects import WatchedConnection, watched

Result = TypeVar("Result")


class Pooler(StrEnum):
    """Whether there is a pooler that may change the session between transactions."""

    AUTO = "auto"  # find out for each connection
    TRANSACTION = "transaction"
    NONE = "none"  # or one that keeps sessions


class PoolerBusy(OperationalError):
    """All server connections of the pooler were in use for too long."""


class PoolableConnection(WatchedConnection):
    """A connection with settings of ours; `pooled` if they only last for a transaction."""

    pooled = False
    patience_s = 0.0  # how long to wait for one of the pooler's server connections
    _settings_clause = b""  # statements that follow BEGIN
    _greets = False  # it sends its first statement

    @classmethod
    def connect_with(
        cls,
        settings: Mapping[str, str],
        pooler: Pooler,
        patience_s: float,
        *args: Any,
        **parameters: Any,
    ) -> Self:
        """Connect, and set these parameters for the session or for each transaction."""
        conn = cls.connect(*args, **parameters)
        conn.patience_s = patience_s
        try:
            conn.apply(settings, pooler)
        except BaseException:
            conn.close()
            raise
        return conn

    def apply(self, settings: Mapping[str, str], pooler: Pooler) -> None:
        """Set parameters for the session, or from now on for each transaction."""
        self.pooled = pooler is Pooler.TRANSACTION or not self._set(settings, pooler)
        if self.pooled:
            self.prepare_threshold = None  # also ignores `prepare=True`
            self._settings_clause = _set_local(settings)

    def _set(self, settings: Mapping[str, str], pooler: Pooler) -> bool:
        """Set parameters for the session if this is one; returns whether.

        A pooler hides which server process it uses: it makes up the number that a client sees.
        """
        pid = "pg_backend_pid()" if pooler is Pooler.NONE else str(self.info.backend_pid)
        values = [
            sql.SQL("set_config({}, {}, false)").format(name, value)
            for name, value in settings.items()
        ]
        query = sql.SQL("SELECT CASE WHEN pg_backend_pid() = {} THEN ROW({}) END IS NOT NULL")
        self.autocommit = self._greets = True
        row = self.execute(query.format(sql.SQL(pid), sql.SQL(", ").join(values))).fetchone()
        self.autocommit = self._greets = False
        return bool(row and row[0])

    def wait(self, gen: PQGen[Result], *args: Any, **parameters: Any) -> Result:
        """Like psycopg's; a pooler lets the first statement wait, after it has let us log in."""
        if self._greets:
            gen = self._queueing(gen)
        return super().wait(gen, *args, **parameters)

    def _queueing(self, gen: PQGen[Result]) -> PQGen[Result]:
        """The same generator, which gives up if no server connection becomes free."""
        return watched(gen, self._check_queue)

    def _check_queue(self, waited: float) -> None:
        if waited > self.patience_s:
            self.close()
            raise PoolerBusy(f"the pooler has had no free server connection for {waited:.0f} s")

    def _start_query(self) -> PQGen[None]:
        """Begin a transaction as psycopg does, with the settings in the same message."""
        begins = not self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE
        if not (begins and self.pooled):
            yield from super()._start_query()
            return
        self.pgconn.send_query(self._get_tx_start_command() + self._settings_clause)
        results: list[PGresult] = yield from self._queueing(generators.execute(self.pgconn))
        for result in results:
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result, encoding=self.info.encoding)


def _set_local(settings: Mapping[str, str]) -> bytes:
    """What follows BEGIN; names of settings and lists of schemas are ours, and are not quoted."""
    return b"".join(
        sql.SQL("; SET LOCAL {} TO {}")
        .format(sql.SQL(name), sql.SQL(value) if name == "search_path" else value)
        .as_bytes()
        for name, value in settings.items()
    )
