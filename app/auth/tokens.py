"""Access tokens: JWTs that stand for a key, and expire soon or with it.

A token identifies its key, but doesn't contain the key's rights: the key is looked up on each use,
so revoking it takes effect at once.
"""

import re
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jwt
import psycopg
from sqlalchemy import Connection, select

from app.auth.keys import WRONG_TOKEN, LiveKey, token_context
from app.errors import Unauthenticated
from app.store.tables import signing_secret

ISSUER = "truthline"
ALGORITHM = "HS256"
MAX_LENGTH = 32_768  # of a token, as of the header that it comes in
MAX_REASON_LENGTH = 200
LEEWAY_SECONDS = 30  # allowed difference between the clocks of two machines
NO_KEY = 0  # stands in tokens of a server without authentication; no key has this number
NOBODY = -1  # no key has this number either


class Unverified(NamedTuple):
    """Header and claims of a token, which nobody has verified yet."""

    header: dict[str, Any]
    claims: dict[str, Any]


_NUMBER = re.compile(r"[0-9]{1,18}")
# No characters that decoding would ignore: each token has one spelling.
_SPELLING = re.compile(r"[\w-]*(\.[\w-]*){2}", re.ASCII)


def why(error: Exception) -> str:
    """Why a token is invalid, for the log: one line, and nothing that could be misused."""
    return f"{type(error).__name__}: {str(error)[:MAX_REASON_LENGTH]!r}"


def is_jwt(credential: str) -> bool:
    """Whether a credential has the three parts of a JWT; a key has no dots."""
    return _SPELLING.fullmatch(credential) is not None


def read(token: str) -> Unverified:
    """Parse a token.

    Raises:
        Unauthenticated: it is none, or too long.
    """
    if len(token) > MAX_LENGTH:  # a token in a body may be as long as the body
        raise Unauthenticated(WRONG_TOKEN).because(f"a token has at most {MAX_LENGTH} characters")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    # strangers send anything: also deep nesting, and text that isn't UTF-8
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Unauthenticated(WRONG_TOKEN).because(why(error)) from None
    return Unverified(parts["header"], parts["payload"])


def issue(
    conn: Connection,
    *,
    key_id: int,
    seconds: int,
    family_id: int | None = None,
    audience: str | None = None,
) -> str:
    """Issue an access token for a key, or for a family of refresh tokens of a key.

    With an `audience` it is valid for that alone: programs can't use it, and that audience accepts
    no other tokens.
    """
    newest = select(signing_secret).order_by(signing_secret.c.id.desc()).limit(1)
    signing = conn.execute(newest).one()
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": str(key_id), "iat": now, "exp": now + seconds}
    claims["jti"] = secrets.token_hex(8)
    if family_id is not None:
        claims["sid"] = str(family_id)
    if audience is not None:
        claims["aud"] = audience
    return jwt.encode(claims, signing.secret, ALGORITHM, headers={"kid": str(signing.id)})


class Verified(NamedTuple):
    """The claims of a verified token, and the key that it stands for."""

    claims: Mapping[str, Any]
    key: LiveKey


def verify(conn: psycopg.Connection, token: str, audience: str | None = None) -> Verified:
    """Verify an access token of ours, and look up its key.

    Raises:
        Unauthenticated: not signed by us, expired, for another audience, or its key or family has
            expired or was revoked.
    """
    unverified = read(token)
    # nothing is verified yet: these are numbers to look up, also that of the secret
    secret_id, key_id = _number(unverified.header.get("kid")), _number(unverified.claims.get("sub"))
    family_id = _number(unverified.claims["sid"]) if "sid" in unverified.claims else None
    context = token_context(conn, secret_id=secret_id, key_id=key_id, family_id=family_id)
    if context is None:
        raise Unauthenticated(WRONG_TOKEN).because(
            f"key {key_id} of this token or its family is not active, or its secret is not ours"
        )
    return Verified(_verified_claims(token, context.secret, audience), context.key)


def _number(claim: object) -> int:
    """A number as tokens of ours contain it; NOBODY for anything else."""
    return int(claim) if isinstance(claim, str) and _NUMBER.fullmatch(claim) else NOBODY


def _verified_claims(token: str, secret: bytes, audience: str | None) -> Mapping[str, Any]:
    claims = _signed(token, secret, audience)
    if claims["exp"] + LEEWAY_SECONDS <= time.time():
        raise Unauthenticated(WRONG_TOKEN).because(f"the token expired at {claims['exp']}")
    return claims


# A client sends its token with each request: signature, issuer and audience don't change. Only
# tokens that we signed are cached, so a stranger can't fill the memory.
@lru_cache(maxsize=1_024)
def _signed(token: str, secret: bytes, audience: str | None) -> Mapping[str, Any]:
    try:
        return MappingProxyType(
            jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "iat", "exp"]},
            )
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(WRONG_TOKEN).because(why(error)) from None
