"""What a database can do to a request, named."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import AskerGone, Unavailable
from app.store.asker import asker

QUERY_CANCELED = "57014"
DEADLOCK = "40P01"
LOCK_NOT_AVAILABLE = "55P03"
OUT_OF_RESOURCES = "53"  # the class of all such states
# undefined table, schema, column, function: the code is newer than the schema
NO_SUCH_THING = ("42P01", "3F000", "42703", "42883")


@contextmanager
def naming_outages() -> Iterator[None]:
    """Turn what is not the caller's fault, and may pass, into Unavailable.

    Raises:
        Unavailable: the database is away, busy, too slow, or its schema is not up to date.
        AskerGone: a statement was cancelled, and nobody waits for it.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("all database connections are busy; try again") from error
    except DBAPIError as error:
        lost = error.connection_invalidated or isinstance(error, OperationalError)
        _raise_if_outage(error.orig, error, lost=lost)
        raise
    except psycopg.Error as error:  # COPY and glances go past SQLAlchemy
        _raise_if_outage(error, error, lost=isinstance(error, psycopg.OperationalError))
        raise


def is_held_lock(error: DBAPIError) -> bool:
    """Whether a statement gave up because a lock that it would not wait for is held."""
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def _raise_if_outage(original: object, error: Exception, *, lost: bool) -> None:
    sqlstate = getattr(original, "sqlstate", None)
    if sqlstate == QUERY_CANCELED:
        if (gone := asker.get()) and gone():
            raise AskerGone("whoever asked has left") from error
        raise Unavailable(
            "the database took too long; try again, or ask for less at once"
        ) from error
    if sqlstate == DEADLOCK:
        raise Unavailable("two writers were in each other's way; try again") from error
    if sqlstate in NO_SUCH_THING:
        reason = "the database's schema is not up to date: run 'truthline db upgrade'"
        raise Unavailable(reason) from error
    if sqlstate and sqlstate.startswith(OUT_OF_RESOURCES):
        raise Unavailable("the database has no room left: connections, memory or disk") from error
    if lost:
        raise Unavailable("the database can't be reached") from error
