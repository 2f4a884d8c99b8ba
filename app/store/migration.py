"""Bring a database's schema to the version this code needs, or say how far it is."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from migrations import rerunnable

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
VERSION_SCHEMA = "public"


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The revision a database is at, and the newest one. `current` is None before the first.

    `views` tells whether its functions and views are those of this program.
    """

    current: str | None
    head: str
    views: bool

    @property
    def at_head(self) -> bool:
        """Whether this code may use the database."""
        return self.current == self.head and self.views


def _config(database_url: str) -> Config:
    config = Config(attributes={"database_url": database_url})
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Safe to run from many processes at once: one does the work."""
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`; "base" removes everything."""
    command.downgrade(_config(database_url), revision)


def schema_version(conn: Connection) -> SchemaVersion:
    """Compare the database's revision with the newest one in the code."""
    context = MigrationContext.configure(conn, opts={"version_table_schema": VERSION_SCHEMA})
    current = context.get_current_revision()
    at_head = current == _head()
    # older tables can't be asked which edition keeps them
    views = at_head and rerunnable.digest_in_place(conn) == rerunnable.digest(
        rerunnable.edition(conn)
    )
    return SchemaVersion(current, _head(), views)


@cache
def _head() -> str:
    """The newest revision: the files don't change while the program runs."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None, "migrations/versions is empty"  # noqa: S101 - a broken install
    return head
