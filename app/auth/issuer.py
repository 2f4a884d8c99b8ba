"""Tokens of an OpenID Connect provider: keys by discovery and JWKS, claims by configured names."""

import http.client
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK, PyJWKClient

from app.auth.keys import WRONG_TOKEN, Role
from app.auth.tokens import LEEWAY_SECONDS, MAX_REASON_LENGTH, is_jwt, read, why
from app.config import Settings
from app.errors import Unauthenticated, Unavailable

# Only the signer's key can create these. A symmetric key would let everyone who verifies sign too.
ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
TIMEOUT_SECONDS = 5
KEYS_LAST_SECONDS = 300
PAUSE_SECONDS = 5  # between two attempts to reach an issuer that is down
MAX_DOCUMENT_BYTES = 1_000_000
# A provider that is down, that isn't one, or that has no keys.
_OUTAGES = (OSError, http.client.HTTPException, jwt.PyJWTError, ValueError, KeyError, TypeError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token that matter here; empty if it has none that is valid."""

    workspace: str
    roles: frozenset[Role]


class Issuer:
    """The configured issuer. Nothing is fetched before its first token arrives."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.oidc_issuer
        self._audience = settings.oidc_audience
        self._workspace_claim = settings.oidc_workspace_claim
        self._role_claim = settings.oidc_role_claim
        self._keys = _Keys(self.url)

    def signs(self, credential: str) -> bool:
        """Whether a credential claims to be from this issuer.

        Raises:
            Unauthenticated: it looks like a token, but can't be parsed.
        """
        return is_jwt(credential) and read(credential).claims.get("iss") == self.url

    def claims(self, token: str) -> Claims:
        """The claims of a token of this issuer.

        Raises:
            Unauthenticated: not signed by the issuer, not meant for us, or not valid now.
            Unavailable: the issuer's keys can't be fetched.
        """
        claims = self._verified(token)
        roles = {role.value: role for role in Role}
        role_names = _texts(claims, self._role_claim)
        workspaces = _texts(claims, self._workspace_claim)
        return Claims(
            workspaces[0] if len(workspaces) == 1 and workspaces[0].isprintable() else "",
            frozenset(roles[text] for text in role_names if text in roles),
        )

    def _verified(self, token: str) -> dict[str, Any]:
        key = self._keys.find(read(token).header.get("kid"))
        if key.algorithm_name not in ALGORITHMS:
            reason = f"the issuer's key is for {key.algorithm_name}, which is not accepted"
            raise Unauthenticated(WRONG_TOKEN).because(reason)
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self.url,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "exp"]},
            )
        # claims of unexpected types cause other errors
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Unauthenticated(WRONG_TOKEN).because(why(error)) from None


class _Keys:
    """The issuer's public keys, fetched when one is needed and cached for a few minutes.

    One thread fetches them, and after a failure none does for a while: a stranger's tokens must not
    make all threads wait for an issuer that is down.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._client: PyJWKClient | None = None
        self._lock = threading.Lock()
        self._failed_at = float("-inf")

    def find(self, key_id: object) -> PyJWK:
        """The key with this id.

        Raises:
            Unauthenticated: the issuer has none.
            Unavailable: the issuer can't be reached.
        """
        with self._lock:
            try:
                key = self._look_up(key_id)
            except _OUTAGES as error:
                self._failed_at = time.monotonic()
                _log.warning("the issuer %s returned no keys: %r", self._issuer, error)
                raise Unavailable(NO_KEYS) from error
        if key is None:
            shown_id = str(key_id)[:MAX_REASON_LENGTH]
            raise Unauthenticated(WRONG_TOKEN).because(f"the issuer has no key {shown_id!r}")
        return key

    def _look_up(self, key_id: object) -> PyJWK | None:
        if time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise Unavailable(NO_KEYS)
        self._client = self._client or _discover(self._issuer)
        keys = self._client.get_signing_keys()  # raises here if the issuer is at fault
        if key_id is None:  # an issuer with a single key may omit the id
            return keys[0] if len(keys) == 1 else None
        try:
            return self._client.get_signing_key(str(key_id))
        except jwt.PyJWKClientConnectionError:
            raise
        except jwt.PyJWKClientError:
            return None


NO_KEYS = "the keys of this token's issuer can't be fetched; try again"


def _discover(issuer: str) -> PyJWKClient:
    document = _fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document["issuer"] != issuer:
        raise ValueError("the discovery document is that of another issuer")
    return PyJWKClient(
        str(document["jwks_uri"]), lifespan=KEYS_LAST_SECONDS, timeout=TIMEOUT_SECONDS
    )


def _fetch(url: str) -> dict[str, Any]:
    # the settings allow only http and https
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        document: dict[str, Any] = json.loads(answer.read(MAX_DOCUMENT_BYTES))
    return document


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """The text or texts of a claim; a name with dots may be a path into objects."""
    claim = claims.get(name)
    if claim is None:
        claim = claims
        for part in name.split("."):
            claim = claim.get(part) if isinstance(claim, dict) else None
    values = claim if isinstance(claim, list) else [claim]
    return [value for value in values if isinstance(value, str)]
