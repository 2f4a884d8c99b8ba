"""The half-open window [start, end) that every question is about, and the grid of its buckets."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from app.errors import InvalidWindow

MICROSECOND = timedelta(microseconds=1)
# Grids that never move have a bound here: a Monday, and the first of a month.
EPOCH_DAY, EPOCH_MONTH = datetime(2000, 1, 3), datetime(2000, 1, 1)  # noqa: DTZ001 - in any zone
# PostgreSQL reads these as offsets that never change, and `localtime` is whatever a host says.
_OF_TWO_MEANINGS = {"CET", "EET", "MET", "WET", "localtime"}
AVERAGE_MONTH = timedelta(days=30.436875)  # of the Gregorian calendar's 400 years
BEGINNING = datetime.min.replace(tzinfo=UTC)
# A bucket on a grid that never moves may begin so long before the window does; the database's
# calendar goes back to 4713 BC, and windows to the year 1.
LONGEST_WIDTH = timedelta(days=366_000)


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


def ending(end: datetime, length: timedelta, start: datetime | None = None) -> Window:
    """The window up to `end`, from `start` on; without one, `length` long or from the year 1 on.

    Raises:
        InvalidWindow: the end is not after the start.
    """
    return Window(start or max(end, BEGINNING + length) - length, end)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A width that follows the calendar: whole days or months, however long they are."""

    days: int = 0
    months: int = 0

    @property
    def average(self) -> timedelta:
        """How long it is on average."""
        return timedelta(days=self.days) + self.months * AVERAGE_MONTH


def average_length(width: timedelta | Calendar) -> timedelta:
    """How long a bucket is, by the calendar on average."""
    return width.average if isinstance(width, Calendar) else width


@dataclass(frozen=True, slots=True)
class Grid:
    """How a window is cut into buckets: one bucket in all without a width.

    Buckets begin at `origin`, or at the window's start where it is None, and are clipped to the
    window. A calendar's days and months are those of `zone`.
    """

    width: timedelta | Calendar | None = None
    origin: datetime | None = None
    zone: str = "UTC"

    def buckets(self, window: Window) -> int:
        """How many buckets there are; by the calendar about as many.

        Raises:
            InvalidWindow: the width is not positive, or longer than the window or than
                LONGEST_WIDTH on a grid that never moves.
        """
        if self.width is None:
            return 1
        width = average_length(self.width)
        if width <= timedelta(0):
            raise InvalidWindow("the interval must be longer than zero")
        if isinstance(self.width, timedelta) and width > window.length:
            raise InvalidWindow("the interval is longer than the window")
        if self.origin is not None and width > LONGEST_WIDTH:
            raise InvalidWindow("the interval must be at most 1,000 years")
        origin = self.origin or window.start
        return (window.end - origin - MICROSECOND) // width - (window.start - origin) // width + 1

    def check(self, window: Window, limit: int) -> None:
        """Refuse a grid of too many buckets before anything is asked.

        Raises:
            InvalidWindow: more than `limit` buckets, or as in `buckets`.
        """
        if (count := self.buckets(window)) > limit:
            raise InvalidWindow(f"{count} buckets; an answer may have {limit}")


def fixed_grid(width: timedelta | Calendar, zone: str) -> Grid:
    """A grid that lies the same whatever the window: bounds at midnight, weeks from Monday."""
    months = isinstance(width, Calendar) and width.months
    origin = (EPOCH_MONTH if months else EPOCH_DAY).replace(tzinfo=ZoneInfo(zone))
    return Grid(width, origin.astimezone(UTC), zone)


@cache
def zones() -> frozenset[str]:
    """Names of the time zones that a calendar may follow."""
    return frozenset(available_timezones() - _OF_TWO_MEANINGS)


def bounds(window: Window, grid: Grid, as_of: datetime | None) -> dict[str, Any]:
    """What the public SQL functions take: window, width, origin, zone and moment.

    A fixed width goes as microseconds: as an interval of days it would follow the calendar.
    """
    width = grid.width
    if isinstance(width, Calendar):
        interval = f"{width.months} months {width.days} days"
    elif width is not None:
        interval = f"{width // MICROSECOND} microseconds"
    return {
        "start": window.start,
        "end": window.end,
        "width": None if width is None else interval,
        "origin": grid.origin,
        "zone": grid.zone,
        "as_of": as_of or "infinity",
    }


# The same as the arguments of such a function: the parts of a window or its edges, and the moment.
_WINDOW = (
    "CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),"
    " CAST(:origin AS timestamptz), CAST(:zone AS text)"
)
BOUNDS = f"{_WINDOW}, CAST(:as_of AS timestamptz)"
EDGES = f"truthline_internal.edges({_WINDOW}), CAST(:as_of AS timestamptz)"
# One bucket from end to end, whatever the width is.
WHOLE = "ARRAY[CAST(:start AS timestamptz), CAST(:end AS timestamptz)], CAST(:as_of AS timestamptz)"
