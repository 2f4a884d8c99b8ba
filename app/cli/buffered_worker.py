"""gunicorn's threads, kept for requests that have arrived.

gthread gives a thread to whoever has sent a byte, for as long as the rest takes. Here the main
thread, which waits for connections anyway, also waits for heads and bodies and for answers to be
taken, each until a deadline; a thread gets a request when all of it is here.
docs/decisions/0008-slow-clients.md compares it with other servers.
"""

import errno
import resource
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.cli.wire import (
    FAIR_BYTES_PER_SECOND,
    RECEIVED_AT_ONCE,
    Framing,
    Parser,
    Room,
    Wire,
    framing_of,
)
from app.store.asker import asker

if TYPE_CHECKING:
    from prometheus_client import Counter

# Each has a thread of its own, whatever keeps the others busy; /readyz may wait for the database.
PROBES = ("/livez", "/readyz")
# A head that is longer is refused by whoever reads it.
LONGEST_HEAD = 128 * 1024
# What a body may take of the room even if none is left.
SMALL = 64 * 1024
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024
PAUSE_SECONDS = 0.25
_NO_FILES_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NOBODY_THERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)
_LATE_BODY = b'{"type": "about:blank", "title": "Request Timeout", "status": 408}'
_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_LATE_BODY), _LATE_BODY)


class Client(TConn):
    """A connection whose requests are read here."""

    sock: Wire
    parser: Parser
    timeout: float

    def __init__(self, cfg: Any, wire: Wire, address: Any, server: Any) -> None:
        super().__init__(cfg, wire, address, server)  # type: ignore[no-untyped-call] # gunicorn's
        self.initialized = True  # no TLS, no HTTP/2
        self.parser = Parser(cfg, wire, address)  # type: ignore[no-untyped-call] # gunicorn's


class Waiting:
    """What a connection waits for in the main thread, and until when."""

    def __init__(self, kind: str, until: float, patience: float) -> None:
        self.kind = kind  # head, body, answer or close
        self.began = time.monotonic()
        self.until = until
        self.patience = patience
        self.moved = 0
        self.head = bytearray()
        self.framing: Framing | None = None
        self.watched = False  # by the poller; a body for which there is no room is not

    def move(self, number: int) -> None:
        """Bytes came or went: the deadline follows, as long as they are not too few."""
        self.moved += number
        slowest = self.began + self.patience + self.moved / FAIR_BYTES_PER_SECOND
        self.until = min(slowest, time.monotonic() + self.patience)


def _cut_connections() -> "Counter":
    from prometheus_client import Counter  # noqa: PLC0415 - needs PROMETHEUS_MULTIPROC_DIR

    return Counter(
        "truthline_connections_cut",
        "Connections whose client was too slow with its head or body, or with taking its answer",
        ["phase"],
    )


