"""Workspaces: what everything belongs to."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from app.store.tables import workspace

DEFAULT_WORKSPACE = "default"


def find_or_create_workspace(conn: Connection, name: str) -> int:
    """The id of the workspace of that name, made if absent."""
    conn.execute(insert(workspace).values(name=name).on_conflict_do_nothing())
    return _id_of(conn, name)


def default_workspace(conn: Connection) -> int:
    """The workspace of a server without authentication."""
    return _id_of(conn, DEFAULT_WORKSPACE)


def _id_of(conn: Connection, name: str) -> int:
    found: int = conn.execute(select(workspace.c.id).where(workspace.c.name == name)).scalar_one()
    return found
