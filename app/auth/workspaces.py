"""Workspaces: tenants, to which all data belongs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from app.errors import InvalidInput
from app.store.database import Database
from app.store.tables import workspace

DEFAULT_WORKSPACE = "default"
MAX_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace and its contents. `keys` is the number of active keys."""

    name: str
    created_at: datetime
    models: int
    keys: int


def create_workspace(conn: Connection, name: str) -> bool:
    """Create a workspace, unless it exists. Returns whether it was created.

    Raises:
        InvalidInput: not a valid name; it has to fit into a path.
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable() or set(name) & set(" /?#%"):
        raise InvalidInput(
            f"a workspace's name is 1 to {MAX_NAME_LENGTH} characters,"
            " without spaces and without / ? # %"
        )
    creation = (
        insert(workspace).values(name=name).on_conflict_do_nothing().returning(workspace.c.id)
    )
    return conn.execute(creation).first() is not None


def find_or_create_workspace(conn: Connection, name: str) -> int:
    """The id of the workspace with this name, created if absent.

    Raises:
        InvalidInput: not a valid name.
    """
    workspace_id = find_workspace(conn, name)
    if workspace_id is None:
        create_workspace(conn, name)
        return _id_of(conn, name)
    return workspace_id


def find_workspace(conn: Connection, name: str) -> int | None:
    """The id of the workspace with this name, if there is one."""
    return conn.execute(select(workspace.c.id).where(workspace.c.name == name)).scalar()


def workspace_name(conn: Connection, workspace_id: int) -> str:
    """The name of a workspace."""
    name: str = conn.execute(
        select(workspace.c.name).where(workspace.c.id == workspace_id)
    ).scalar_one()
    return name


def default_workspace(database: Database) -> int:
    """The workspace of a server without authentication: created by a migration, never deleted."""
    if database.default_workspace_id is None:
        with database.reading() as conn:
            database.default_workspace_id = _id_of(conn, DEFAULT_WORKSPACE)
    return database.default_workspace_id


def list_workspaces(conn: Connection) -> Sequence[Workspace]:
    """All workspaces by name."""
    return [Workspace(*row) for row in conn.execute(_LIST)]


_LIST = text("""
    SELECT name, created_at,
           (SELECT count(*) FROM model WHERE workspace_id = w.id),
           (SELECT count(*) FROM api_key
            WHERE workspace_id = w.id AND revoked_at IS NULL
              AND (expires_at IS NULL OR expires_at > now()))
    FROM workspace AS w
    ORDER BY name
""")


def _id_of(conn: Connection, name: str) -> int:
    by_name = select(workspace.c.id).where(workspace.c.name == name)
    workspace_id: int = conn.execute(by_name).scalar_one()
    return workspace_id