def connections_at_once(wanted: int) -> int:
    """How many connections a process may hold: half of its files at most."""
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class PatientWorker(ThreadWorker):
    """A worker whose threads wait for no client."""

    poller: Any
    tpool: ThreadPoolExecutor

    def init_process(self) -> None:
        """Serve until stopped."""
        settings = self.app.settings
        self.settings = settings
        self.room = Room(settings.max_waiting_bytes)
        self.waiting: dict[Client, Waiting] = {}
        self.cut = _cut_connections()
        self.looked_at = 0.0
        self.worker_connections = connections_at_once(self.worker_connections)
        self.probes = {path: ThreadPoolExecutor(1, f"probe{path}") for path in PROBES}
        super().init_process()  # type: ignore[no-untyped-call] # gunicorn's

    # Connections come

    def accept(self, listener: Any) -> None:
        """Take a connection; the one that has waited longest for its request may have to go."""
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_FILES_LEFT:
                self._make_room()
            elif error.errno not in _NOBODY_THERE:
                raise
            return
        self.nr_conns += 1
        wire = Wire(sock, self.room, self.settings.answer_timeout_s)
        self._expect(Client(self.cfg, wire, address, listener.getsockname()))

    def _make_room(self) -> None:
        kinds = ("close", "head", "body", "answer")
        oldest = [next((c for c, w in self.waiting.items() if w.kind == k), None) for k in kinds]
        if conn := next(filter(None, oldest), None):
            self._close(conn)
        else:
            time.sleep(0.01)  # all are being answered

    def on_client_socket_readable(self, conn: Client, client: Any) -> None:
        """A kept connection has another request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._expect(conn)

    # Requests arrive

    def _expect(self, conn: Client, arrived: bytes = b"") -> None:
        """Wait for a request, of which some may be here."""
        patience = self.settings.head_timeout_s
        waiting = Waiting("head", time.monotonic() + patience, patience)
        self.waiting[conn] = waiting
        if arrived:
            self._take_head(conn, waiting, arrived)
        else:
            self._read(conn, conn.sock)
        if self.waiting.get(conn) is waiting:  # most requests come whole
            self._watch(conn, waiting, EVENT_READ, self._read)

    def _read(self, conn: Client, _wire: Any) -> None:
        waiting, wire = self.waiting.get(conn), conn.sock
        if waiting is None:  # closed in this same turn, to make room
            return
        if waiting.kind == "body" and not self._has_room(conn):
            if waiting.watched:
                self.poller.unregister(wire)
            waiting.watched = False
            return
        try:
            data = wire.sock.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self._close(conn)
            return
        if not data:
            self._end(conn, waiting)
        elif waiting.kind == "head":
            self._take_head(conn, waiting, data)
        else:
            self._take_body(conn, waiting, data)

    def _has_room(self, conn: Client) -> bool:
        """Whether more of a body may be taken: of a small one always, and of the oldest."""
        if conn.sock.held <= SMALL or not self.room.is_full:
            return True
        large = (c for c, w in self.waiting.items() if w.kind == "body" and c.sock.held > SMALL)
        return next(large, conn) is conn

    def _end(self, conn: Client, waiting: Waiting) -> None:
        """The client sends nothing more, be its request whole or not."""
        conn.sock.ended = True
        if waiting.kind == "head" and not waiting.head:
            self._close(conn)
        else:
            conn.sock.take_in(bytes(waiting.head))
            self.enqueue_req(conn)

    def _take_head(self, conn: Client, waiting: Waiting, data: bytes) -> None:
        seen = max(0, len(waiting.head) - 3)
        waiting.head += data
        # a line that ends without CR can't be right, and would never be followed by both
        whole = any(waiting.head.find(end, seen) >= 0 for end in (b"\r\n\r\n", b"\n\n"))
        if not whole and len(waiting.head) <= LONGEST_HEAD:
            return
        conn.sock.take_in(bytes(waiting.head))
        waiting.head.clear()
        request = conn.parser.prepare() if whole else None
        framing = self._framing(request)
        arrived = conn.parser.unreader.take_buffered() + conn.sock.take_arrived()
        conn.sock.take_in(arrived)
        if request is None or framing is None or framing.feed(arrived):
            self.enqueue_req(conn)
        else:
            self._await_body(conn, waiting, request, framing)

    def _framing(self, request: Any) -> Framing | None:
        if not isinstance(request, Request):
            return None
        return framing_of(request, self.settings.max_body_bytes)

    def _await_body(
        self, conn: Client, waiting: Waiting, request: Request, framing: Framing
    ) -> None:
        now, patience = time.monotonic(), self.settings.body_timeout_s
        waiting.kind, waiting.framing, waiting.began = "body", framing, now
        waiting.until, waiting.patience = now + patience, patience
        if request._expected_100_continue:  # noqa: SLF001 - gunicorn would say it too late
            request._expected_100_continue = False  # noqa: SLF001
            conn.sock.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._read(conn, conn.sock)

    def _take_body(self, conn: Client, waiting: Waiting, data: bytes) -> None:
        conn.sock.take_in(data)
        waiting.move(len(data))
        if waiting.framing and waiting.framing.feed(data):
            self.enqueue_req(conn)

    # Threads answer them

    def enqueue_req(self, conn: Client) -> None:
        """Give a request to a thread: of the pool, or to the one that waits for such as it."""
        self._stop_waiting(conn)
        conn.sock.patience_until = time.monotonic() + self.settings.body_timeout_s
        request = conn.parser.prepared
        path = str(request.path) if isinstance(request, Request) else ""
        done: Future[Any] = self.probes.get(path, self.tpool).submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def handle(self, conn: Client) -> Any:
        """Answer a request, in a thread; what it asks the database ends when the client leaves."""
        asker.set(conn.sock.gone)
        try:
            return super().handle(conn)  # type: ignore[no-untyped-call] # gunicorn's
        finally:
            asker.set(None)

    def _keepalive_after(self, conn: Client, keepalive: bool) -> bool:
        conn.sock.patience_until = 0.0  # for a body that nobody read, and that isn't here
        kept = super()._keepalive_after(conn, keepalive)  # type: ignore[no-untyped-call] # gunicorn's
        return bool(kept)

    def finish_request(self, conn: Client, fs: Future[Any]) -> None:
        """Let the client take its answer, and then keep the connection or close it."""
        keep = not fs.cancelled() and not fs.exception() and bool(fs.result())
        try:
            done = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        if conn.sock.fileno() < 0:  # a thread had to close it
            self._close(conn)
        elif done:
            self._answered(conn, keep)
        else:
            self._await_taking(conn, keep)

    def _await_taking(self, conn: Client, keep: bool) -> None:
        patience = self.settings.answer_timeout_s
        self._wait(conn, "answer", patience, EVENT_WRITE, partial(self._write, keep))

    def _write(self, keep: bool, conn: Client, _wire: Any) -> None:
        waiting, before = self.waiting.get(conn), conn.sock.held
        if waiting is None:
            return
        try:
            done = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        waiting.move(before - conn.sock.held)
        if done:
            self._stop_waiting(conn)
            self._answered(conn, keep)

    def _answered(self, conn: Client, keep: bool) -> None:
        if not keep or conn.sock.ended:
            self._linger(conn)
            return
        if arrived := conn.parser.unreader.take_buffered() + conn.sock.take_arrived():
            self._expect(conn, arrived)
            return
        conn.timeout = time.monotonic() + self.cfg.keepalive
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + LINGER_SECONDS)
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, readable)

    # Connections go

    def _linger(self, conn: Client) -> None:
        """Say that nothing more comes, and wait a little for the client to have read that.

        Closed at once, with bytes of the client unread, the connection would be reset, and the
        answer lost with it (RFC 9112, 9.6).
        """
        conn.sock.take_arrived()
        conn.sock.shutdown(socket.SHUT_WR)
        self._wait(conn, "close", LINGER_SECONDS, EVENT_READ, self._discard)

    def _discard(self, conn: Client, wire: Any) -> None:
        waiting = self.waiting.get(conn)
        if waiting is None:
            return
        try:
            data = wire.sock.recv(LINGER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        waiting.moved += len(data)
        if not data or waiting.moved > LINGER_BYTES:
            self._close(conn)

    def _close(self, conn: Client) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.sock.close()

    def _wait(
        self,
        conn: Client,
        kind: str,
        patience: float,
        event: int,
        react: Callable[[Client, Any], None],
    ) -> None:
        waiting = Waiting(kind, time.monotonic() + patience, patience)
        self.waiting[conn] = waiting
        self._watch(conn, waiting, event, react)

    def _watch(
        self, conn: Client, waiting: Waiting, event: int, react: Callable[[Client, Any], None]
    ) -> None:
        self.poller.register(conn.sock, event, partial(react, conn))
        waiting.watched = True

    def _stop_waiting(self, conn: Client) -> None:
        waiting = self.waiting.pop(conn, None)
        if waiting and waiting.watched:
            self.poller.unregister(conn.sock)

    def murder_pending(self) -> None:
        """Cut off who is late; gunicorn calls this in each turn of its loop."""
        now = time.monotonic()
        if now < self.looked_at + PAUSE_SECONDS:
            return
        self.looked_at = now
        for conn, waiting in list(self.waiting.items()):
            if not self.alive and waiting.kind == "head" and not waiting.head:
                waiting.until = min(waiting.until, waiting.began + LINGER_SECONDS)
            if waiting.until <= now:
                self._cut(conn, waiting)
            elif not waiting.watched and self._has_room(conn):
                self._watch(conn, waiting, EVENT_READ, self._read)

    def _cut(self, conn: Client, waiting: Waiting) -> None:
        if waiting.kind != "close":
            self.cut.labels(waiting.kind).inc()
        if waiting.kind != "body" and not waiting.head:
            self._close(conn)
            return
        self._stop_waiting(conn)
        try:
            conn.sock.say(_LATE)
        except OSError:
            self.nr_conns -= 1
            conn.sock.close()
        else:
            self._linger(conn)
