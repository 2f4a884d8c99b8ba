"""JSON into the dataclasses of an answer: camelCase to snake_case, RFC 3339 to aware datetimes."""

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

# Python 3.10 reads fractions of three or six digits only, and no Z.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)")
_BELOW_MICROSECONDS = re.compile(r"(\.\d{6})\d+")

ABSENT: Any = None
"""The default of a result's field whose type has no None, as every server so far knows it."""


@dataclasses.dataclass(frozen=True)
class Named:
    """What the wire calls a field, where that isn't its own name in camelCase."""

    name: str


Start = Annotated[datetime, Named("startTime")]
End = Annotated[datetime, Named("endTime")]


def decode(kind: type[T], value: Any, **more: Any) -> T:
    """An object of `kind`, of its JSON, and of what isn't in there in `more`.

    The server may be newer or older than this package: members that are not known here are
    ignored, and a field that the server doesn't know is None.

    Raises:
        NotTruthline: it isn't what this object is made of, or has none of its members.
    """
    try:
        made: T = _made(kind, value, more)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise NotTruthline(f"the answer is no {kind.__name__}: {error!r}") from error
    return made


def has_any(value: Any, members: Iterable[str]) -> None:
    """Check an answer: one that has none of these members is something else.

    Raises:
        KeyError: it has none of them.
    """
    if not any(member in value for member in members):
        raise KeyError("none of its members")


def to_time(text: str) -> datetime:
    """Read RFC 3339.

    Raises:
        ValueError: it isn't.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time with an offset: {text!r}")
    moment, fraction, offset = match.groups()
    offset = "+00:00" if offset == "Z" else offset
    return datetime.fromisoformat(f"{moment}.{(fraction or '').ljust(6, '0')}{offset}")


def to_wire(time: datetime | str | None, name: str) -> str | None:
    """A time as the server reads it, see `rfc3339`; None is left None."""
    return None if time is None else rfc3339(time, name)


def rfc3339(time: datetime | str, name: str) -> str:
    """A time as the server reads it, cut to microseconds.

    Raises:
        ValueError: it has no offset, and might be of any zone. numpy's times never have one.
    """
    if isinstance(time, str):
        return _BELOW_MICROSECONDS.sub(r"\1", time)
    if getattr(time, "tzinfo", None) is None:
        raise ValueError(f"{name} has no time zone and no offset: {time}")
    return time.isoformat(timespec="microseconds")  # those of pandas have nanoseconds too


def to_duration(width: timedelta | str | None) -> str | None:
    """A width as the server reads it; None is left None."""
    if not isinstance(width, timedelta):
        return width
    return f"{width // timedelta(microseconds=1)}us"


def _made(kind: Any, value: Any, more: Mapping[str, Any]) -> Any:
    has_any(value, [wire for name, wire, _ in _fields(kind) if name not in more])
    return kind(**_members(kind, value, more), **more)


def _members(kind: Any, value: Mapping[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """Fields of `kind` by its members, but for those that are `known` without."""
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
    """What reads a value of this type; null is None, whatever the type."""
    read = _present(hint)
    return lambda value: None if value is None else read(value)


def _present(hint: Any) -> Decode:
    """What reads a value that is there."""
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


def camel(name: str) -> str:
    """The wire's name of what Python calls in snake_case."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
