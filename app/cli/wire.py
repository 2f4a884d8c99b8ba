"""A client's connection as threads see it: input has arrived, and output is sent later.

The worker (app/cli/buffered_worker.py) fills and empties the connections of all clients; a thread
has one only while it handles a request.
"""

import errno
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

from app.subpath import Roots

RECEIVED_AT_ONCE = 256 * 1024
# A client that sends or receives this much per second is not slow.
FAIR_BYTES_PER_SECOND = 64 * 1024
# A thread that sends a response part by part is so many bytes ahead of its client, at most.
AHEAD_BYTES = 1024 * 1024
_MAX_LINE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


class Room:
    """Bytes that are buffered in memory, for all clients of this process together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, number: int) -> None:
        """Count bytes that were added, or with a negative number removed."""
        with self._lock:
            self._taken += number

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self._taken >= self._size


class Wire:
    """A socket that never blocks, with buffers for input and output."""

    def __init__(self, sock: socket.socket, room: Room, answer_seconds: float) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.ended = False  # the client sends nothing more
        self.read_seconds = 0.0  # how long a thread may wait for missing bytes
        self._patience = 0.0  # and in total, of which each byte that arrives adds some
        self.held = 0
        self._room = room
        self._answer_seconds = answer_seconds
        self._inbox: deque[memoryview] = deque()
        self._outbox: deque[memoryview] = deque()

    def receive(self, data: bytes) -> None:
        """Buffer input until a thread reads it."""
        if data:  # an empty part would look like the end of input
            self._inbox.append(memoryview(data))
            self._hold(len(data))

    def take_received(self) -> bytes:
        """Remove and return all unread input."""
        data = b"".join(self._inbox)
        self._inbox.clear()
        self._hold(-len(data))
        return data

    def recv(self, size: int) -> bytes:
        """Input in order; after the last of it, what arrives in time.

        Raises:
            TimeoutError: nothing did.
        """
        if not self._inbox:
            return b"" if self.ended else self._recv_late(size)
        first = self._inbox[0]
        part = bytes(first[:size])
        if len(first) > size:
            self._inbox[0] = first[size:]
        else:
            self._inbox.popleft()
        self._hold(-len(part))
        return part

    def _recv_late(self, size: int) -> bytes:
        """Input of a body that is too long to be buffered; only waiting for it counts as time."""
        began = time.monotonic()
        if not self._await(select.POLLIN, min(began + self.read_seconds, began + self._patience)):
            raise TimeoutError("the client was too slow")
        data = self.sock.recv(size)
        self._patience -= time.monotonic() - began
        self._patience += len(data) / FAIR_BYTES_PER_SECOND
        return data

    def allow_reading(self, seconds: float) -> None:
        """Let a thread wait for missing bytes: for so long at once, and longer if many arrive."""
        self.read_seconds = self._patience = seconds

    def sendall(self, data: bytes) -> None:
        """Send what the client receives now, and buffer the rest for `flush`.

        Waits only if there is no room to buffer more, or if earlier parts of a response that is
        sent part by part are still buffered.

        Raises:
            OSError: the client has disconnected, or doesn't read its response.
        """
        self._wait_while(lambda: self.held > AHEAD_BYTES)
        self.send_now(data)
        self._wait_while(lambda: self._room.is_full)

    def _wait_while(self, is_too_much: Callable[[], bool]) -> None:
        """Send what is buffered until it is little enough, or none."""
        began, size = time.monotonic(), self.held
        while self._outbox and is_too_much():
            sent = size - self.held
            time_limit = self._answer_seconds + sent / FAIR_BYTES_PER_SECOND
            if not self._await(select.POLLOUT, began + time_limit):
                raise BrokenPipeError(errno.EPIPE, "the client does not read its response")
            self.flush()

    def send_now(self, data: bytes) -> None:
        """Send what the client receives now, and buffer the rest for `flush`, without waiting.

        Raises:
            OSError: the client has disconnected.
        """
        self._outbox.append(memoryview(data))
        self._hold(len(data))
        self.flush()

    def send(self, data: bytes) -> int:
        """Like `sendall`."""
        self.sendall(data)
        return len(data)

    def flush(self) -> bool:
        """Send what the client receives now; returns whether that was all.

        Raises:
            OSError: the client has disconnected.
        """
        while self._outbox:
            try:
                sent = self.sock.send(self._outbox[0])
            except BlockingIOError:
                return False
            self._hold(-sent)
            if sent == len(self._outbox[0]):
                self._outbox.popleft()
            else:
                self._outbox[0] = self._outbox[0][sent:]
        return True

    def has_left(self) -> bool:
        """Whether the client has disconnected, or has shut down its side, which looks the same."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _await(self, event: int, until: float) -> bool:
        """Whether the socket can be read or written by then."""
        poll = select.poll()
        poll.register(self.sock, event)
        return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))

    def _hold(self, number: int) -> None:
        self.held += number
        self._room.take(number)

    def close(self) -> None:
        """Close the socket and discard the buffers."""
        self._inbox.clear()
        self._outbox.clear()
        self._hold(-self.held)
        self.sock.close()

    def end(self) -> None:
        """Send nothing more, and wait for nothing more."""
        self.allow_reading(0.0)
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def shutdown(self, _how: int) -> None:
        """As `reset`: gunicorn calls it for a response that an error breaks off."""
        self.reset()

    def reset(self) -> None:
        """Close the socket so that its client notices that its response is not complete.

        To a client of HTTP/1.0 an orderly end would be that of the body.
        """
        self.allow_reading(0.0)
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()

    def fileno(self) -> int:
        """For selectors."""
        return self.sock.fileno()

    def setblocking(self, _blocking: bool) -> None:
        """Ignored; gunicorn calls it before and after each request."""

    def settimeout(self, _seconds: float | None) -> None:
        """Ignored: the worker has deadlines."""

    def gettimeout(self) -> float | None:
        """None: writing never blocks, though it looks as if it did."""
        return None


