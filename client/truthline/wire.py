"""Decode JSON into dataclasses: camelCase to snake_case, RFC 3339 to aware datetimes."""

import dataclasses
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from truthline.errors import NotTruthline

T = TypeVar("T")
Decode = Callable[[Any], Any]

# Python 3.10 parses only fractions of three or six digits, and no Z.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)")
_BELOW_MICROSECONDS = re.compile(r"(\.\d{6})\d+")

ABSENT: Any = None
"""Default of a field that every server so far knows, and whose type excludes None."""


@dataclasses.dataclass(frozen=True)
class Named:
    """Name of a field on the wire, if it is not its name in camelCase."""

    name: str


Start = Annotated[datetime, Named("startTime")]
End = Annotated[datetime, Named("endTime")]


def decode(kind: type[T], value: Any, **more: Any) -> T:
    """Build an object of `kind` from JSON, and from `more` for fields that JSON lacks.

    The server may be newer or older than this package: unknown members are ignored, and a field
    unknown to the server is None.

    Raises:
        NotTruthline: the JSON has a different form, or none of the members.
    """
    try:
        made: T = _made(kind, value, more)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise NotTruthline(f"the response is not {kind.__name__}: {error!r}") from error
    return made


def has_any(value: Any, members: Iterable[str]) -> None:
    """Check that a response has any of these members.

    Raises:
        KeyError: it has none of them.
    """
    if not any(member in value for member in members):
        raise KeyError("none of its members")


def to_time(text: str) -> datetime:
    """Parse RFC 3339.

    Raises:
        ValueError: the text is invalid.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time with an offset: {text!r}")
    moment, fraction, offset = match.groups()
    offset = "+00:00" if offset == "Z" else offset
    return datetime.fromisoformat(f"{moment}.{(fraction or '').ljust(6, '0')}{offset}")


def to_wire(time: datetime | str | None, name: str) -> str | None:
    """Format a time for the server, see `rfc3339`; None stays None."""
    return None if time is None else rfc3339(time, name)


def rfc3339(time: datetime | str, name: str) -> str:
    """Format a time for the server, truncated to microseconds.

    Raises:
        ValueError: the time has no offset, so its zone is unknown. numpy's times never have one.
    """
    if isinstance(time, str):
        return _BELOW_MICROSECONDS.sub(r"\1", time)
    if getattr(time, "tzinfo", None) is None:
        raise ValueError(f"{name} has no time zone and no offset: {time}")
    return time.isoformat(timespec="microseconds")  # pandas' times have nanoseconds


def to_duration(width: timedelta | str | None) -> str | None:
    """Format a width for the server; None stays None."""
    if not isinstance(width, timedelta):
        return width
    return f"{width // timedelta(microseconds=1)}us"


def _made(kind: Any, value: Any, more: Mapping[str, Any]) -> Any:
    has_any(value, [wire for name, wire, _ in _fields(kind) if name not in more])
    return kind(**_members(kind, value, more), **more)


def _members(kind: Any, value: Mapping[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """Read the fields of `kind`, except those already `known`."""
    return {name: read(value.get(wire)) for name, wire, read in _fields(kind) if name not in known}


@cache
def _fields(kind: Any) -> list[tuple[str, str, Decode]]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        (field.name, _wire_name(field.name, hints[field.name]), _decoder(hints[field.name]))
        for field in dataclasses.fields(kind)
    ]


def _wire_name(name: str, hint: Any) -> str:
    given = (note.name for note in getattr(hint, "__metadata__", ()) if isinstance(note, Named))
    return next(given, None) or camel(name)


@cache
def _decoder(hint: Any) -> Decode:
    """Return a decoder for this type; null is None for any type."""
    read = _present(hint)
    return lambda value: None if value is None else read(value)


def _present(hint: Any) -> Decode:
    """Return a decoder for values other than null."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _present(arguments[0])
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in arguments if one is not type(None))
        return _present(inner)
    if origin is tuple:
        item = _decoder(arguments[0])
        return lambda value: tuple(item(one) for one in value)
    if hint is datetime:
        return to_time
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        kind: type[Any] = hint
        return lambda value: kind(**_members(kind, value))
    return lambda value: value


@cache
def camel(name: str) -> str:
    """Convert a name from snake_case to camelCase."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
