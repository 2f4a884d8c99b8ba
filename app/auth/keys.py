"""API keys: made once, shown once, kept as a hash."""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from app.errors import Forbidden, Unauthenticated
from app.store.tables import api_key

PREFIX = "tl_"  # lets secret scanners and people recognise one


class Role(StrEnum):
    """What a key may do. An admin may do everything."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """Who is asking."""

    workspace_id: int
    role: Role

    def require(self, role: Role) -> None:
        """Go on only with the right role.

        Raises:
            Forbidden: the key has another one.
        """
        if self.role not in (role, Role.ADMIN):
            raise Forbidden(f"this needs a key with the role {role} or admin")


def create_key(conn: Connection, workspace_id: int, role: Role) -> str:
    """Make a key and return it; it can't be shown again."""
    key = PREFIX + secrets.token_urlsafe(32)
    conn.execute(insert(api_key).values(workspace_id=workspace_id, role=role, digest=_digest(key)))
    return key


def access_of(conn: Connection, key: str) -> Access:
    """What a key gives access to.

    Raises:
        Unauthenticated: no such key, or it was revoked.
    """
    statement = select(api_key.c.workspace_id, api_key.c.role).where(
        api_key.c.digest == _digest(key), api_key.c.revoked_at.is_(None)
    )
    row = conn.execute(statement).one_or_none()
    if row is None:
        raise Unauthenticated("this API key does not exist or has been revoked")
    return Access(row.workspace_id, Role(row.role))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
