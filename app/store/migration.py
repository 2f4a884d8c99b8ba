"""Migrate a database's schema to the version that this code needs, or report its version."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from migrations.sqlfile import views_digest, views_edition, views_in_place

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
VERSION_SCHEMA = "public"


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The revision of a database, and the newest one. `current` is None before the first.

    `views` is whether its public functions are those of this program.
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
    """Migrate up to `revision`. Safe to run in several processes at once: one does the work."""
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`; "base" removes everything."""
    command.downgrade(_config(database_url), revision)


def schema_version(conn: Connection) -> SchemaVersion:
    """Compare the database's revision with the newest one in the code."""
    context = MigrationContext.configure(conn, opts={"version_table_schema": VERSION_SCHEMA})
    current = context.get_current_revision()
    at_head = current == _head()
    # older schemas don't record which edition maintains them
    views = at_head and views_in_place(conn) == views_digest(views_edition(conn))
    return SchemaVersion(current, _head(), views)


@cache
def _head() -> str:
    """The newest revision, cached: the files don't change while the program runs."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None, "migrations/versions is empty"  # noqa: S101 - a broken install
    return head
