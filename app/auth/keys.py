"""API keys: shown once, stored as a hash; they may expire on a date, or be revoked."""

import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import Connection, Select, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.errors import Forbidden, InvalidInput, TruthlineError, Unauthenticated, Unavailable
from app.store.database import Database
from app.store.tables import api_key, workspace

PREFIX = "tl_"  # lets secret scanners and people recognize one
MAX_NAME_LENGTH = 100
SHOWN_LENGTH = len(PREFIX) + 4  # length of the part that is stored to be shown
WRONG_KEY = "this API key does not exist, has expired or was revoked"
WRONG_TOKEN = "this access token is not valid, has expired or was revoked"  # noqa: S105 - no secret
_log = logging.getLogger(__name__)


class UnknownKey(TruthlineError):
    """No API key has this number."""


class Role(StrEnum):
    """What a key is allowed to do. An admin is allowed everything."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """A workspace, and the roles in it."""

    workspace_id: int
    roles: frozenset[Role]

    def require(self, role: Role) -> None:
        """Check for a role.

        Raises:
            Forbidden: only other roles.
        """
        if not self.roles & {role, Role.ADMIN}:
            raise Forbidden(f"this needs a key with the role {role} or admin")


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that is neither expired nor revoked."""

    id: int
    workspace_id: int
    role: Role
    used_today: bool

    @property
    def access(self) -> Access:
        """What it gives access to."""
        return Access(self.workspace_id, frozenset({self.role}))


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as shown to its owner."""

    id: int
    name: str
    prefix: str | None
    workspace: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: date | None
    expired: bool

    @property
    def state(self) -> str:
        """One of active, expired and revoked."""
        return "revoked" if self.revoked_at else "expired" if self.expired else "active"


def create_key(
    conn: Connection,
    workspace_id: int,
    role: Role,
    *,
    name: str = "",
    lifetime: timedelta | None = None,
) -> str:
    """Create a key and return it; it can't be shown again. Without `lifetime` it doesn't expire.

    Raises:
        InvalidInput: a name that can't be shown.
    """
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(f"a key's name is at most {MAX_NAME_LENGTH} printable characters")
    key = PREFIX + secrets.token_urlsafe(32)
    values = {
        "workspace_id": workspace_id,
        "role": role,
        "name": name,
        "prefix": key[:SHOWN_LENGTH],
    }
    expires_at = None if lifetime is None else func.now() + lifetime
    conn.execute(insert(api_key).values(digest=digest(key), expires_at=expires_at, **values))
    return key


def live_key(conn: psycopg.Connection, key: str) -> LiveKey:
    """Look up a key.

    Raises:
        Unauthenticated: no such key, or it has expired or was revoked.
    """
    row = _fetch_one(conn, _BY_DIGEST, {"digest": digest(key)})
    if row is None:
        raise Unauthenticated(WRONG_KEY).because(_why_rejected(conn, key))
    return _live(*row)


def _why_rejected(conn: psycopg.Connection, key: str) -> str:
    """Why a key is rejected, for the log: identified by its number, never by itself."""
    row = _fetch_one(conn, _INACTIVE, {"digest": digest(key)})
    if row is None:
        return "no such key ever existed"
    return f"key {row[0]} was revoked" if row[1] else f"key {row[0]} has expired"


@dataclass(frozen=True, slots=True)
class TokenContext:
    """What an access token is verified with: its signer's secret, and the key it stands for."""

    secret: bytes
    key: LiveKey


def token_context(
    conn: psycopg.Connection, *, secret_id: int, key_id: int, family_id: int | None
) -> TokenContext | None:
    """Look up the numbers in a token; it expires with its key, and with its family.

    Cost: one statement, since it is part of almost every request.

    Returns:
        None if there is no such secret, or the key or the family doesn't exist or is revoked.
    """
    parameters = {"secret": secret_id, "key": key_id, "family": family_id}
    row = _fetch_one(conn, _TOKEN_CONTEXT, parameters)
    return None if row is None else TokenContext(row[0], _live(*row[1:]))


