"""The half-open window [start, end) that every question is about, and its buckets."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.errors import InvalidWindow


@dataclass(frozen=True, slots=True)
class Window:
    """`start` is included, `end` is not; both know their offset.

    Raises:
        InvalidWindow: the end is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InvalidWindow("the end of the window must be after its start")

    @property
    def length(self) -> timedelta:
        """From start to end."""
        return self.end - self.start

    def buckets_from_start(self, width: timedelta) -> int:
        """How many buckets of `width` fit when the first begins at the start; the last is clipped.

        Raises:
            InvalidWindow: the width is not positive, or longer than the window.
        """
        if width <= timedelta(0):
            raise InvalidWindow("the interval must be longer than zero")
        if width > self.length:
            raise InvalidWindow("the interval is longer than the window")
        return -(-self.length // width)
