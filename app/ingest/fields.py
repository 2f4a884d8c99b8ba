"""Types of incoming fields and their limits, each defined once."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import DecodeError, Meta, ValidationError, convert
from msgspec.json import Decoder

MAX_NAME_LENGTH = 200
MAX_BATCH_INDEX = 2**31 - 1
# Far beyond any measured quantity, and its square is still a finite double.
MAX_MAGNITUDE = 1e100
# Queries skip rows received more than a day before their window, so the tables check it too:
# sql/versions/0001_rows.up.sql.
MAX_TIME_AHEAD = timedelta(hours=24)
# No model predicted anything earlier; zero is what a client sends that forgot to set the time.
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
RequiredName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
MAX_TAGS = 8
Tags = Annotated[dict[RequiredName, RequiredName], Meta(max_length=MAX_TAGS)]
BatchIndex = Annotated[int, Meta(ge=0, le=MAX_BATCH_INDEX)]
# Probabilities computed in 32 bits or fewer may lie slightly outside [0, 1]: fastText returns
# 1.00001, which is 1.0000100136 in 32 bits. They are stored as 0 or 1: see `clamped`.
ROUNDING = 1.1e-5
LEAST_FRACTION, MOST_FRACTION = -ROUNDING, 1 + ROUNDING
_FRACTION = "0 to 1; values outside because of rounding errors are stored as 0 or 1"
Fraction = Annotated[float, Meta(ge=LEAST_FRACTION, le=MOST_FRACTION, description=_FRACTION)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_MAGNITUDE)]
Value = Annotated[float, Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]


_TOO_LONG = f"must have at most {MAX_NAME_LENGTH} characters"
_TOO_MANY_DIGITS = 10**MAX_NAME_LENGTH


def label_text(label: Any) -> str:
    """A label as it is stored: text unchanged, a number as `number_text` formats it.

    Raises:
        ValueError: it is neither, or can't be stored; the message says why.
    """
    text = label if isinstance(label, str) else number_text(label)
    if not text:
        raise ValueError("must not be empty")
    if len(text) > MAX_NAME_LENGTH:
        raise ValueError(_TOO_LONG)
    return text


def number_text(number: Any) -> str:
    """A number as a label: equal numbers give the same text, so `true`, 1 and 1.0 are all "1".

    Whole numbers are written with all their digits, others as their shortest decimal.

    Raises:
        ValueError: it is no number, not finite, or has more digits than a label may have.
    """
    if not isinstance(number, int | float):
        raise ValueError("must be a text or a number")  # noqa: TRY004 - what msgspec expects
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("must be a finite number")
    if abs(number) >= _TOO_MANY_DIGITS:
        raise ValueError(_TOO_LONG)
    return str(int(number)) if number == int(number) else repr(float(number))


def clamped(fraction: float | None) -> float | None:
    """A fraction as it is stored: within [0, 1], even if rounding errors took it outside."""
    return None if fraction is None else min(max(0.0, fraction), 1.0)


class _Read(type):
    """Metaclass of types that JSON doesn't have: msgspec passes their values to `read_field`.

    msgspec then checks the type of the result with `isinstance`; what `read` returns is correct.
    """

    read: Callable[[Any], object]

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def read_field(kind: Any, value: Any) -> object:
    """The `dec_hook` for messages that have fields of such types."""
    return kind.read(value)


class _Label(metaclass=_Read):
    read = staticmethod(label_text)


_LABEL_SCHEMA = {
    "description": "A class. Equal numbers are the same class: true, 1 and 1.0 are stored as 1",
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
        {"type": "number"},
        {"type": "boolean"},
    ],
}
if TYPE_CHECKING:
    Label = str  # the type that `read` returns
else:
    Label = Annotated[_Label, Meta(extra_json_schema=_LABEL_SCHEMA)]


def instant(time: Any) -> datetime:
    """A time as it is stored: truncated to whole microseconds.

    Rounding would move the last instants of an hour into the next one.

    Raises:
        ValueError: it isn't RFC 3339 with an offset.
    """
    try:
        if not isinstance(time, str):
            return convert(time, _Aware)
        if time[_SEVENTH_DIGIT].isdigit():
            time = _FINER_THAN_MICROSECONDS.sub("", time, count=1)
        return _AWARE.decode(f'"{time}"')
    except ValidationError as error:
        raise ValueError(str(error)) from None
    except DecodeError:  # a quote in it
        raise ValueError("Invalid RFC3339 encoded datetime") from None


def instant_of_epoch(seconds: float) -> datetime:
    """An instant given in seconds since 1970; its decimal notation is truncated to microseconds.

    Raises:
        ValueError: not a time that exists.
    """
    try:
        microseconds = math.floor(Decimal(repr(seconds)) * 10**6)
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
    except (ArithmeticError, ValueError):
        raise ValueError("is not a time") from None


_Aware = Annotated[datetime, Meta(tz=True)]
_AWARE = Decoder(_Aware)  # for texts: `convert` would build a decoder for each row
_FINER_THAN_MICROSECONDS = re.compile(r"(?<=\.\d{6})\d+")
_SEVENTH_DIGIT = slice(26, 27)  # of the fraction, in 2026-03-01T10:00:00.1234567Z


class _Instant(metaclass=_Read):
    read = staticmethod(instant)


_INSTANT_SCHEMA = {"type": "string", "format": "date-time", "description": "RFC 3339 with offset"}
if TYPE_CHECKING:
    Instant = datetime
else:
    Instant = Annotated[_Instant, Meta(extra_json_schema=_INSTANT_SCHEMA)]


def text_problem(*texts: str | None) -> str | None:
    """Why these texts can't be stored, or None: text in PostgreSQL has no NUL."""
    for text in texts:  # faster than any(): this runs for each text of each row
        if text and "\0" in text:
            return "must not contain the character NUL"
    return None


def tags_problem(tags: Mapping[str, str]) -> str | None:
    """Why these tags can't be stored, or None: in a query a colon separates key and value."""
    if any(":" in key for key in tags):
        return "must not have a colon in a key"
    return text_problem(*tags, *tags.values())


def number_problem(*numbers: float | None) -> str | None:
    """Why these numbers can't be stored, or None: NaN passes every comparison with a limit."""
    for number in numbers:
        if number is not None and not math.isfinite(number):
            return "must be a finite number"
    return None


def range_problem(time: datetime | None) -> str | None:
    """Why this time can't be stored and read back, or None: UTC has the years 1 to 9999."""
    try:
        if time is not None:
            time.astimezone(UTC)
    except OverflowError:
        return "is out of range"
    return None


def time_problem(time: datetime) -> str | None:
    """Why this event time is rejected, or None."""
    if time > datetime.now(UTC) + MAX_TIME_AHEAD:
        return "must not be more than a day ahead of the server's clock"
    if time < EARLIEST_TIME:
        return "must not be before 1970"
    return None
