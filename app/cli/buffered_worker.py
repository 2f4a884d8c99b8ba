"""gunicorn's threads, used only for requests that have arrived completely.

gthread assigns a thread to a client as soon as it has sent a byte, for as long as the rest takes.
Here the main thread, which waits for connections anyway, also receives heads and bodies and sends
responses, each until a deadline; a thread gets a request once all of it has arrived.
docs/decisions/0008-slow-clients.md compares this with other servers.
"""

import errno
import resource
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.cli.gateway_errors import LATE
from app.cli.wire import (
    FAIR_BYTES_PER_SECOND,
    RECEIVED_AT_ONCE,
    Framing,
    Parser,
    Room,
    Wire,
    framing_of,
    path_below,
)
from app.store.disconnects import client_gone
from app.subpath import Roots

if TYPE_CHECKING:
    from prometheus_client import Counter

# Each has its own thread, even if all others are busy; /readyz may wait for the database.
PROBES = ("/livez", "/readyz")
# A longer head is rejected when it is parsed.
MAX_HEAD = 128 * 1024
# The size up to which a body is received even if memory is full.
SMALL_BODY = 64 * 1024
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024
PAUSE_SECONDS = 0.25
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_CLIENT = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)


class Client(TConn):
    """A connection whose requests are received here."""

    sock: Wire
    parser: Parser
    timeout: float

    def __init__(self, cfg: Any, wire: Wire, address: Any, server: Any) -> None:
        super().__init__(cfg, wire, address, server)  # type: ignore[no-untyped-call] # gunicorn's
        self.initialized = True  # no TLS, no HTTP/2
        self.parser = Parser(cfg, wire, address)  # type: ignore[no-untyped-call] # gunicorn's


class Waiting:
    """What a connection waits for in the main thread, and until when."""

    def __init__(self, kind: str, until: float, time_limit: float) -> None:
        self.kind = kind  # head, body, answer or close
        self.began = time.monotonic()
        self.until = until
        self.time_limit = time_limit
        self.moved = 0
        self.head = bytearray()
        self.framing: Framing | None = None
        self.watched = False  # by the poller; not while there is no room for its body

    def move(self, number: int) -> None:
        """Bytes were received or sent: extend the deadline, unless they are too few."""
        self.moved += number
        slowest = self.began + self.time_limit + self.moved / FAIR_BYTES_PER_SECOND
        self.until = min(slowest, time.monotonic() + self.time_limit)


def _cut_connections() -> "Counter":
    from prometheus_client import Counter  # noqa: PLC0415 - needs PROMETHEUS_MULTIPROC_DIR

    return Counter(
        "truthline_connections_cut",
        "Connections whose client was too slow in sending a request or in receiving a response",
        ["phase"],
    )


