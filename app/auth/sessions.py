"""Sessions of the pages: a key given once, and a token that stands for it from then on.

A session is a family of tokens whose refresh token nobody gets: the pages renew it while they are
looked at. It ends with its key, when somebody logs out, half a day after it was last used, and
with the family after 30 days. Its tokens are for the pages alone, and no other opens them.
"""

import time
from dataclasses import dataclass

from app.auth import keys, refresh, tokens
from app.auth.keys import Access, LiveKey, Role
from app.errors import Unauthenticated
from app.store.database import Database

AUDIENCE = "truthline-pages"
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
    with database.glancing() as conn:
        found = keys.live_key(conn, key)
    found.access.require(Role.READ)
    keys.note_use(database, found)
    pair = refresh.exchange(database, key, SECONDS)
    family_id = int(tokens.read(pair.access_token).claims["sid"])
    return _token(database, found, family_id)


def _token(database: Database, key: LiveKey, family_id: int) -> str:
    with database.reading() as conn:
        return tokens.give(
            conn, key_id=key.id, seconds=SECONDS, family_id=family_id, audience=AUDIENCE
        )


def resume(database: Database, token: str) -> Session:
    """The session of a token.

    Raises:
        Unauthenticated: it is none, it has ended, or its key has.
    """
    with database.glancing() as conn:
        claims, key = tokens.opened(conn, token, AUDIENCE)
    aged = time.time() - claims["iat"] > RENEWED_AFTER_SECONDS
    renewed = _token(database, key, int(claims["sid"])) if aged else None
    keys.note_use(database, key)
    return Session(key.access, renewed)


def end(database: Database, token: str) -> None:
    """End a session, wherever its token was copied to; what is none ends nothing."""
    try:
        with database.glancing() as conn:
            family_id = int(tokens.opened(conn, token, AUDIENCE).claims["sid"])
    except Unauthenticated:
        return
    refresh.end_family(database, family_id)
