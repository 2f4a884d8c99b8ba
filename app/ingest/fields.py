"""The types of incoming fields, and the bounds they keep. One definition of each."""

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

MAX_NAME_LENGTH = 200
MAX_BATCH_INDEX = 2**31 - 1
# Far beyond any measured quantity, and its square is still a finite double.
MAX_MAGNITUDE = 1e100
# A window's question skips what was received a day before its start: see sql/views/20_cells.sql.
MAX_TIME_AHEAD = timedelta(hours=24)
# Nothing was predicted before; a zero time is what a client sends that forgot to set one.
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
RequiredName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with offset")]
BatchIndex = Annotated[int, Meta(ge=0, le=MAX_BATCH_INDEX)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_MAGNITUDE)]
Value = Annotated[float, Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]


def text_problem(*texts: str | None) -> str | None:
    """Why these texts can't be stored, or None. PostgreSQL text has no NUL."""
    for text in texts:  # a loop, not any(): this runs for each text of each row
        if text and "\0" in text:
            return "must not contain the character NUL"
    return None


def number_problem(*numbers: float | None) -> str | None:
    """Why these numbers can't be stored, or None. NaN slips through every comparison."""
    for number in numbers:
        if number is not None and not math.isfinite(number):
            return "must be a finite number"
    return None


def range_problem(time: datetime | None) -> str | None:
    """Why this time can't be stored and read again, or None: UTC has the years 1 to 9999."""
    try:
        if time is not None:
            time.astimezone(UTC)
    except OverflowError:
        return "is out of range"
    return None


def time_problem(time: datetime) -> str | None:
    """Why this event time is refused, or None."""
    if time > datetime.now(UTC) + MAX_TIME_AHEAD:
        return "must not be more than a day ahead of the server's clock"
    if time < EARLIEST_TIME:
        return "must not be before 1970"
    return None
