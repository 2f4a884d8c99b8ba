"""JSON as it arrives, read strictly: no member twice, and not more values than there is room for.

msgspec takes a member that is given twice for its last, and makes an object of each value: a list
of `{}` costs thirty times its text. So values are counted, at the speed of memory, before any is
made. What is read at once then takes twice its text at most, or ROOM_BYTES where that is more.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from app.errors import TooLarge
from app.ingest.fields import MAX_NAME_LENGTH, read_field
from app.ingest.wording import UNREADABLE

Message = TypeVar("Message")

ROOM_BYTES = 16 * 1024 * 1024
# One of them stands before each value but the first, and two before a member.
_VALUE_MARKS = b",:[{"
MARK_BYTES = 64  # about what a value costs: a small object, and its place in a list
LIGHT_BYTES = ROOM_BYTES // 48  # has room whatever it holds: `[],` is the most marks for its length
OBJECT_BYTES = 24  # what an object costs of which nothing is kept
_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# Texts with characters of four bytes have four for each of theirs, wherever they stand.
_WIDE = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
# Ends somewhere in any case, or a search for it would begin again at every quote.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_anything: Callable[[bytes], Any] = msgspec.json.Decoder().decode


class RepeatedMember(msgspec.ValidationError):
    """An object has a member twice."""


class _AnObject(msgspec.Struct, gc=False):
    """An object, of which nothing is kept."""


def decode(text: bytes, kind: type[Message]) -> Message:
    """Read a text as a value of this kind.

    Raises:
        one of UNREADABLE: it isn't one, or has a member twice.
        TooLarge: it has too many values for its size.
    """
    check_weight(text)
    message = msgspec.json.decode(text, type=kind, dec_hook=read_field)
    refuse_repeated(text)
    return message


# --- how much it is -----------------------------------------------------------------------


def check_weight(text: bytes) -> None:
    """Refuse what takes much more memory than its text.

    Raises:
        TooLarge: it has too many values for its size.
    """
    if len(text) <= LIGHT_BYTES:
        return
    room = max(2 * len(text), ROOM_BYTES) - _character_bytes(text) * len(text)
    limit = room // MARK_BYTES
    if count_outside_texts(text, _VALUE_MARKS, limit) > limit:
        raise TooLarge("the body has too many values for its size; send it in parts")


def _character_bytes(text: bytes) -> int:
    if _WIDE.search(text):
        return 4
    return 1 if text.isascii() and b"\\u" not in text else 2


def count_outside_texts(text: bytes, marks: bytes, limit: int) -> int:
    """How often any of these bytes stands outside texts; beyond `limit`, some number above it."""
    if (most := _count(text, marks, 0, len(text))) <= limit:
        return most  # also counts those in texts, and is much faster
    found = at = 0
    for inside in _TEXT.finditer(text):
        found += _count(text, marks, at, inside.start())
        at = inside.end()
        if found > limit:
            return found
    return found + _count(text, marks, at, len(text))


def _count(text: bytes, marks: bytes, start: int, end: int) -> int:
    return sum(text.count(mark, start, end) for mark in marks)


def elements(text: bytes | msgspec.Raw, limit: int, *, body: bytes, rule: str) -> list[msgspec.Raw]:
    """The elements of a list within `body`, not yet read; if they are many, all are objects.

    Raises:
        one of UNREADABLE: it is no such list.
        TooLarge: it has more than `limit` elements, which `rule` forbids.
    """
    if body.count(b",") > 3 * limit:  # otherwise they are few, whatever they are
        if body.count(b"{") * OBJECT_BYTES > max(2 * len(body), ROOM_BYTES):
            raise TooLarge(f"{rule}; this one has far more")
        _refuse_beyond(limit, len(msgspec.json.decode(text, type=list[_AnObject])), rule)
    found = msgspec.json.decode(text, type=list[msgspec.Raw])
    _refuse_beyond(limit, len(found), rule)
    return found


def _refuse_beyond(limit: int, number: int, rule: str) -> None:
    if number > limit:
        raise TooLarge(f"{rule}; this one has {number}")


# --- a member apart from the rest -----------------------------------------------------------


def apart(text: bytes, name: str, instead: bytes) -> tuple[msgspec.Raw | None, bytes]:
    """A member of an object, not yet read, and the object with `instead` in its place.

    Where it can't be cut out it is None, and the object as it was: it isn't there, is given twice,
    or has a name with escapes.

    Raises:
        one of UNREADABLE: the text is no object.
    """
    value: msgspec.Raw = msgspec.json.decode(text, type=_outline(name)).value
    length = len(memoryview(value))
    for key in re.finditer(rb'"%b"\s*+:\s*+' % name.encode(), text) if length else ():
        start, end = key.end(), key.end() + length
        if text.find(memoryview(value), start, end) == start:
            return value, text[:start] + instead + text[end:]
    return None, text


@cache
def _outline(name: str) -> type[Any]:
    """An object of which one member is kept, as `value`."""
    fields = [("value", msgspec.Raw, msgspec.Raw(b""))]
    return msgspec.defstruct("Outline", fields, rename={"value": name})


# --- members given twice --------------------------------------------------------------------


def refuse_repeated(text: bytes) -> None:
    """Refuse JSON in which an object, however deep, has a member twice.

    Raises:
        one of UNREADABLE: that it has, or that it is nested too deeply.
    """
    if not evidently_distinct([text], text):
        _look_for_repeated(text)


def evidently_distinct(
    texts: Iterable[bytes], body: bytes, *, members: int = 0, flat: bool = False
) -> bool:
    """Whether all members in these texts are counted among the colons of their body, and no more.

    `members` are those of the body outside the texts; `flat` texts are objects that hold no other.
    Where it isn't evident, which is rare, it has to be looked for: a text may hold what looks like
    the end of a member's name.
    """
    try:
        count = len if flat else _members
        return _colons(body) == members + sum(map(count, map(_anything, texts)))
    except UNREADABLE:  # a number beyond all bounds in a member that isn't looked at
        return False


def _colons(text: bytes) -> int:
    if any(colon in text for colon in _SPACED_COLONS):
        text = text.translate(None, b" \t\r\n")
    return text.count(b'":')


def _members(value: Any) -> int:
    """How many members all objects within a value have together."""
    found, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found += len(part)
            part = part.values()
        elif not isinstance(part, list):
            continue
        waiting.extend([inner for inner in part if inner.__class__ in (dict, list)])
    return found


def _look_for_repeated(text: bytes) -> None:
    try:
        json.loads(
            text,
            object_pairs_hook=_refuse_twins,
            parse_int=_nothing,
            parse_float=_nothing,
        )
    except json.JSONDecodeError as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error.msg}") from None


def _refuse_twins(pairs: Sequence[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise RepeatedMember(f"Object has member `{name[:MAX_NAME_LENGTH]}` twice")
        seen.add(name)


def _nothing(_: str) -> None:
    """Stand for a number, whatever its size."""
