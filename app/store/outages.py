"""Translates failures of the database into errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import ClientGone, Unavailable
from app.store.disconnects import client_gone

QUERY_CANCELED = "57014"
DEADLOCK = "40P01"
LOCK_NOT_AVAILABLE = "55P03"
OUT_OF_RESOURCES = "53"  # the class of all such states
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
        raise Unavailable("all database connections are busy; try again") from error
    except DBAPIError as error:
        lost = error.connection_invalidated or isinstance(error, OperationalError)
        _raise_if_outage(error.orig, error, lost=lost)
        raise
    except psycopg.Error as error:  # COPY and `glancing` bypass SQLAlchemy
        _raise_if_outage(error, error, lost=isinstance(error, psycopg.OperationalError))
        raise


def is_held_lock(error: DBAPIError) -> bool:
    """Whether a statement with NOWAIT failed because another transaction holds the lock."""
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def _raise_if_outage(original: object, error: Exception, *, lost: bool) -> None:
    sqlstate = getattr(original, "sqlstate", None)
    if sqlstate == QUERY_CANCELED:
        if (gone := client_gone.get()) and gone():
            raise ClientGone("the client has disconnected") from error
        raise Unavailable(
            "the database took too long; try again, or request less at once"
        ) from error
    if sqlstate == DEADLOCK:
        raise Unavailable("two writers blocked each other; try again") from error
    if sqlstate in UNDEFINED_OBJECT:
        reason = "the database's schema is not up to date: run 'truthline db upgrade'"
        raise Unavailable(reason) from error
    if sqlstate and sqlstate.startswith(OUT_OF_RESOURCES):
        raise Unavailable("the database is out of connections, memory or disk space") from error
    if lost:
        raise Unavailable("the database can't be reached") from error
