"""A bounded queue of rows to send, oldest first, that accounts for every row."""

from collections import deque
from dataclasses import dataclass

# Memory of a row in addition to its bytes: the bytes object and its slot in the queue.
ROW_OVERHEAD = 64


@dataclass(frozen=True)
class Counts:
    """Numbers of logged rows by their state: `logged` is the sum of the others.

    Attributes:
        logged: rows logged.
        queued: waiting, or being sent.
        sent: confirmed as stored by the server.
        dropped: discarded, oldest first, because the queue was full or time ran out.
        refused: invalid, according to this package or the server.
    """

    logged: int = 0
    queued: int = 0
    sent: int = 0
    dropped: int = 0
    refused: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.logged + other.logged,
            self.queued + other.queued,
            self.sent + other.sent,
            self.dropped + other.dropped,
            self.refused + other.refused,
        )


class Buffer:
    """Encoded rows of one kind. Not thread-safe: callers must hold a lock.

    Args:
        max_rows: maximum number of rows.
        max_bytes: maximum memory of the rows, including `ROW_OVERHEAD` for each.
    """

    def __init__(self, *, max_rows: int, max_bytes: int) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self._rows: deque[bytes] = deque()
        self.bytes = 0
        self._taken = 0
        self._logged = self._sent = self._dropped = self._refused = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def counts(self) -> Counts:
        """Numbers of all rows so far, by state."""
        queued = len(self._rows) + self._taken
        return Counts(self._logged, queued, self._sent, self._dropped, self._refused)

    @property
    def idle(self) -> bool:
        """Whether no row is waiting or being sent."""
        return not self._rows and not self._taken

    def put(self, row: bytes) -> int:
        """Append a row; returns how many older rows were dropped, 1 if it is too large itself."""
        self._logged += 1
        self._rows.append(row)
        self.bytes += len(row) + ROW_OVERHEAD
        dropped = 0
        while len(self._rows) > self.max_rows or self.bytes > self.max_bytes:
            self._pop()
            dropped += 1
        self._dropped += dropped
        return dropped

    def refuse(self) -> None:
        """Count an invalid row, which is not queued."""
        self._logged += 1
        self._refused += 1

    def miss(self) -> None:
        """Count a row that is dropped because the client is closed."""
        self._logged += 1
        self._dropped += 1

    def take(self, *, max_rows: int, max_bytes: int) -> list[bytes]:
        """Remove the oldest rows to send them: within the limits, but at least one if any."""
        taken: list[bytes] = []
        size = 0
        while self._rows and len(taken) < max_rows:
            size += len(self._rows[0]) + 1
            if taken and size > max_bytes:
                break
            taken.append(self._pop())
        self._taken += len(taken)
        return taken

    def settle(self, *, sent: int = 0, refused: int = 0, dropped: int = 0) -> None:
        """Record the outcome of rows that were taken."""
        self._taken -= sent + refused + dropped
        self._sent += sent
        self._refused += refused
        self._dropped += dropped

    def abandon(self) -> int:
        """Drop all rows that are waiting or being sent; returns how many."""
        given_up = len(self._rows) + self._taken
        self._rows.clear()
        self.bytes = self._taken = 0
        self._dropped += given_up
        return given_up

    def _pop(self) -> bytes:
        row = self._rows.popleft()
        self.bytes -= len(row) + ROW_OVERHEAD
        return row
