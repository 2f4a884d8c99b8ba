"""Refresh tokens: a key exchanged for a chain of tokens, each used once.

A key begins a family. Each exchange hands out the next token of it; a token that comes a second
time, later than a retry would, was copied by somebody, and ends the family.
docs/decisions/0004-tokens.md says why.
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
# For how long a token may come again: its answer was lost on the way, or two threads share it.
REPEATABLE = timedelta(seconds=60)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What an exchange gives."""

    access_token: str
    refresh_token: str


def exchange(database: Database, presented: str, seconds: int) -> TokenPair:
    """Exchange a key or a refresh token; the access token lasts for so many seconds.

    Raises:
        InvalidGrant: it doesn't exist, has ended, or was used before.
    """
    with database.writing() as conn:
        # ending a family has to be committed, so a refusal is no exception yet
        family = _begun(conn, presented) or _continued(conn, presented)
        pair = family and _pair(conn, *family, seconds)
    if pair is None:
        raise InvalidGrant("the refresh token does not exist, has expired, or was used or revoked")
    return pair


def revoke(database: Database, token: str) -> None:
    """End the family of a refresh token; an unknown one changes nothing."""
    family = select(refresh_token.c.family_id).where(refresh_token.c.digest == keys.digest(token))
    with database.writing() as conn:
        _end(conn, family.scalar_subquery())


def end_family(database: Database, family_id: int) -> None:
    """End a family and all its tokens."""
    with database.writing() as conn:
        _end(conn, family_id)


def forget_old_tokens(conn: Connection) -> int:
    """Forget tokens that have expired, and families without any; returns how many tokens."""
    forgotten = conn.execute(_FORGET_TOKENS).rowcount
    conn.execute(_FORGET_FAMILIES)
    return forgotten


_FORGET_TOKENS = text("DELETE FROM refresh_token WHERE expires_at < now()")
_FORGET_FAMILIES = text("""
    DELETE FROM refresh_family AS f
    WHERE NOT EXISTS (SELECT FROM refresh_token WHERE family_id = f.id)
""")


def _begun(conn: Connection, presented: str) -> tuple[int, int] | None:
    """Key and family, new, if what is presented is a key."""
    try:
        key = keys.live_key(driver(conn), presented)
    except Unauthenticated:
        return None
    new = insert(refresh_family).values(api_key_id=key.id).returning(refresh_family.c.id)
    return key.id, conn.execute(new).scalar_one()


def _continued(conn: Connection, presented: str) -> tuple[int, int] | None:
    """Key and family, if what is presented is the family's token to use next."""
    # locked: of two exchanges at once, one is the first
    found = conn.execute(
        _FOUND.where(refresh_token.c.digest == keys.digest(presented)).with_for_update(
            of=refresh_token
        )
    ).one_or_none()
    if found is None or not found.usable:
        return None
    if found.copied:
        _log.warning("a refresh token of key %d came twice: its family ends", found.api_key_id)
        _end(conn, found.family_id)
        return None
    return _use(conn, presented, found)


_FOUND = select(
    refresh_token.c.family_id,
    refresh_family.c.api_key_id,
    ((refresh_token.c.expires_at > func.now()) & refresh_family.c.ended_at.is_(None)).label(
        "usable"
    ),
    func.coalesce(refresh_token.c.used_at < func.now() - REPEATABLE, False).label("copied"),
).join_from(refresh_token, refresh_family, refresh_family.c.id == refresh_token.c.family_id)


def _use(
    conn: Connection, presented: str, found: Row[tuple[int, int, bool, bool]]
) -> tuple[int, int] | None:
    try:
        key = keys.key_of_token(driver(conn), found.api_key_id, found.family_id)
    except Unauthenticated:
        return None
    used = refresh_token.update().values(used_at=func.coalesce(refresh_token.c.used_at, func.now()))
    conn.execute(used.where(refresh_token.c.digest == keys.digest(presented)))
    return key.id, found.family_id


def _pair(conn: Connection, key_id: int, family_id: int, seconds: int) -> TokenPair:
    token = PREFIX + secrets.token_urlsafe(32)
    row = {"digest": keys.digest(token), "family_id": family_id}
    conn.execute(insert(refresh_token).values(expires_at=func.now() + LIFETIME, **row))
    access = tokens.give(conn, key_id=key_id, seconds=seconds, family_id=family_id)
    return TokenPair(access, token)


def _end(conn: Connection, family_id: object) -> None:
    end = update(refresh_family).values(ended_at=func.now())
    conn.execute(end.where(refresh_family.c.id == family_id, refresh_family.c.ended_at.is_(None)))
