"""The client: one object to log predictions and query metrics."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType

import httpx

from truthline.auth import BearerAuth
from truthline.coverage_questions import CoverageQuestions
from truthline.drift_questions import DriftQuestions
from truthline.exports import Exports
from truthline.monitor_questions import MonitorQuestions
from truthline.outbox import Limits
from truthline.recorder import Recorder
from truthline.score_questions import ScoreQuestions
from truthline.sender import Sender
from truthline.session import Backoff, Session
from truthline.steps import Steps

URL_VARIABLE, KEY_VARIABLE = "TRUTHLINE_URL", "TRUTHLINE_KEY"


class Client(
    Recorder,
    Sender,
    ScoreQuestions,
    CoverageQuestions,
    DriftQuestions,
    MonitorQuestions,
    Exports,
    Steps,
):
    """Connects to a Truthline server.

    Logging never blocks and never raises; queries and bulk calls raise `TruthlineError`. Threads
    may share a client, and processes may fork with one. Close it, or use it in a `with`
    statement. A client that is still open sends its queued rows when the process exits.

    Args:
        url: URL of the server; default: `TRUTHLINE_URL`.
        key: an API key, a function that returns a token, or a `TokenProvider`; default:
            `TRUTHLINE_KEY`. A server without authentication needs none.
        timeout: seconds to wait for a connection, and between parts of a response.
        limits: limits of the queue and the batches in the background.
        backoff: wait between attempts.
        transport: httpx transport; default: the network.

    Raises:
        ValueError: the URL is missing or invalid.
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
            raise ValueError(f"no server URL: pass url or set {URL_VARIABLE}")
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
        """Send queued rows and close; rows not sent within `timeout` seconds are dropped.

        The default is `Limits.exit_seconds`. Rows logged after closing are dropped.
        """
        self._outbox.close(timeout)
        self._session.close()


def _auth(key: str | Callable[[], str] | httpx.Auth | None) -> httpx.Auth | None:
    key = key or os.environ.get(KEY_VARIABLE)
    if key is None or isinstance(key, httpx.Auth):
        return key
    return BearerAuth(key)
