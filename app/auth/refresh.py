"""Refresh tokens: a key is exchanged for a chain of tokens, each of which is used once.

The first exchange of a key starts a family; each further exchange returns the next token of it. If
a token is used again, later than a retry would be, someone has copied it, and the family is
revoked. docs/decisions/0004-tokens.md explains why.
"""

import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Row, func, insert, select, text, update

from app.auth import keys, tokens
from app.errors import InvalidGrant, Unauthenticated
from app.store.database import Database, driver
from app.store.tables import refresh_family, refresh_token

PREFIX = "tlr_"
LIFETIME = timedelta(days=30)
# How long a token may be used again: its response was lost, or two threads share it.
REPEATABLE = timedelta(seconds=60)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The result of an exchange."""

    access_token: str
    refresh_token: str


def exchange(database: Database, presented: str, seconds: int) -> TokenPair:
    """Exchange a key or a refresh token; the access token is valid for this many seconds.

    Raises:
        InvalidGrant: it doesn't exist, has expired, was revoked, or was used before.
    """
    with database.writing() as conn:
        # revoking a family has to be committed, so a rejected token raises only afterwards
        family = _start_family(conn, presented) or _rotate(conn, presented)
        pair = family and _issue(conn, *family, seconds)
    if pair is None:
        raise InvalidGrant("the refresh token does not exist, has expired, or was used or revoked")
    return pair


def revoke(database: Database, token: str) -> None:
    """Revoke the family of a refresh token; an unknown one is ignored."""
    family = select(refresh_token.c.family_id).where(refresh_token.c.digest == keys.digest(token))
    with database.writing() as conn:
        _revoke(conn, family.scalar_subquery())


def revoke_family(database: Database, family_id: int) -> None:
    """Revoke a family and all its tokens."""
    with database.writing() as conn:
        _revoke(conn, family_id)


def delete_expired_tokens(conn: Connection) -> int:
    """Delete expired tokens, and families without any; returns the number of tokens."""
    deleted = conn.execute(_DELETE_TOKENS).rowcount
    conn.execute(_DELETE_FAMILIES)
    return deleted


_DELETE_TOKENS = text("DELETE FROM refresh_token WHERE expires_at < now()")
_DELETE_FAMILIES = text("""
    DELETE FROM refresh_family AS f
    WHERE NOT EXISTS (SELECT FROM refresh_token WHERE family_id = f.id)
""")


def _start_family(conn: Connection, presented: str) -> tuple[int, int] | None:
    """Key and new family, if a key is presented."""
    try:
        key = keys.live_key(driver(conn), presented)
    except Unauthenticated:
        return None
    new = insert(refresh_family).values(api_key_id=key.id).returning(refresh_family.c.id)
    return key.id, conn.execute(new).scalar_one()


def _rotate(conn: Connection, presented: str) -> tuple[int, int] | None:
    """Key and family, if the next token of a family is presented."""
    # locked, so that one of two concurrent exchanges is the first
    token_row = conn.execute(
        _TOKEN_ROW.where(refresh_token.c.digest == keys.digest(presented)).with_for_update(
            of=refresh_token
        )
    ).one_or_none()
    if token_row is None or not token_row.usable:
        return None
    if token_row.copied:
        _log.warning(
            "a refresh token of key %d was used twice: its family is revoked", token_row.api_key_id
        )
        _revoke(conn, token_row.family_id)
        return None
    return _mark_used(conn, presented, token_row)


_TOKEN_ROW = select(
    refresh_token.c.family_id,
    refresh_family.c.api_key_id,
    ((refresh_token.c.expires_at > func.now()) & refresh_family.c.ended_at.is_(None)).label(
        "usable"
    ),
    func.coalesce(refresh_token.c.used_at < func.now() - REPEATABLE, False).label("copied"),
).join_from(refresh_token, refresh_family, refresh_family.c.id == refresh_token.c.family_id)


def _mark_used(
    conn: Connection, presented: str, token_row: Row[tuple[int, int, bool, bool]]
) -> tuple[int, int] | None:
    try:
        key = keys.key_of_token(driver(conn), token_row.api_key_id, token_row.family_id)
    except Unauthenticated:
        return None
    use = refresh_token.update().values(used_at=func.coalesce(refresh_token.c.used_at, func.now()))
    conn.execute(use.where(refresh_token.c.digest == keys.digest(presented)))
    return key.id, token_row.family_id


def _issue(conn: Connection, key_id: int, family_id: int, seconds: int) -> TokenPair:
    token = PREFIX + secrets.token_urlsafe(32)
    row = {"digest": keys.digest(token), "family_id": family_id}
    conn.execute(insert(refresh_token).values(expires_at=func.now() + LIFETIME, **row))
    access = tokens.issue(conn, key_id=key_id, seconds=seconds, family_id=family_id)
    return TokenPair(access, token)


def _revoke(conn: Connection, family_id: object) -> None:
    revocation = update(refresh_family).values(ended_at=func.now())
    conn.execute(
        revocation.where(refresh_family.c.id == family_id, refresh_family.c.ended_at.is_(None))
    )
