"""Query parameters of several endpoints: texts, instants and Go durations."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate
from werkzeug.routing import PathConverter

from app.errors import InvalidInput
from app.ingest.fields import MAX_NAME_LENGTH, text_problem
from app.query.intervals import LEAST_CONFIDENCE

# date T time, optional fraction, and an offset; `datetime.fromisoformat` accepts more.
_INSTANT = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,18}))?"
    r"(?P<offset>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_WITHOUT_OFFSET = re.compile(r"[^Tt ]+[Tt ][\d:.]+", re.ASCII)
# An unencoded + in a query is a space; nobody means a space before an offset.
_UNENCODED_PLUS = re.compile(r" (?=\d\d:\d\d$)")
_CAPITAL = re.compile(r"[A-Z]")
MICROSECONDS = 10**6
CONSISTENT = "consistent"
OF_EVERY_VIEW = ("api_key", CONSISTENT)
Parsed = TypeVar("Parsed")

_NUMBER, _UNIT = r"\d+\.?\d*|\.\d+", "ns|us|µs|μs|ms|s|m|h"
_PART = re.compile(f"(?P<number>{_NUMBER})(?P<unit>{_UNIT})", re.ASCII)
_DURATION = re.compile(f"[+-]?(?:(?:{_NUMBER})(?:{_UNIT}))+", re.ASCII)
_UNIT_IN_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "μs": Fraction(1),  # Go accepts both letters
    "ms": Fraction(1000),
    "s": Fraction(MICROSECONDS),
    "m": Fraction(60 * MICROSECONDS),
    "h": Fraction(3600 * MICROSECONDS),
}


class NotADuration(ValueError):
    """The text is not a duration."""


def parse_instant(text: str) -> datetime:
    """Parse RFC 3339 with an offset, as UTC.

    Digits beyond the microsecond are truncated, as for the times of rows.

    Raises:
        ValueError: not of this form, or not a time that exists.
    """
    match = _INSTANT.fullmatch(_UNENCODED_PLUS.sub("+", text))
    if match is None:
        raise ValueError("must be RFC 3339 with an offset, like 2025-02-25T11:51:22Z")
    base = datetime.fromisoformat(match["seconds"].upper() + match["offset"].upper())
    fraction = match["fraction"] or "0"
    microseconds = int(fraction) * MICROSECONDS // 10 ** len(fraction)
    try:
        return (base + timedelta(microseconds=microseconds)).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def parse_go_duration(text: str) -> timedelta:
    """Parse a duration in Go's notation: 10s, 1.5h, 2h45m.

    Raises:
        NotADuration: not of this form.
        ValueError: negative, too long, or finer than a microsecond.
    """
    if not _DURATION.fullmatch(text):
        raise NotADuration("must be a duration like 10s, 1.5h or 2h45m")
    if text.startswith("-"):
        raise ValueError("must not be negative")
    total = sum(
        Fraction(part["number"]) * _UNIT_IN_MICROSECONDS[part["unit"]]
        for part in _PART.finditer(text)
    )
    if total.denominator != 1:
        raise ValueError("must be a whole number of microseconds")
    try:
        return timedelta(microseconds=int(total))
    except OverflowError:
        raise ValueError("is too long") from None


class NameConverter(PathConverter):
    """The rest of a path as one name with any characters: slashes at both ends, line ends."""

    regex = "(?s:.+)"
    part_isolating = False  # werkzeug would infer it from a slash in the expression


def check_name(what: str, name: str) -> None:
    """Reject a name in a path that can't be stored.

    Raises:
        InvalidInput: it is too long, or contains NUL; the message begins with `what`.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidInput(f"{what} must have at most {MAX_NAME_LENGTH} characters")
    if problem := text_problem(name):
        raise InvalidInput(f"{what} {problem}")


class Text(fields.String):
    """A name in a query."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if problem := text_problem(text):
            raise ValidationError(problem)
        return text


class Instant(fields.Field[datetime]):
    """An instant in a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        return _read(parse_instant, value)


class UtcInstant(fields.Field[datetime]):
    """An instant in a query or body of a dialect in which a missing offset means UTC."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        text = str(value)
        return _read(parse_instant, f"{text}Z" if _WITHOUT_OFFSET.fullmatch(text) else text)


class GoDuration(fields.Field[timedelta]):
    """A duration in a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta:
        return _read(parse_go_duration, value)


def _read(parse: Callable[[str], Parsed], value: Any) -> Parsed:
    try:
        return parse(str(value))
    except ValueError as error:
        raise ValidationError(str(error)) from None


class Confidence(fields.Float):
    """The confidence of intervals in a query."""

    def __init__(self, **kwargs: Any) -> None:
        """A float in the range that has an interval; NaN is refused as any other float is."""
        description = "Confidence of intervals, like 0.95; absent: no intervals"
        super().__init__(
            validate=validate.Range(
                LEAST_CONFIDENCE, 1, max_inclusive=False, error="must be from 0.5 to below 1"
            ),
            metadata={"description": description, "example": 0.95},
            **kwargs,
        )


class StrictArgs(Schema):
    """Parameters of a query, and no others; use it with `unknown=RAISE`."""

    error_messages = {"unknown": "is not a parameter"}  # noqa: RUF012 - required by marshmallow

    @pre_load
    def remove_key(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """The query may contain what is read for every view: the key, and what it must see."""
        return {name: value for name, value in data.items() if name not in OF_EVERY_VIEW}


class ProtoArgs(Schema):
    """Parameters of a query as grpc-gateway takes them: named in lowerCamelCase or in snake_case.

    Unknown ones are ignored.
    """

    class Meta:  # noqa: D106 - marshmallow's way to say that unknown parameters are ignored
        unknown = EXCLUDE

    @pre_load
    def rename(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Give each parameter its name in lowerCamelCase."""
        names = {
            _snake_case(field.data_key or name): field.data_key or name
            for name, field in self.fields.items()
        }
        renamed: dict[str, Any] = {}
        for name, value in data.items():
            json_name = names.get(name, name)
            if json_name in renamed:
                raise ValidationError("is given twice", json_name)
            renamed[json_name] = value
        return renamed


def _snake_case(name: str) -> str:
    return _CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", name)