class Parser(RequestParser):  # gunicorn carries no types
    """gunicorn's parser, whose next request may be parsed before a thread asks for it."""

    prepared: Any = None

    def prepare(self) -> Any:
        """Parse the head that has arrived: a request, or the error that is raised later."""
        try:
            self.prepared = super().__next__()  # type: ignore[no-untyped-call] # gunicorn's
        except Exception as error:  # noqa: BLE001 - raised in the thread of the request
            self.prepared = error
        return self.prepared

    def __next__(self) -> Any:
        prepared, self.prepared = self.prepared, None
        if isinstance(prepared, Exception):
            raise prepared
        return prepared or super().__next__()  # type: ignore[no-untyped-call] # gunicorn's


class Framing(Protocol):
    """Detects the end of a body."""

    def feed(self, data: bytes) -> bool:
        """Whether the body ends with these bytes, or is malformed."""


class Counted:
    """A body with a Content-Length."""

    def __init__(self, length: int) -> None:
        self.missing = length

    def feed(self, data: bytes) -> bool:
        """Whether the body ends with these bytes."""
        self.missing -= len(data)
        return self.missing <= 0


class Chunked:
    """A body in chunks (RFC 9112, 7.1). Malformed framing ends it: gunicorn rejects it later."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._skip = 0  # bytes until the next line
        self._line = b""
        self._in_trailers = False

    def feed(self, data: bytes) -> bool:
        """Whether the body ends with these bytes, is too long, or is malformed."""
        self._left -= len(data)
        place = min(self._skip, len(data))
        self._skip -= place
        while not self._skip and (end := data.find(b"\n", place)) >= 0:
            line, self._line = (self._line + data[place:end]).strip(), b""
            length = self._length(line)
            if length is None:
                return True
            place, self._skip = _jump(end + 1, length, len(data))
        if not self._skip:
            self._line += data[place:]
        return self._left < 0 or len(self._line) > _MAX_LINE

    def _length(self, line: bytes) -> int | None:
        """Bytes to the next line: a chunk and its line end, none within the trailers."""
        if self._in_trailers:
            return 0 if line else None
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return None
        self._in_trailers = size == 0
        return None if size < 0 else size + 2 if size else 0


def _jump(place: int, length: int, end: int) -> tuple[int, int]:
    """The position after this many bytes, and how many of them are still missing."""
    return min(place + length, end), max(0, place + length - end)


def framing_of(request: Request, max_bytes: int) -> Framing | None:
    """The framing of a request's body; None if there is nothing to wait for.

    That includes a body that is too long: the application rejects it without reading it.
    """
    reader = request.body and request.body.reader
    if isinstance(reader, ChunkedReader):
        return Chunked(max_bytes)
    if isinstance(reader, LengthReader) and 0 < reader.length <= max_bytes:
        return Counted(reader.length)
    return None


def path_below(roots: Roots, request: Request, client: Any) -> str:
    """A request's path below that of the service."""
    said = ",".join(value for name, value in request.headers if name == "X-FORWARDED-PREFIX")
    return roots.split(str(request.path), said, client[0] if isinstance(client, tuple) else "")[1]
