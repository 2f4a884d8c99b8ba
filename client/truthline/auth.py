"""Authenticate requests: with a key, or with tokens that are refreshed."""

import base64
import json
import threading
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

import httpx

from truthline.answers import read
from truthline.errors import Refused, Unauthenticated, Unavailable
from truthline.forks import watch

_REFUSED = 401
_SPARE_SECONDS = 60.0
_GUESSED_SECONDS = 300.0
_Flow = Generator[httpx.Request, httpx.Response, None]


class BearerAuth(httpx.Auth):
    """Sends a key or token with each request; a function is called for each request."""

    def __init__(self, source: str | Callable[[], str]) -> None:
        self._source = source

    def auth_flow(self, request: httpx.Request) -> _Flow:
        """Add the header."""
        credential = self._source if isinstance(self._source, str) else self._source()
        request.headers["Authorization"] = f"Bearer {credential}"
        yield request


class _Token(NamedTuple):
    """An access token, and until when to use it, by the clock of its provider."""

    text: str
    until: float


class TokenProvider(httpx.Auth):
    """Exchanges an API key for access tokens and refreshes them before they expire.

    The key is sent only for the exchange. A rejected token is refreshed once; a second rejection
    is final. Threads may share a provider: one thread refreshes while the others wait.

    Args:
        url: the Truthline server.
        key: an API key of the workspace.
        clock: returns seconds, monotonically.

    Raises, from any request that uses it:
        Unauthenticated: the key can't be exchanged.
        Unavailable: the server is temporarily unable to.
    """

    requires_response_body = True

    def __init__(self, url: str, key: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/auth/refresh"
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        watch(self)

    def after_fork(self) -> None:
        """Replace the lock: a thread that exists only in the parent may hold it."""
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> _Flow:
        """Send the request with a valid token, and again if the token was rejected."""
        token = yield from self._good_token(request)
        answer = yield _with(request, token)
        if answer.status_code == _REFUSED:
            self._forget(token)
            token = yield from self._good_token(request)
            yield _with(request, token)

    def _good_token(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, _Token]:
        with self._lock:
            if self._token is None or self._clock() >= self._token.until:
                answer = yield self._exchange(request)
                self._token = self._read(answer)
            return self._token

    def _exchange(self, request: httpx.Request) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._url,
            json={"refresh_token": self._key},
            extensions={"timeout": request.extensions.get("timeout", {})},
        )

    def _read(self, answer: httpx.Response) -> _Token:
        try:
            text = str(read(answer)["access_token"])
        except Unavailable:
            raise
        except Refused as error:  # the cause is always the key, not the request
            raise Unauthenticated(
                str(error), status=error.status, kind=error.kind, request_id=error.request_id
            ) from None
        seconds = _lifetime(text)
        return _Token(text, self._clock() + seconds - min(_SPARE_SECONDS, seconds / 10))

    def _forget(self, token: _Token) -> None:
        """Discard a token, unless another thread has already replaced it."""
        with self._lock:
            if self._token is token:
                self._token = None


def _with(request: httpx.Request, token: _Token) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token.text}"
    return request


def _lifetime(token: str) -> float:
    """Return the lifetime of a token in seconds, by the server's clock."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError):
        return _GUESSED_SECONDS
