"""Sessions of the pages: a key is entered once, and a token stands for it from then on.

A session is a family of tokens whose refresh token is never handed out: the pages renew it while
they are in use. It expires half a day after its last use, and with its family after 30 days, and is
revoked with its key or by logging out. Its tokens are accepted by the pages alone, which accept no
others.
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
    """The access of a session; `renewed` replaces its token, once that has aged."""

    access: Access
    renewed: str | None = None


def begin(database: Database, key: str) -> str:
    """Start a session and return its token.

    Raises:
        Unauthenticated: no such key, or it has expired or was revoked.
        Forbidden: the key may not read.
    """
    with database.glancing() as conn:
        live_key = keys.live_key(conn, key)
    live_key.access.require(Role.READ)
    keys.record_use(database, live_key)
    pair = refresh.exchange(database, key, SECONDS)
    family_id = int(tokens.read(pair.access_token).claims["sid"])
    return _token(database, live_key, family_id)


def _token(database: Database, key: LiveKey, family_id: int) -> str:
    with database.reading() as conn:
        return tokens.issue(
            conn, key_id=key.id, seconds=SECONDS, family_id=family_id, audience=AUDIENCE
        )


def resume(database: Database, token: str) -> Session:
    """The session of a token.

    Raises:
        Unauthenticated: it is none, or the session or its key has expired or was revoked.
    """
    with database.glancing() as conn:
        claims, key = tokens.verify(conn, token, AUDIENCE)
    aged = time.time() - claims["iat"] > RENEWED_AFTER_SECONDS
    renewed = _token(database, key, int(claims["sid"])) if aged else None
    keys.record_use(database, key)
    return Session(key.access, renewed)


def end(database: Database, token: str) -> None:
    """Revoke a session and all copies of its token; anything else is ignored."""
    try:
        with database.glancing() as conn:
            family_id = int(tokens.verify(conn, token, AUDIENCE).claims["sid"])
    except Unauthenticated:
        return
    refresh.revoke_family(database, family_id)
