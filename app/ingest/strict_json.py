"""JSON on arrival, parsed strictly: no duplicate members, and limited memory.

msgspec takes the last of duplicate members, and creates an object for each value: a list of `{}`
needs thirty times the memory of its text. So values are counted, at the speed of memory, before
any is created. Parsed values then need at most twice the memory of their text, or ROOM_BYTES if
that is more.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from app.errors import TooLarge
from app.ingest.fields import MAX_NAME_LENGTH, read_field
from app.ingest.validation_errors import UNREADABLE

Message = TypeVar("Message")

ROOM_BYTES = 16 * 1024 * 1024
# One of these precedes each value but the first, and two precede a member.
_VALUE_MARKS = b",:[{"
MARK_BYTES = 64  # about what a value needs: a small object, and its slot in a list
LIGHT_BYTES = ROOM_BYTES // 48  # always fits: `[],` has the most marks for its length
OBJECT_BYTES = 24  # the size of an object of which nothing is kept
_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# A text with one character of four bytes needs four for each of its characters.
_WIDE = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
# Always matches, or the search would start again at every quote.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_anything: Callable[[bytes], Any] = msgspec.json.Decoder().decode
_any_range: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=float).decode


class DuplicateMember(msgspec.ValidationError):
    """An object has a duplicate member."""


class _AnObject(msgspec.Struct, gc=False):
    """An object of which nothing is kept."""


def decode(text: bytes, kind: type[Message]) -> Message:
    """Parse a text as a value of this type.

    Raises:
        one of UNREADABLE: it isn't one, or has a duplicate member.
        TooLarge: it has too many values for its size.
    """
    check_weight(text)
    message = msgspec.json.decode(text, type=kind, dec_hook=read_field)
    reject_duplicate_members(text)
    return message


def decode_untyped(text: bytes) -> Any:
    """Parse a text as any JSON; a number beyond the range of doubles is infinite.

    Raises:
        as `decode`.
    """
    check_weight(text)
    value = _any_range(text)
    reject_duplicate_members(text)
    return value


# --- size ---------------------------------------------------------------------------------


def check_weight(text: bytes) -> None:
    """Reject what needs much more memory than its text.

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
    """How often any of these bytes occurs outside texts; beyond `limit`, some number above it."""
    if (most := _count(text, marks, 0, len(text))) <= limit:
        return most  # also counts marks in texts, but is much faster
    count = at = 0
    for inside in _TEXT.finditer(text):
        count += _count(text, marks, at, inside.start())
        at = inside.end()
        if count > limit:
            return count
    return count + _count(text, marks, at, len(text))


def _count(text: bytes, marks: bytes, start: int, end: int) -> int:
    return sum(text.count(mark, start, end) for mark in marks)


def elements(text: bytes | msgspec.Raw, limit: int, *, body: bytes, rule: str) -> list[msgspec.Raw]:
    """The elements of a list within `body`, not parsed; if they are many, all are objects.

    Raises:
        one of UNREADABLE: it is no such list.
        TooLarge: it has more than `limit` elements, which `rule` forbids.
    """
    if body.count(b",") > 3 * limit:  # otherwise they are few, of any type
        if body.count(b"{") * OBJECT_BYTES > max(2 * len(body), ROOM_BYTES):
            raise TooLarge(f"{rule}; this one has far more")
        _reject_beyond(limit, len(msgspec.json.decode(text, type=list[_AnObject])), rule)
    items = msgspec.json.decode(text, type=list[msgspec.Raw])
    _reject_beyond(limit, len(items), rule)
    return items


def _reject_beyond(limit: int, number: int, rule: str) -> None:
    if number > limit:
        raise TooLarge(f"{rule}; this one has {number}")


# --- one member without the rest ------------------------------------------------------------


def cut_out(text: bytes, name: str, instead: bytes) -> tuple[msgspec.Raw | None, bytes]:
    """A member of an object, not parsed, and the object with `instead` in its place.

    If the member can't be cut out, returns None and the unchanged object: the member is missing, is
    a duplicate, or has a name with escapes.

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


# --- duplicate members ----------------------------------------------------------------------


def reject_duplicate_members(text: bytes) -> None:
    """Reject JSON in which an object, at any depth, has a duplicate member.

    Raises:
        one of UNREADABLE: it has, or is nested too deeply.
    """
    if not evidently_distinct([text], text):
        _search_duplicates(text)


def evidently_distinct(
    texts: Iterable[bytes], body: bytes, *, members: int = 0, flat: bool = False
) -> bool:
    """Whether there are as many colons in the body as members, so that none is a duplicate.

    `members` are those of the body outside the texts; `flat` texts are objects without nested ones.
    In the rare case that the numbers differ, duplicates must be searched for: a text may contain
    what looks like the end of a member's name.
    """
    try:
        count = len if flat else _members
        return _colons(body) == members + sum(map(count, map(_anything, texts)))
    except UNREADABLE:  # a number out of range, in a member that is ignored
        return False


def _colons(text: bytes) -> int:
    if any(colon in text for colon in _SPACED_COLONS):
        text = text.translate(None, b" \t\r\n")
    return text.count(b'":')


def _members(value: Any) -> int:
    """Number of members of all objects within a value."""
    count, remaining = 0, [value]
    while remaining:
        part = remaining.pop()
        if isinstance(part, dict):
            count += len(part)
            part = part.values()
        elif not isinstance(part, list):
            continue
        remaining.extend([inner for inner in part if inner.__class__ in (dict, list)])
    return count


def _search_duplicates(text: bytes) -> None:
    try:
        json.loads(
            text,
            object_pairs_hook=_reject_duplicates,
            parse_int=_nothing,
            parse_float=_nothing,
        )
    except json.JSONDecodeError as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error.msg}") from None


def _reject_duplicates(pairs: Sequence[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise DuplicateMember(f"Object has member `{name[:MAX_NAME_LENGTH]}` twice")
        seen.add(name)


def _nothing(_: str) -> None:
    """Replace a number of any size."""
