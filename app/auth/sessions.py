"""Sessions of the pages: a key given once, and a token that stands for it from then on.

A session is a family of tokens whose refresh token nobody gets: the pages renew it while they are
looked at. It ends with its key, when somebody logs out, half a day after it was last used, and
with the family after 30 days.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.auth import keys, refresh, tokens
from app.auth.keys import Access, Role
from app.errors import Unauthenticated
from app.store.database import Database

SECONDS = 12 * 3_600
RENEWED_AFTER_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Session:
    """Who is looking; `renewed` is the token to go on with, once the present one has aged."""

    access: Access
    renewed: str | None = None


def begin(database: Database, key: str) -> str:
    """The token of a new session.

    Raises:
        Unauthenticated: no such key, or it has expired or was revoked.
        Forbidden: the key may not read.
    """
    with database.reading() as conn:
        found = keys.live_key(conn, key)
    found.access.require(Role.READ)
    keys.note_use(database, found)
    return refresh.exchange(database, key, SECONDS).access_token


def resume(database: Database, token: str) -> Session:
    """The session of a token.

    Raises:
        Unauthenticated: it is none, it has ended, or its key has.
        Forbidden: the key may not read.
    """
    with database.reading() as conn:
        claims = tokens.verified(conn, token)
        key = tokens.key_behind(conn, token)
        family_id = _family_of(claims)
        key.access.require(Role.READ)
        renewed = None
        if time.time() - claims["iat"] > RENEWED_AFTER_SECONDS:
            renewed = tokens.give(conn, key_id=key.id, seconds=SECONDS, family_id=family_id)
    keys.note_use(database, key)
    return Session(key.access, renewed)


def end(database: Database, token: str) -> None:
    """End a session, on every machine that its token was copied to; what is none ends nothing."""
    try:
        with database.reading() as conn:
            family_id = _family_of(tokens.verified(conn, token))
    except Unauthenticated:
        return
    refresh.end_family(database, family_id)


def _family_of(claims: Mapping[str, Any]) -> int:
    if "sid" not in claims:
        raise Unauthenticated(keys.WRONG_TOKEN)
    return int(claims["sid"])
