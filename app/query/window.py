"""The half-open window [start, end) of a question, and the grid of its buckets."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from app.errors import InvalidWindow

MICROSECOND = timedelta(microseconds=1)
# Fixed grids have an edge here: a Monday, and the first day of a month.
EPOCH_DAY, EPOCH_MONTH = datetime(2000, 1, 3), datetime(2000, 1, 1)  # noqa: DTZ001 - in any zone
# PostgreSQL reads these as fixed offsets, and `localtime` depends on the host.
_OF_TWO_MEANINGS = {"CET", "EET", "MET", "WET", "localtime"}
AVERAGE_MONTH = timedelta(days=30.436875)  # of the Gregorian calendar's 400 years
BEGINNING = datetime.min.replace(tzinfo=UTC)
# A bucket on a fixed grid may begin this long before the window; the database's calendar goes back
# to 4713 BC, and windows to the year 1.
LONGEST_WIDTH = timedelta(days=366_000)


@dataclass(frozen=True, slots=True)
class Window:
    """`start` is included, `end` is not; both are time-zone-aware.

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
        """The time from start to end."""
        return self.end - self.start


def ending(end: datetime, length: timedelta, start: datetime | None = None) -> Window:
    """The window from `start` to `end`; without `start`, `length` long but not before the year 1.

    Raises:
        InvalidWindow: the end is not after the start.
    """
    return Window(start or max(end, BEGINNING + length) - length, end)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A width that follows the calendar: whole days or months of varying length."""

    days: int = 0
    months: int = 0

    @property
    def average(self) -> timedelta:
        """Its average length."""
        return timedelta(days=self.days) + self.months * AVERAGE_MONTH


def average_length(width: timedelta | Calendar) -> timedelta:
    """The length of a bucket; on average for a width that follows the calendar."""
    return width.average if isinstance(width, Calendar) else width


@dataclass(frozen=True, slots=True)
class Grid:
    """How a window is divided into buckets: without a width there is one bucket.

    Buckets begin at `origin`, or at the window's start if it is None, and are clipped to the
    window. Days and months of the calendar are those of `zone`.
    """

    width: timedelta | Calendar | None = None
    origin: datetime | None = None
    zone: str = "UTC"

    def buckets(self, window: Window) -> int:
        """The number of buckets; an estimate if the width follows the calendar.

        Raises:
            InvalidWindow: the width is not positive, or longer than the window, or longer than
                LONGEST_WIDTH on a fixed grid.
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

    def check(self, window: Window, limit: int, times: int = 1) -> None:
        """Reject a grid with too many buckets before it is queried, each of them so many times.

        Raises:
            InvalidWindow: more than `limit` buckets, or as in `buckets`.
        """
        if (count := self.buckets(window) * times) > limit:
            raise InvalidWindow(f"{count} buckets; an answer may have {limit}")


def fixed_grid(width: timedelta | Calendar, zone: str) -> Grid:
    """A grid that does not depend on the window: days begin at midnight, weeks on Monday."""
    months = isinstance(width, Calendar) and width.months
    origin = (EPOCH_MONTH if months else EPOCH_DAY).replace(tzinfo=ZoneInfo(zone))
    return Grid(width, origin.astimezone(UTC), zone)


@cache
def zones() -> frozenset[str]:
    """Names of the time zones that a calendar may follow."""
    return frozenset(available_timezones() - _OF_TWO_MEANINGS)


def window_parameters(window: Window, grid: Grid, as_of: datetime | None) -> dict[str, Any]:
    """Parameters of the SQL functions: window, width, origin, zone and moment.

    A fixed width is passed in microseconds: an interval of days would follow the calendar.
    """
    width = grid.width
    if isinstance(width, Calendar):
        width_text = f"{width.months} months {width.days} days"
    elif width is not None:
        width_text = f"{width // MICROSECOND} microseconds"
    return {
        "start": window.start,
        "end": window.end,
        "width": None if width is None else width_text,
        "origin": grid.origin,
        "zone": grid.zone,
        "as_of": as_of or "infinity",
    }


# The arguments of such a function: the parts of a window or its edges, and the moment.
_WINDOW = (
    "CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),"
    " CAST(:origin AS timestamptz), CAST(:zone AS text)"
)
WINDOW_PARAMETERS = f"{_WINDOW}, CAST(:as_of AS timestamptz)"
GRID_EDGES = f"truthline_internal.edges({_WINDOW})"
EDGES = f"{GRID_EDGES}, CAST(:as_of AS timestamptz)"
# One bucket for the whole window, regardless of the width.
WHOLE = "ARRAY[CAST(:start AS timestamptz), CAST(:end AS timestamptz)], CAST(:as_of AS timestamptz)"
