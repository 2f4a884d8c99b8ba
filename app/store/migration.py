"""Migrate a database's schema to the version that this code needs, or report its version."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.errors import TruthlineError
from app.store.outages import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    READ_ONLY,
    translating_outages,
)
from app.store.reasons import quoted
from app.store.urls import sqlalchemy_url
from migrations import rerunnable

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
VERSION_SCHEMA = "public"
# Classes of errors that are the database's: connections, resources, operators.
OUTAGES = ("08", "53", "57", "58")
REASONS = {
    LOCK_NOT_AVAILABLE: (
        "another upgrade or a busy table was locked for too long: try again at a quieter time"
    ),
    INSUFFICIENT_PRIVILEGE: "the database role lacks a privilege",
    READ_ONLY: "the database is read-only, as a standby is",
}


class MigrationFailed(TruthlineError):
    """The schema could not be migrated; nothing was changed."""


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The revision of a database, and the newest one. `current` is None before the first.

    `views` is whether its functions and views are those of this program, `ahead` whether a newer
    program has migrated it.
    """

    current: str | None
    head: str
    views: bool
    ahead: bool

    @property
    def at_head(self) -> bool:
        """Whether the schema is the one of this program."""
        return self.current == self.head and self.views

    @property
    def usable(self) -> bool:
        """Whether this program can use it: it still serves while the next release is rolled out."""
        return self.at_head or self.ahead


def _config(database_url: str) -> Config:
    url = sqlalchemy_url(database_url).render_as_string(hide_password=False)
    config = Config(attributes={"database_url": url})
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Safe to run in several processes at once: one does the work."""
    with _in_words():
        command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`; "base" removes everything."""
    with _in_words():
        command.downgrade(_config(database_url), revision)


@contextmanager
def _in_words() -> Iterator[None]:
    """Translate what fails in a migration, which has then changed nothing.

    Raises:
        Unavailable: the database can't be reached.
        MigrationFailed: it can, but the migration can't be done.
    """
    try:
        with translating_outages(), _naming_failures():
            yield
    except CommandError as error:
        raise MigrationFailed(
            "a newer program has migrated this database: use that one, or restore a backup"
        ) from error


@contextmanager
def _naming_failures() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate is None or sqlstate[:2] in OUTAGES:
            raise
        reason = REASONS.get(sqlstate, "the upgrade failed")
        raise MigrationFailed(f"{reason}; nothing was changed").because(
            quoted(error.orig)
        ) from error


def schema_version(conn: Connection) -> SchemaVersion:
    """Compare the database's revision with the newest one in the code."""
    context = MigrationContext.configure(conn, opts={"version_table_schema": VERSION_SCHEMA})
    current = context.get_current_revision()
    if current != _head():  # older schemas don't record which edition maintains them
        ahead = current is not None and current not in _revisions()
        return SchemaVersion(current, _head(), views=False, ahead=ahead)
    return SchemaVersion(
        current, _head(), views=rerunnable.is_up_to_date(conn), ahead=rerunnable.is_ahead(conn)
    )


def _head() -> str:
    """The newest revision."""
    return _revisions()[0]


@cache
def _revisions() -> list[str]:
    """All revisions, the newest first, cached: the files don't change while the program runs."""
    return [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
