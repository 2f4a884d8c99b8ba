"""Access tokens: JWTs that stand for a key, and end soon or with it.

A token says which key it was given for and nothing of what that may do: the key is looked up on
each use, so revoking it takes effect at once.
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

from app.auth.keys import WRONG_TOKEN, LiveKey, behind_token
from app.errors import Unauthenticated
from app.store.tables import signing_secret

ISSUER = "truthline"
ALGORITHM = "HS256"
MAX_LENGTH = 32_768  # of a token, as of the header that it comes in
LONGEST_REASON = 200
LEEWAY_SECONDS = 30  # how far the clocks of two machines may be apart
NO_KEY = 0  # whom tokens of a server without authentication stand for; no key has this number
NOBODY = -1  # nor this one


class Unverified(NamedTuple):
    """What a token says of itself, before anybody knows whether it is true."""

    header: dict[str, Any]
    claims: dict[str, Any]


_NUMBER = re.compile(r"[0-9]{1,18}")
# Nothing that decoding would skip: of each token there is one spelling.
_SPELLING = re.compile(r"[\w-]*(\.[\w-]*){2}", re.ASCII)


def why(error: Exception) -> str:
    """What is wrong with a token, for the log: one line, and nothing that could be used."""
    return f"{type(error).__name__}: {str(error)[:LONGEST_REASON]!r}"


def is_jwt(credential: str) -> bool:
    """Whether a credential has the three parts of a JWT; a key has no dots."""
    return _SPELLING.fullmatch(credential) is not None


def read(token: str) -> Unverified:
    """Take a token apart.

    Raises:
        Unauthenticated: it is none, or longer than any is.
    """
    if len(token) > MAX_LENGTH:  # one in a body may be as long as that
        raise Unauthenticated(WRONG_TOKEN).because(f"a token has at most {MAX_LENGTH} characters")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    # whatever a stranger sends: also deep nesting, and text that is no UTF-8
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Unauthenticated(WRONG_TOKEN).because(why(error)) from None
    return Unverified(parts["header"], parts["payload"])


def give(
    conn: Connection,
    *,
    key_id: int,
    seconds: int,
    family_id: int | None = None,
    audience: str | None = None,
) -> str:
    """A new access token for a key, or for a family of refresh tokens that a key began.

    With an `audience` it is for that alone: a program can't use it, and there no other is taken.
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


class Opened(NamedTuple):
    """What a verified token says, and the key that it was given for."""

    claims: Mapping[str, Any]
    key: LiveKey


def opened(conn: psycopg.Connection, token: str, audience: str | None = None) -> Opened:
    """What an access token of ours says, and the key behind it.

    Raises:
        Unauthenticated: not signed by us, expired, for another audience, or its key or family has
            ended.
    """
    said = read(token)
    # nothing said is true yet: these are numbers to look up, the secret among them
    secret_id, key_id = _number(said.header.get("kid")), _number(said.claims.get("sub"))
    family_id = _number(said.claims["sid"]) if "sid" in said.claims else None
    found = behind_token(conn, secret_id=secret_id, key_id=key_id, family_id=family_id)
    if found is None:
        raise Unauthenticated(WRONG_TOKEN).because(
            f"key {key_id} of this token has ended, or its family, or it names no secret of ours"
        )
    return Opened(_verified(token, found.secret, audience), found.key)


def _number(said: object) -> int:
    """A number as tokens of ours have it; anything else is one that nothing has."""
    return int(said) if isinstance(said, str) and _NUMBER.fullmatch(said) else NOBODY


def _verified(token: str, secret: bytes, audience: str | None) -> Mapping[str, Any]:
    claims = _signed(token, secret, audience)
    if claims["exp"] + LEEWAY_SECONDS <= time.time():
        raise Unauthenticated(WRONG_TOKEN).because(f"the token expired at {claims['exp']}")
    return claims


# A token comes with each request of a client: signature, issuer and audience don't change. What is
# kept was signed by us, so that no stranger can fill the memory.
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
