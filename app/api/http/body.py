"""Request bodies: read whole, unpacked, and never larger than the operator allows."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from app.errors import InvalidInput, TooLarge
from app.ingest.fields import text_problem
from app.ingest.partial_batches import read_item
from app.ingest.strict_json import cut_out, decode, elements
from app.ingest.validation_errors import UNREADABLE, Rejection, rejection_of
from app.running import settings

Message = TypeVar("Message", bound=msgspec.Struct)
Item = TypeVar("Item", bound=msgspec.Struct)
Read = TypeVar("Read")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PIECE_BYTES = 64 * 1024
# How JSON spells NUL; no other spelling is JSON.
NUL = b"\\u0000"


class Incoming:
    """The body of the current request, unpacked as it is read.

    Raises:
        TooLarge: it says that it is larger than it may be.
        UnsupportedMediaType: it is packed in another way than gzip.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = io.BytesIO()
        if (request.content_length or 0) > max_bytes:
            raise self._too_large()
        request.max_content_length = max_bytes + 1  # one more is read, to know of it
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("gzip", "identity"):
            raise UnsupportedMediaType("Content-Encoding must be gzip, or absent.")
        self._packed = encoding == "gzip"
        try:
            stream: Any = request.stream
        except RequestEntityTooLarge:
            raise self._too_large() from None
        self._stream = stream
        if self._packed:  # through a buffer: heads of gzip are read two bytes at a time
            self._stream = gzip.GzipFile(fileobj=io.BufferedReader(stream, PIECE_BYTES))

    def up_to(self, size: int) -> bytes:
        """Its first `size` bytes, or all if it has no more.

        Raises:
            TooLarge: it is larger than it may be, packed or unpacked.
            InvalidInput: it ends before it should, or isn't the gzip it says it is.
        """
        while (missing := size - self._held.tell()) > 0:
            piece = self._read(min(missing, PIECE_BYTES))
            if not piece:
                break
            self._held.write(piece)
        if self._held.tell() > self._max_bytes:
            raise self._too_large(" when unpacked" if self._packed else "")
        return self._held.getvalue()

    def whole(self) -> bytes:
        """All of it.

        Raises:
            what `up_to` does.
        """
        return self.up_to(self._max_bytes + 1)

    def _read(self, size: int) -> bytes:
        try:
            piece: bytes = self._stream.read(size)
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except ClientDisconnected as error:
            raise InvalidInput(error.description) from None
        except EOFError:
            raise InvalidInput("the gzip body ends too early") from None
        except (gzip.BadGzipFile, zlib.error):
            raise InvalidInput("the body is not valid gzip") from None
        return piece

    def _too_large(self, how: str = "") -> TooLarge:
        return TooLarge(f"a body may have at most {self._max_bytes} bytes{how}")


def read_body(max_bytes: int) -> bytes:
    """The body of the current request, unpacked if it came as gzip.

    Raises:
        TooLarge: longer than `max_bytes`, packed or unpacked.
        InvalidInput: it ends before it should, or isn't the gzip it says it is.
        UnsupportedMediaType: packed in another way.
    """
    return Incoming(max_bytes).whole()


def media_type(*accepted: str) -> str:
    """The media type of the body, one of `accepted`.

    A page of another site can send a body of no type, or of one that a form has, without asking.

    Raises:
        UnsupportedMediaType: it is another one, or not said.
    """
    if request.mimetype not in accepted:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(accepted)}.")
    return request.mimetype


def read_form(max_bytes: int) -> dict[str, list[str]]:
    """The parameters of a form, each with all its values.

    Raises:
        UnsupportedMediaType: the body is no form.
        and what `read_body` does.
    """
    media_type(FORM)
    text = read_body(max_bytes).decode("utf-8", "replace")
    return parse_qs(text, keep_blank_values=True)


# --- messages -----------------------------------------------------------------------------


def read_message(kind: type[Message], max_bytes: int | None = None) -> Message:
    """The JSON body as a message of this kind; as large as the settings allow, or `max_bytes`.

    Raises:
        UnsupportedMediaType: it isn't JSON, or doesn't say so.
        TooLarge: longer than that, or with too many values for its size.
        InvalidInput: it isn't one, has a member twice, or holds a text that can't be stored.
    """
    media_type(JSON)
    return as_message(read_body(max_bytes or settings().max_body_bytes), kind)


def as_message(body: bytes, kind: type[Message]) -> Message:
    """A body as a message of this kind.

    Raises:
        as `read_message`.
    """
    message = _in_words(lambda: decode(body, kind))
    _refuse_nul(body, message)
    return message


def as_long_message(
    body: bytes, kind: type[Message], member: str, item: type[Item], size: Callable[[Item], int]
) -> tuple[Message, list[Item | Rejection]]:
    """A body as a message of this kind, and its list `member`, read item by item.

    In place of an item that can't be read stands why. `size` says how many values an item has. A
    post may hold as many items, and as many values, as a batch has rows.

    Raises:
        as `read_message`.
    """
    texts, rest = _in_words(lambda: cut_out(body, member, b"[]"))
    message = as_message(rest, kind)
    limit = settings().max_batch_rows
    rule = f"a post may contain at most {limit} of {member}"
    if texts is None:  # something is wrong with it, or its name is written with escapes
        unread: list[msgspec.Raw] = getattr(message, member)
    else:
        unread = _in_words(lambda: elements(texts, limit, body=body, rule=rule), member)
    items: list[Item | Rejection] = []
    for text in unread:
        items.append(found := read_item(text, item))
        if isinstance(found, item) and (limit := limit - size(found)) < 0:
            raise TooLarge(f"a post may contain at most {settings().max_batch_rows} values")
    return message, items


def _in_words(read: Callable[[], Read], where: str = "") -> Read:
    """What `read` returns.

    Raises:
        InvalidInput: what it found wrong, `where` and at which member.
    """
    try:
        return read()
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        path = f"{where}.{field}".strip(".").replace(".[", "[")
        raise InvalidInput(f"{path or 'the body'} {reason}") from None


def _refuse_nul(body: bytes, message: Any) -> None:
    if NUL in body and (problem := text_problem(*_texts(message))):
        raise InvalidInput(f"a text {problem}")


def _texts(part: Any) -> Iterator[str]:
    """All texts within a message, wherever they stand."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _texts(getattr(part, name))
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            if not isinstance(inner, float):  # a list may hold thousands
                yield from _texts(inner)
