"""Lengths of windows, as texts: 5m, 1h, 1d or 1w; and the instants at which windows end."""

import re
from datetime import UTC, datetime, timedelta

from app.errors import InvalidInput
from app.query.window import EPOCH_DAY

MINUTE = timedelta(minutes=1)
LONGEST = timedelta(days=366)
# Windows end at multiples of `every` from here on: days at midnight UTC, weeks on Monday.
ORIGIN = EPOCH_DAY.replace(tzinfo=UTC)

_DURATION = re.compile(r"(?P<number>[1-9]\d{0,5})(?P<unit>[mhdw])", re.ASCII)
_UNITS = {
    "m": MINUTE,
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_duration(field: str, text: str) -> timedelta:
    """Parse a number of minutes, hours, days or weeks, such as 5m.

    Raises:
        InvalidInput: not of this form, or longer than LONGEST; the message begins with `field`.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{field} must be a duration like 5m, 1h, 1d or 1w")
    length = int(match["number"]) * _UNITS[match["unit"]]
    if length > LONGEST:
        raise InvalidInput(f"{field} must be at most {LONGEST.days} days")
    return length


def latest_end(every: timedelta, moment: datetime) -> datetime:
    """When the last window ended that had ended at a moment."""
    return moment - (moment - ORIGIN) % every


def ends_between(every: timedelta, after: datetime, until: datetime) -> list[datetime]:
    """When windows end in (after, until], oldest first."""
    first = latest_end(every, after) + every
    count = max(0, (until - first) // every + 1)
    return [first + number * every for number in range(count)]
