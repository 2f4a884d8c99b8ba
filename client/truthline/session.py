"""Requests to a server with retries; returns JSON or raises one of our errors."""

import functools
import platform
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from truthline.answers import error_of, read
from truthline.errors import Unavailable, Unreachable
from truthline.forks import watch
from truthline.version import __version__

_PATIENCE_SECONDS = 300.0
_USER_AGENT = f"truthline/{__version__} python/{platform.python_version()}"
_POSITION = "Truthline-Position"
_IN_LOG = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
# Errors that occur before anything of a request was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Backoff:
    """Wait between attempts: exponential backoff with jitter, in seconds.

    A longer `Retry-After` of the server is respected, up to `longest_asked`.
    """

    first: float = 0.5
    longest: float = 30.0
    longest_asked: float = 300.0

    def seconds(self, attempt: int, asked: float | None = None) -> float:
        """Return the wait after `attempt` (from 0) has failed."""
        bound = min(self.longest, self.first * 2.0 ** min(attempt, 32))
        wait = random.uniform(bound / 2, bound)  # noqa: S311 - spreads clients, hides nothing
        return max(wait, min(asked or 0.0, self.longest_asked))


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Of this machine, read once per process: that takes longer than many a request."""
    return httpx.create_ssl_context()


class Session:
    """A connection pool to one server. Threads may share it; a forked process creates its own."""

    def __init__(
        self,
        url: str,
        auth: httpx.Auth | None,
        *,
        timeout: float,
        attempts: int = 4,
        backoff: Backoff | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked(url)
        self._make: Callable[[], httpx.Client] = lambda: httpx.Client(
            base_url=self.url,
            auth=auth,
            timeout=timeout,
            transport=transport,
            verify=_certificates(),
            headers={"User-Agent": _USER_AGENT, "Accept": "application/json"},
            event_hooks={"request": [self._tell_position], "response": [self._keep_position]},
        )
        # How far the database's log was after the last write: questions to a read replica see it.
        self._position = ""
        # the server reads a good many rows before it sends some of them
        self._patient_timeout = httpx.Timeout(timeout, read=max(timeout, _PATIENCE_SECONDS))
        self._http = self._make()
        self._attempts = attempts
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        watch(self)

    def after_fork(self) -> None:
        """Replace the pool: two processes on one socket would read each other's responses."""
        self._http = self._make()

    def _tell_position(self, request: httpx.Request) -> None:
        if self._position:
            request.headers[_POSITION] = self._position

    def _keep_position(self, answer: httpx.Response) -> None:
        position = answer.headers.get(_POSITION, "")
        if _in_log(position) > _in_log(self._position):
            self._position = position

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON at a path; parameters that are None are omitted.

        Raises:
            TruthlineError: the request failed, after retries.
        """
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        return self.patiently(lambda: self.once("GET", path, params=given))

    def patiently(self, ask: Callable[[], Any]) -> Any:
        """Retry until a request succeeds or fails permanently.

        The request may be processed more than once, so it must be idempotent.

        Raises:
            TruthlineError: error of the last attempt.
        """
        for attempt in range(self._attempts - 1):
            try:
                return ask()
            except (Unreachable, Unavailable) as error:  # noqa: PERF203 - each attempt its own
                self._sleep(self._backoff.seconds(attempt, error.retry_after))
        return ask()

    def once(self, method: str, path: str, **how: Any) -> Any:
        """Return the response to a single attempt.

        Raises:
            TruthlineError: there was no response, or the request was rejected.
        """
        try:
            answer = self._http.request(method, path, **how)
        except httpx.RequestError as error:
            delivered = not isinstance(error, _NOT_SENT)
            raise Unreachable(_in_words(self.url, error), delivered=delivered) from error
        return read(answer)

    @contextmanager
    def streaming(self, path: str, parameters: Mapping[str, Any]) -> Iterator[Iterator[bytes]]:
        """Yield the parts of a response as they arrive; opening it is retried.

        Raises:
            TruthlineError: it was refused, or broke off before its end.
        """
        request = self._http.build_request(
            "GET", path, params=parameters, headers={"Accept": "*/*"}, timeout=self._patient_timeout
        )
        answer = self.patiently(lambda: self._opened(request))
        try:
            yield self._parts(answer)
        finally:
            answer.close()

    def _opened(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._http.send(request, stream=True)
            if not answer.is_success:
                answer.read()
        except httpx.RequestError as error:
            delivered = not isinstance(error, _NOT_SENT)
            raise Unreachable(_in_words(self.url, error), delivered=delivered) from error
        if not answer.is_success:
            raise error_of(answer)
        return answer

    def _parts(self, answer: httpx.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_bytes()
        except httpx.RequestError as error:
            raise Unreachable(f"{self.url} broke off: {error}", delivered=True) from error


def _in_words(url: str, error: httpx.RequestError) -> str:
    return f"no response from {url}: {str(error) or type(error).__name__}"


def _in_log(position: str) -> tuple[int, int]:
    """Where a position is, to be compared with others; what is none is before all."""
    match = _IN_LOG.fullmatch(position)
    return (int(match[1], 16), int(match[2], 16)) if match else (-1, -1)


def _checked(url: str) -> str:
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"the server's URL must begin with http:// or https://, not {url!r}")
    return url.rstrip("/")
