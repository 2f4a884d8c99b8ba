"""Translates failures of the database into errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import ClientGone, Unavailable
from app.store.disconnects import client_gone
from app.store.poolers import PoolerBusy
from app.store.reasons import in_words, quoted

ALL_BUSY = "all database connections are busy; try again"
QUERY_CANCELED = "57014"
LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
SERIALIZATION_FAILURE = "40001"
HELD_BY_OTHERS = {
    LOCK_NOT_AVAILABLE: "another session holds a lock for too long; try again",
    DEADLOCK: "two writers blocked each other; try again",
    # a standby reports this too, if it must replay the removal of rows that a question reads
    SERIALIZATION_FAILURE: "a change by others came in between; try again",
}
OUT_OF_RESOURCES = "53"  # the class of all such states
INSUFFICIENT_PRIVILEGE = "42501"
READ_ONLY = "25006"
# undefined table, schema, column or function: the code is newer than the schema
UNDEFINED_OBJECT = ("42P01", "3F000", "42703", "42883")


@contextmanager
def translating_outages() -> Iterator[None]:
    """Turn failures that are temporary and not the caller's fault into Unavailable.

    Raises:
        Unavailable: the database is unreachable, busy, too slow, or its schema is outdated.
        ClientGone: a statement was cancelled because its client has disconnected.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(ALL_BUSY) from error
    except DBAPIError as error:
        lost = error.connection_invalidated or isinstance(error, OperationalError)
        lost = lost or _never_connected(error)
        _raise_if_outage(error.orig, error, lost=lost)
        raise
    except psycopg.Error as error:  # COPY and `glancing` bypass SQLAlchemy
        _raise_if_outage(error, error, lost=isinstance(error, psycopg.OperationalError))
        raise


def _never_connected(error: DBAPIError) -> bool:
    """Whether libpq refused a parameter of the URL: no server has seen it."""
    original = error.orig
    return isinstance(original, psycopg.ProgrammingError) and original.sqlstate is None


def is_held_lock(error: DBAPIError) -> bool:
    """Whether a statement with NOWAIT failed because another transaction holds the lock."""
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def is_deadlock(error: Unavailable) -> bool:
    """Whether a transaction was rolled back because a different one waited for it in turn."""
    cause = error.__cause__
    original = cause.orig if isinstance(cause, DBAPIError) else cause
    return getattr(original, "sqlstate", None) == DEADLOCK


def _raise_if_outage(original: object, error: Exception, *, lost: bool) -> None:
    sqlstate = getattr(original, "sqlstate", None)
    if sqlstate == QUERY_CANCELED:
        if (gone := client_gone.get()) and gone():
            raise ClientGone("the client has disconnected") from error
        raise Unavailable(
            "the database took too long; try again, or request less at once"
        ) from error
    if sqlstate in HELD_BY_OTHERS:
        raise Unavailable(HELD_BY_OTHERS[sqlstate]) from error
    if sqlstate in UNDEFINED_OBJECT:
        reason = "the database's schema is not up to date: run 'truthline db upgrade'"
        raise Unavailable(reason) from error
    if sqlstate and sqlstate.startswith(OUT_OF_RESOURCES):
        raise Unavailable("the database is out of connections, memory or disk space") from error
    if sqlstate == INSUFFICIENT_PRIVILEGE:
        reason = "the database role lacks a privilege"
        raise Unavailable(reason).because(quoted(original)) from error
    if sqlstate == READ_ONLY:
        raise Unavailable("the database is read-only, as a standby is") from error
    if isinstance(original, PoolerBusy):
        raise Unavailable(ALL_BUSY).because(quoted(original)) from error
    if lost:
        raise unreachable(original) from error


def unreachable(said: object) -> Unavailable:
    """The error of a database that can't be reached: in words for everyone, as said for the log."""
    words = in_words(str(said))
    message = (
        f"the database can't be reached: {words}" if words else "the database can't be reached"
    )
    return Unavailable(message).because(quoted(said))
