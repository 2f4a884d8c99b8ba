"""Migrate a database's schema to the version that this code needs, or report its version."""

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
