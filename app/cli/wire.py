"""A client's connection, as threads see it: what they read is here, what they write leaves later.

The worker (app/cli/patience.py) fills
and empties the connections of all clients; a thread has one only while it answers a request.
"""

import errno
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

RECEIVED_AT_ONCE = 256 * 1024
# Whoever sends or takes this much in a second is not slow.
FAIR_BYTES_PER_SECOND = 64 * 1024
_LONGEST_LINE = 64 * 1024


class Room:
    """Bytes that wait in memory, of all clients of this process together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, number: int) -> None:
        """Count bytes that came, or with a negative number went."""
        with self._lock:
            self._taken += number

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return self._taken >= self._size


class Wire:
    """A socket that never blocks, with what came from it and what is to go."""

    def __init__(self, sock: socket.socket, room: Room, answer_seconds: float) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.ended = False  # the client sends nothing more
        self.patience_until = 0.0  # until then a thread may wait for bytes that are missing
        self.held = 0
        self._room = room
        self._answer_seconds = answer_seconds
        self._inbox: deque[memoryview] = deque()
        self._outbox: deque[memoryview] = deque()

    def take_in(self, data: bytes) -> None:
        """Keep what came until a thread reads it."""
        if data:  # an empty part would look like the end
            self._inbox.append(memoryview(data))
            self._hold(len(data))

    def take_arrived(self) -> bytes:
        """What came and nobody has read."""
        data = b"".join(self._inbox)
        self._inbox.clear()
        self._hold(-len(data))
        return data

    def recv(self, size: int) -> bytes:
        """What came, in order; at the end of it, what comes while there is patience.

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
        if not self._await(select.POLLIN, self.patience_until):
            raise TimeoutError("the client was too slow")
        return self.sock.recv(size)

    def sendall(self, data: bytes) -> None:
        """Send what the client takes now, and keep the rest for `flush`.

        Waits only where no room is left to keep anything.

        Raises:
            OSError: the client is gone, or does not take its answer.
        """
        began, size = time.monotonic(), self.held + len(data)
        self.say(data)
        while self._outbox and self._room.is_full:
            sent = size - self.held
            patience = self._answer_seconds + sent / FAIR_BYTES_PER_SECOND
            if not self._await(select.POLLOUT, began + patience):
                raise BrokenPipeError(errno.EPIPE, "the client does not take its answer")
            self.flush()

    def say(self, data: bytes) -> None:
        """Send what the client takes now, and keep the rest for `flush`, without waiting.

        Raises:
            OSError: the client is gone.
        """
        self._outbox.append(memoryview(data))
        self._hold(len(data))
        self.flush()

    def send(self, data: bytes) -> int:
        """As `sendall`."""
        self.sendall(data)
        return len(data)

    def flush(self) -> bool:
        """Send what the client takes now; whether that was all.

        Raises:
            OSError: the client is gone.
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

    def gone(self) -> bool:
        """Whether the client has left, or has ended its side, which looks the same."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _await(self, event: int, until: float) -> bool:
        """Whether it can be read or written by then."""
        poll = select.poll()
        poll.register(self.sock, event)
        return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))

    def _hold(self, number: int) -> None:
        self.held += number
        self._room.take(number)

    def close(self) -> None:
        """Close it, and forget what is left."""
        self._inbox.clear()
        self._outbox.clear()
        self._hold(-self.held)
        self.sock.close()

    def shutdown(self, how: int) -> None:
        """Send nothing more, and wait for nothing more."""
        self.patience_until = 0.0
        with suppress(OSError):
            self.sock.shutdown(how)

    def fileno(self) -> int:
        """For selectors."""
        return self.sock.fileno()

    def setblocking(self, _blocking: bool) -> None:
        """It never does; gunicorn says so before and after each request."""

    def settimeout(self, _seconds: float | None) -> None:
        """Deadlines are the worker's."""

    def gettimeout(self) -> float | None:
        """None: writing doesn't block, whatever it seems."""
        return None


class Parser(RequestParser):  # gunicorn carries no types
    """gunicorn's own, whose next request may be read before a thread asks for it."""

    prepared: Any = None

    def prepare(self) -> Any:
        """Read the head that has arrived: a request, or the error that will be raised for it."""
        try:
            self.prepared = super().__next__()  # type: ignore[no-untyped-call] # gunicorn's
        except Exception as error:  # noqa: BLE001 - the thread that raises it answers it
            self.prepared = error
        return self.prepared

    def __next__(self) -> Any:
        prepared, self.prepared = self.prepared, None
        if isinstance(prepared, Exception):
            raise prepared
        return prepared or super().__next__()  # type: ignore[no-untyped-call] # gunicorn's


class Framing(Protocol):
    """Where a body ends."""

    def feed(self, data: bytes) -> bool:
        """Whether it ends with this, or can't be right."""


class Counted:
    """A body whose length was announced."""

    def __init__(self, length: int) -> None:
        self.missing = length

    def feed(self, data: bytes) -> bool:
        """Whether it ends with this."""
        self.missing -= len(data)
        return self.missing <= 0


class Chunked:
    """A body in chunks (RFC 9112, 7.1). What is malformed ends it: gunicorn will refuse it."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._skip = 0  # bytes until the next line
        self._line = b""
        self._in_trailers = False

    def feed(self, data: bytes) -> bool:
        """Whether it ends with this, is longer than it may be, or is malformed."""
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
        return self._left < 0 or len(self._line) > _LONGEST_LINE

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
    """Where one is after so many bytes, and how many of them are still to come."""
    return min(place + length, end), max(0, place + length - end)


def framing_of(request: Request, most: int) -> Framing | None:
    """Where the body of a request ends; None if nothing has to be waited for.

    A body that is longer than it may be is none to wait for: the application refuses it unread.
    """
    reader = request.body and request.body.reader
    if isinstance(reader, ChunkedReader):
        return Chunked(most)
    if isinstance(reader, LengthReader) and 0 < reader.length <= most:
        return Counted(reader.length)
    return None
