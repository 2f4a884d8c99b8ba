"""The client: one object to log with and to ask with."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType

import httpx

from truthline.auth import BearerAuth
from truthline.outbox import Limits
from truthline.questions import Questions
from truthline.recorder import Recorder
from truthline.sender import Sender
from truthline.session import Backoff, Session
from truthline.steps import Steps

URL_VARIABLE, KEY_VARIABLE = "TRUTHLINE_URL", "TRUTHLINE_KEY"


class Client(Recorder, Sender, Questions, Steps):
    """A Truthline server.

    Logging never blocks and never raises; questions and bulk calls raise `TruthlineError`. Threads
    may share a client, and processes may fork with one. Close it, or use it in a `with`
    statement; one that is left open sends what waits when the process ends.

    Args:
        url: of the server; by default what `TRUTHLINE_URL` says.
        key: an API key, a function that returns a token, or a `TokenProvider`; by default what
            `TRUTHLINE_KEY` says, and none for a server without authentication.
        timeout: seconds to wait for a connection, and for each part of an answer.
        limits: how much is kept and sent in the background.
        backoff: how long to wait between attempts.
        transport: how requests travel, of httpx; by default over the network.

    Raises:
        ValueError: no URL is given, or it isn't one.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | Callable[[], str] | httpx.Auth | None = None,
        *,
        timeout: float = 10.0,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = url or os.environ.get(URL_VARIABLE)
        if not url:
            raise ValueError(f"no server: give its URL, or set {URL_VARIABLE}")
        backoff = backoff or Backoff()
        session = Session(url, _auth(key), timeout=timeout, backoff=backoff, transport=transport)
        super().__init__(session, limits or Limits(), backoff)
        self._execution = ContextVar("execution", default=None)

    def __repr__(self) -> str:
        return f"<truthline.Client {self._session.url}>"

    def __enter__(self) -> "Client":  # noqa: PYI034 - typing has Self from 3.11 on
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, then end; what is not sent within `timeout` seconds is dropped.

        By default the time is `Limits.exit_seconds`. Rows that are logged afterwards are dropped.
        """
        self._outbox.close(timeout)
        self._session.close()


def _auth(key: str | Callable[[], str] | httpx.Auth | None) -> httpx.Auth | None:
    key = key or os.environ.get(KEY_VARIABLE)
    if key is None or isinstance(key, httpx.Auth):
        return key
    return BearerAuth(key)
