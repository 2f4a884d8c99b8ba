"""Request bodies: read completely, decompressed, and never larger than the operator allows."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from app.api.http.proto_json import of_proto_json
from app.errors import InvalidInput, TooLarge
from app.ingest.fields import text_problem
from app.ingest.partial_batches import read_item
from app.ingest.strict_json import cut_out, decode, decode_untyped, elements
from app.ingest.validation_errors import UNREADABLE, Rejection, rejection_of
from app.running import settings

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Message = TypeVar("Message", bound=msgspec.Struct)
Item = TypeVar("Item", bound=msgspec.Struct)
Read = TypeVar("Read")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PIECE_BYTES = 64 * 1024
# 8 MiB, as RFC 9659 limits the window of bodies: it is the memory that unpacking takes.
ZSTD_WINDOW_LOG = 23
LARGE_PIECE_BYTES = 1024 * 1024
# NUL in JSON; no other spelling is valid.
NUL = b"\\u0000"


def _unpacked_gzip(stream: io.BufferedReader) -> Any:
    return gzip.GzipFile(fileobj=stream)


def _unpacked_zstd(stream: io.BufferedReader) -> Any:
    return zstd.ZstdFile(
        stream, options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    )


_UNPACK: Mapping[str, Callable[[io.BufferedReader], Any]] = {
    "gzip": _unpacked_gzip,
    "zstd": _unpacked_zstd,
}


class Incoming:
    """The body of the current request, decompressed while it is read.

    Raises:
        TooLarge: its announced length exceeds the limit.
        UnsupportedMediaType: its encoding is neither gzip nor zstd.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = io.BytesIO()
        self._passed = 0
        if (request.content_length or 0) > max_bytes:
            raise self._too_large()
        request.max_content_length = max_bytes + 1  # one more is read, to notice the excess
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding not in (*_UNPACK, "identity"):
            raise UnsupportedMediaType("Content-Encoding must be gzip or zstd, or absent.")
        self._encoding = encoding
        self._compressed = encoding in _UNPACK
        try:
            stream: Any = request.stream
        except RequestEntityTooLarge:
            raise self._too_large() from None
        self._stream = stream
        if self._compressed:  # buffered: gzip reads headers two bytes at a time
            self._stream = _UNPACK[encoding](io.BufferedReader(stream, PIECE_BYTES))

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at its end; none of them is kept. Instead of `up_to`.

        Raises:
            as `up_to`.
        """
        pieces, missing = [], size
        while missing > 0 and (piece := self._read(min(missing, LARGE_PIECE_BYTES))):
            pieces.append(piece)
            missing -= len(piece)
        self._passed += size - missing
        if self._passed > self._max_bytes:
            raise self._too_large(" when unpacked" if self._compressed else "")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def up_to(self, size: int) -> bytes:
        """Its first `size` bytes, or all if it has no more.

        Raises:
            TooLarge: it exceeds the limit, compressed or decompressed.
            InvalidInput: it is incomplete, or isn't valid in its encoding.
        """
        while (missing := size - self._buffer.tell()) > 0:
            piece = self._read(min(missing, PIECE_BYTES))
            if not piece:
                break
            self._buffer.write(piece)
        if self._buffer.tell() > self._max_bytes:
            raise self._too_large(" when unpacked" if self._compressed else "")
        return self._buffer.getvalue()

    def whole(self) -> bytes:
        """All of it.

        Raises:
            as `up_to`.
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
            raise InvalidInput(f"the {self._encoding} body ends too early") from None
        except (gzip.BadGzipFile, zlib.error, zstd.ZstdError):
            raise InvalidInput(f"the body is not valid {self._encoding}") from None
        return piece

    def _too_large(self, how: str = "") -> TooLarge:
        return TooLarge(f"a body may have at most {self._max_bytes} bytes{how}")