def max_connections(configured: int) -> int:
    """How many connections a process may have: at most half of its file descriptors."""
    return min(configured, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class BufferedWorker(ThreadWorker):
    """A worker whose threads wait for no client."""

    poller: Any
    tpool: ThreadPoolExecutor

    def init_process(self) -> None:
        """Serve until stopped."""
        settings = self.app.settings
        self.settings = settings
        self.roots = Roots(settings)
        self.room = Room(settings.max_waiting_bytes)
        self.waiting: dict[Client, Waiting] = {}
        self.cut = _cut_connections()
        self.checked_at = 0.0
        self.worker_connections = max_connections(self.worker_connections)
        self.probes = {path: ThreadPoolExecutor(1, f"probe{path}") for path in PROBES}
        super().init_process()  # type: ignore[no-untyped-call] # gunicorn's

    # Accepting connections

    def accept(self, listener: Any) -> None:
        """Accept a connection; one that waits for its request may be closed to make room."""
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                self._make_room()
            elif error.errno not in _NO_CLIENT:
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
            time.sleep(0.01)  # all are being handled

    def on_client_socket_readable(self, conn: Client, client: Any) -> None:
        """A kept-alive connection has another request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._expect(conn)

    # Receiving requests

    def _expect(self, conn: Client, arrived: bytes = b"") -> None:
        """Wait for a request, part of which may have arrived."""
        time_limit = self.settings.head_timeout_s
        waiting = Waiting("head", time.monotonic() + time_limit, time_limit)
        self.waiting[conn] = waiting
        if arrived:
            self._receive_head(conn, waiting, arrived)
        else:
            self._read(conn, conn.sock)
        if self.waiting.get(conn) is waiting:  # most requests arrive complete
            self._watch(conn, waiting, EVENT_READ, self._read)

    def _read(self, conn: Client, _wire: Any) -> None:
        waiting, wire = self.waiting.get(conn), conn.sock
        if waiting is None:  # closed in this same iteration, to make room
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
            self._receive_head(conn, waiting, data)
        else:
            self._receive_body(conn, waiting, data)

    def _has_room(self, conn: Client) -> bool:
        """Whether more of a body may be received: always of a small one, and of the oldest."""
        if conn.sock.held <= SMALL_BODY or not self.room.is_full:
            return True
        large = (
            c for c, w in self.waiting.items() if w.kind == "body" and c.sock.held > SMALL_BODY
        )
        return next(large, conn) is conn

    def _end(self, conn: Client, waiting: Waiting) -> None:
        """The client sends nothing more, whether its request is complete or not."""
        conn.sock.ended = True
        if waiting.kind == "head" and not waiting.head:
            self._close(conn)
        else:
            conn.sock.receive(bytes(waiting.head))
            self.enqueue_req(conn)

    def _receive_head(self, conn: Client, waiting: Waiting, data: bytes) -> None:
        seen = max(0, len(waiting.head) - 3)
        waiting.head += data
        # a line that ends without CR is invalid, and would never be followed by both
        whole = any(waiting.head.find(end, seen) >= 0 for end in (b"\r\n\r\n", b"\n\n"))
        if not whole and len(waiting.head) <= MAX_HEAD:
            return
        conn.sock.receive(bytes(waiting.head))
        waiting.head.clear()
        request = conn.parser.prepare() if whole else None
        framing = self._framing(request)
        arrived = conn.parser.unreader.take_buffered() + conn.sock.take_received()
        conn.sock.receive(arrived)
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
        now, time_limit = time.monotonic(), self.settings.body_timeout_s
        waiting.kind, waiting.framing, waiting.began = "body", framing, now
        waiting.until, waiting.time_limit = now + time_limit, time_limit
        if request._expected_100_continue:  # noqa: SLF001 - gunicorn would send it too late
            request._expected_100_continue = False  # noqa: SLF001
            conn.sock.send_now(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._read(conn, conn.sock)

    def _receive_body(self, conn: Client, waiting: Waiting, data: bytes) -> None:
        conn.sock.receive(data)
        waiting.move(len(data))
        if waiting.framing and waiting.framing.feed(data):
            self.enqueue_req(conn)

    # Handling requests in threads

    def enqueue_req(self, conn: Client) -> None:
        """Pass a request to a thread: of the pool, or the one for this probe."""
        self._stop_waiting(conn)
        conn.sock.allow_reading(self.settings.body_timeout_s)
        request = conn.parser.prepared
        path = path_below(self.roots, request, conn.client) if isinstance(request, Request) else ""
        done: Future[Any] = self.probes.get(path, self.tpool).submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def handle(self, conn: Client) -> Any:
        """Handle a request in a thread; its statements are cancelled if the client leaves."""
        client_gone.set(conn.sock.has_left)
        try:
            return super().handle(conn)  # type: ignore[no-untyped-call] # gunicorn's
        finally:
            client_gone.set(None)

    def handle_request(self, req: Any, conn: Client) -> Any:
        """Handle a request; a response that can't be completed breaks the connection."""
        try:
            return super().handle_request(req, conn)  # type: ignore[no-untyped-call] # gunicorn's
        except OSError:
            conn.sock.reset()
            raise

    def _keepalive_after(self, conn: Client, keepalive: bool) -> bool:
        conn.sock.allow_reading(0.0)  # for a body that was not read, and has not arrived
        kept = super()._keepalive_after(conn, keepalive)  # type: ignore[no-untyped-call] # gunicorn's
        return bool(kept)

    def finish_request(self, conn: Client, fs: Future[Any]) -> None:
        """Send the response, and then keep the connection or close it."""
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
            self._await_sending(conn, keep)

    def _await_sending(self, conn: Client, keep: bool) -> None:
        time_limit = self.settings.answer_timeout_s
        self._wait(conn, "answer", time_limit, EVENT_WRITE, partial(self._write, keep))

    def _write(self, keep: bool, conn: Client, _wire: Any) -> None:
        waiting, held_before = self.waiting.get(conn), conn.sock.held
        if waiting is None:
            return
        try:
            done = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        waiting.move(held_before - conn.sock.held)
        if done:
            self._stop_waiting(conn)
            self._answered(conn, keep)

    def _answered(self, conn: Client, keep: bool) -> None:
        if not keep or conn.sock.ended:
            self._linger(conn)
            return
        if arrived := conn.parser.unreader.take_buffered() + conn.sock.take_received():
            self._expect(conn, arrived)
            return
        conn.timeout = time.monotonic() + self.cfg.keepalive
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + LINGER_SECONDS)
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, readable)

    # Closing connections

    def _linger(self, conn: Client) -> None:
        """Shut down our side, and give the client a moment to read that.

        If it were closed immediately with bytes of the client unread, the connection would be
        reset, and the response lost (RFC 9112, 9.6).
        """
        conn.sock.take_received()
        conn.sock.end()
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
        time_limit: float,
        event: int,
        react: Callable[[Client, Any], None],
    ) -> None:
        waiting = Waiting(kind, time.monotonic() + time_limit, time_limit)
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
        """Cut connections that are too slow; gunicorn calls this in each iteration of its loop."""
        now = time.monotonic()
        if now < self.checked_at + PAUSE_SECONDS:
            return
        self.checked_at = now
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
            conn.sock.send_now(LATE)
        except OSError:
            self.nr_conns -= 1
            conn.sock.close()
        else:
            self._linger(conn)
