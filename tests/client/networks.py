"""Networks between the client and the real server that lose, delay and refuse."""

import threading
from collections.abc import Iterable
from enum import Enum

import httpx


class Fate(Enum):
    """What becomes of a request."""

    ARRIVES = "it is answered"
    NOT_SENT = "no connection"
    ANSWER_LOST = "the server does it, and nobody hears"
    BUSY = "503"
    BROKEN = "502 of a proxy, in HTML"


class Unreliable(httpx.HTTPTransport):
    """Goes through the given fates, one per request; then all arrive."""

    def __init__(self, fates: Iterable[Fate]) -> None:
        super().__init__()
        self._fates = iter(fates)
        self.seen: list[tuple[Fate, httpx.Request]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fate = next(self._fates, Fate.ARRIVES)
        self.seen.append((fate, request))
        if fate is Fate.NOT_SENT:
            raise httpx.ConnectError("no route", request=request)
        if fate is Fate.BUSY:
            return httpx.Response(503, json={"title": "not now"})
        if fate is Fate.BROKEN:
            return httpx.Response(502, html="<h1>Bad Gateway</h1>")
        answer = super().handle_request(request)
        if fate is Fate.ANSWER_LOST:
            answer.read()
            answer.close()
            raise httpx.ReadError("connection reset", request=request)
        return answer


class Stuck(httpx.HTTPTransport):
    """Holds every request until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.entered.set()
        self.released.wait(60)
        return super().handle_request(request)