def read_body(max_bytes: int) -> bytes:
    """The body of the current request, decompressed if it is gzip or zstd.

    Raises:
        TooLarge: longer than `max_bytes`, compressed or decompressed.
        InvalidInput: it is incomplete, or isn't valid in its encoding.
        UnsupportedMediaType: it has a different encoding.
    """
    return Incoming(max_bytes).whole()


def media_type(*accepted: str) -> str:
    """The media type of the body, one of `accepted`.

    A page of another site can send a body without a type, or with that of a form, without a
    preflight.

    Raises:
        UnsupportedMediaType: it is a different one, or missing.
    """
    if request.mimetype not in accepted:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(accepted)}.")
    return request.mimetype


def read_form(max_bytes: int) -> dict[str, list[str]]:
    """The parameters of a form, each with all its values.

    Raises:
        UnsupportedMediaType: the body is no form.
        and as `read_body`.
    """
    media_type(FORM)
    text = read_body(max_bytes).decode("utf-8", "replace")
    return parse_qs(text, keep_blank_values=True)


# --- messages -----------------------------------------------------------------------------


def read_message(kind: type[Message], max_bytes: int | None = None) -> Message:
    """Parse the JSON body as this type, up to `max_bytes` or the configured limit.

    Raises:
        UnsupportedMediaType: the Content-Type isn't JSON.
        TooLarge: too long, or too many values for its size.
        InvalidInput: it isn't of this type, has a duplicate member, or a text that can't be stored.
    """
    media_type(JSON)
    return as_message(read_body(max_bytes or settings().max_body_bytes), kind)


def read_proto_message(kind: type[Message]) -> Message:
    """Parse the JSON body as this protobuf message, in any form that JSON has for it.

    Raises:
        as `read_message`.
    """
    media_type(JSON)
    body = read_body(settings().max_body_bytes)
    message = _or_invalid_input(lambda: of_proto_json(decode_untyped(body), kind))
    _reject_nul(body, message)
    return message


def as_message(body: bytes, kind: type[Message]) -> Message:
    """Parse a body as this type.

    Raises:
        as `read_message`.
    """
    message = _or_invalid_input(lambda: decode(body, kind))
    _reject_nul(body, message)
    return message


def as_long_message(
    body: bytes, kind: type[Message], member: str, item: type[Item], size: Callable[[Item], int]
) -> tuple[Message, list[Item | Rejection]]:
    """Parse a body as this type, and its list `member` item by item.

    An invalid item is replaced by its error. `size` is the number of values of an item. A body may
    have as many items, and as many values, as a batch has rows.

    Raises:
        as `read_message`.
    """
    texts, rest = _or_invalid_input(lambda: cut_out(body, member, b"[]"))
    message = as_message(rest, kind)
    limit = settings().max_batch_rows
    rule = f"a post may contain at most {limit} of {member}"
    if texts is None:  # it is invalid, or its name has escapes
        unread: list[msgspec.Raw] = getattr(message, member)
    else:
        unread = _or_invalid_input(lambda: elements(texts, limit, body=body, rule=rule), member)
    items: list[Item | Rejection] = []
    for text in unread:
        items.append(parsed := read_item(text, item))
        if isinstance(parsed, item) and (limit := limit - size(parsed)) < 0:
            raise TooLarge(f"a post may contain at most {settings().max_batch_rows} values")
    return message, items


def _or_invalid_input(read: Callable[[], Read], where: str = "") -> Read:
    """What `read` returns.

    Raises:
        InvalidInput: `read` fails; the message begins with `where` and the member.
    """
    try:
        return read()
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        path = f"{where}.{field}".strip(".").replace(".[", "[")
        raise InvalidInput(f"{path or 'the body'} {reason}") from None


def _reject_nul(body: bytes, message: Any) -> None:
    if NUL in body and (problem := text_problem(*_texts_in(message))):
        raise InvalidInput(f"a text {problem}")


def _texts_in(part: Any) -> Iterator[str]:
    """All texts within a message, at any depth."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _texts_in(getattr(part, name))
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            if not isinstance(inner, float):  # a list may have thousands
                yield from _texts_in(inner)