def key_of_token(conn: psycopg.Connection, key_id: int, family_id: int) -> LiveKey:
    """The key of a family of tokens, which end with the key and with the family.

    Raises:
        Unauthenticated: one of them has expired or was revoked.
    """
    row = _fetch_one(conn, _OF_FAMILY, {"key": key_id, "family": family_id})
    if row is None:
        raise Unauthenticated(WRONG_TOKEN)
    return _live(*row)


def _fetch_one(
    conn: psycopg.Connection, query: bytes, parameters: Mapping[str, object]
) -> TupleRow | None:
    return conn.execute(query, parameters, prepare=True, binary=True).fetchone()


def _live(id_: int, workspace_id: int, role: str, used_today: bool) -> LiveKey:
    return LiveKey(id_, workspace_id, Role(role), used_today)


_EXPIRED = api_key.c.expires_at <= func.now()
_COLUMNS = "key.id, key.workspace_id, key.role, coalesce(key.last_used_on = current_date, false)"
_LIVE = "key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > now())"
_FAMILY = "EXISTS (SELECT FROM refresh_family WHERE id = %(family)s AND ended_at IS NULL)"
_KEYS = f"SELECT {_COLUMNS} FROM api_key AS key"
_BY_DIGEST = f"{_KEYS} WHERE digest = %(digest)s AND {_LIVE}".encode()
_INACTIVE = b"SELECT id, revoked_at IS NOT NULL FROM api_key WHERE digest = %(digest)s"
_OF_FAMILY = f"{_KEYS} WHERE id = %(key)s AND {_FAMILY} AND {_LIVE}".encode()
_TOKEN_CONTEXT = f"""
    SELECT signing_secret.secret, {_COLUMNS}
    FROM signing_secret
    JOIN api_key AS key
        ON key.id = %(key)s AND (CAST(%(family)s AS bigint) IS NULL OR {_FAMILY}) AND {_LIVE}
    WHERE signing_secret.id = %(secret)s
""".encode()


def record_use(database: Database, key: LiveKey) -> None:
    """Record the day on which a key was last used; only its first request of a day writes.

    It never blocks the request: if the row is locked, or can't be written, nothing happens.
    """
    if key.used_today:
        return
    try:
        with database.writing() as conn:
            conn.execute(_RECORD_USE, {"id": key.id})
    except (DBAPIError, Unavailable) as error:
        _log.info("the use of key %d was not recorded: %s", key.id, type(error).__name__)


_RECORD_USE = text("""
    UPDATE api_key SET last_used_on = current_date
    WHERE id = (SELECT id FROM api_key
                WHERE id = :id AND last_used_on IS DISTINCT FROM current_date
                FOR UPDATE SKIP LOCKED)
""")


def list_keys(conn: Connection, workspace_name: str | None = None) -> Sequence[ListedKey]:
    """All keys, of one workspace or of all, in order of creation."""
    statement = _LISTED.order_by(api_key.c.id)
    if workspace_name is not None:
        statement = statement.where(workspace.c.name == workspace_name)
    return [ListedKey(*row) for row in conn.execute(statement)]


def revoke_key(conn: Connection, key_id: int) -> ListedKey:
    """Revoke a key and all its tokens. Returns the key as it was before.

    Raises:
        UnknownKey: there is none with this number.
    """
    row = conn.execute(_LISTED.where(api_key.c.id == key_id)).one_or_none()
    if row is None:
        raise UnknownKey(f"there is no key {key_id}: 'truthline keys list' shows all")
    revoke = update(api_key).values(revoked_at=func.now())
    conn.execute(revoke.where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None)))
    return ListedKey(*row)


_LISTED: Select[Any] = select(
    api_key.c.id,
    api_key.c.name,
    api_key.c.prefix,
    workspace.c.name.label("workspace"),
    api_key.c.role,
    api_key.c.created_at,
    api_key.c.expires_at,
    api_key.c.revoked_at,
    api_key.c.last_used_on,
    func.coalesce(_EXPIRED, False).label("expired"),
).join_from(api_key, workspace, workspace.c.id == api_key.c.workspace_id)


def digest(secret: str) -> bytes:
    """What is stored of a key or refresh token; works for any text, even invalid UTF-8."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
