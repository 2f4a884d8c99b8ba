"""Rows that wait to be sent: oldest first, never more than so many, and each accounted for."""

from collections import deque
from dataclasses import dataclass

# What a row costs beside its bytes: the object around them, and its place in the queue.
ROW_OVERHEAD = 64


@dataclass(frozen=True)
class Counts:
    """What became of the rows that were logged: `logged` is the sum of the others.

    Attributes:
        logged: rows handed in.
        queued: waiting, or on their way.
        sent: stored, for the server said so.
        dropped: given up, the oldest first, as there was no room or no time for more.
        refused: not storable, by this package's judgement or the server's.
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
    """Encoded rows of one kind. Whoever shares it among threads holds a lock around each call.

    Args:
        max_rows: how many may wait.
        max_bytes: how much memory they may take, `ROW_OVERHEAD` for each included.
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
        """What became of all rows so far."""
        queued = len(self._rows) + self._taken
        return Counts(self._logged, queued, self._sent, self._dropped, self._refused)

    @property
    def idle(self) -> bool:
        """Whether no row waits or is on its way."""
        return not self._rows and not self._taken

    def put(self, row: bytes) -> int:
        """Append a row; returns how many older ones had to go, or 1 if it is itself too large."""
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
        """Count a row that never got here, as it can't be stored."""
        self._logged += 1
        self._refused += 1

    def miss(self) -> None:
        """Count a row that never got here, as nobody sends any more."""
        self._logged += 1
        self._dropped += 1

    def take(self, *, max_rows: int, max_bytes: int) -> list[bytes]:
        """Take the oldest rows out to send them: at least one if there is any, within bounds."""
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
        """Say what became of rows that were taken."""
        self._taken -= sent + refused + dropped
        self._sent += sent
        self._refused += refused
        self._dropped += dropped

    def abandon(self) -> int:
        """Drop all that waits or is on its way; returns how many."""
        given_up = len(self._rows) + self._taken
        self._rows.clear()
        self.bytes = self._taken = 0
        self._dropped += given_up
        return given_up

    def _pop(self) -> bytes:
        row = self._rows.popleft()
        self.bytes -= len(row) + ROW_OVERHEAD
        return row
