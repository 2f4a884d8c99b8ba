"""Request bodies: read whole, unpacked, and never larger than the operator allows."""

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, TypeVar

import msgspec
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from app.api.access import settings
from app.errors import InvalidInput, TooLarge
from app.ingest.fields import read_field, text_problem
from app.ingest.wording import UNREADABLE, in_words

Message = TypeVar("Message", bound=msgspec.Struct)


def read_body(max_bytes: int) -> bytes:
    """The body of the current request, unpacked if it came as gzip.

    Raises:
        TooLarge: longer than `max_bytes`, packed or unpacked.
        InvalidInput: not the gzip it says it is.
        UnsupportedMediaType: packed in another way.
    """
    request.max_content_length = max_bytes
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge(f"a body may have at most {max_bytes} bytes") from None
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        return _unpack(body, max_bytes)
    if encoding != "identity":
        raise UnsupportedMediaType("Content-Encoding must be gzip, or absent.")
    return body


def media_type(*accepted: str) -> str:
    """The media type of the body, one of `accepted`.

    Raises:
        UnsupportedMediaType: it is another one, or not said.
    """
    if request.mimetype not in accepted:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(accepted)}.")
    return request.mimetype


def read_message(kind: type[Message], max_bytes: int | None = None) -> Message:
    """The JSON body as a message of this kind; as large as the settings allow, or `max_bytes`.

    Raises:
        TooLarge: longer than that.
        InvalidInput: it isn't one, or holds a text that can't be stored.
    """
    # a body of no type is taken; one of another type may come from any page in a browser
    if request.content_type:
        media_type("application/json")
    body = read_body(max_bytes or settings().max_body_bytes)
    try:
        message = msgspec.json.decode(body, type=kind, dec_hook=read_field)
    except UNREADABLE as error:
        field, reason = in_words(error)
        raise InvalidInput(f"{field or 'the body'} {reason}") from None
    if problem := text_problem(*_texts(message)):
        raise InvalidInput(f"a text {problem}")
    return message


def _unpack(body: bytes, max_bytes: int) -> bytes:
    """Unpack gzip, also of several members; stop at the limit, whatever the sender packed."""
    try:
        with gzip.open(BytesIO(body)) as stream:
            unpacked = stream.read(max_bytes + 1)
    except EOFError:
        raise InvalidInput("the gzip body ends too early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise InvalidInput("the body is not valid gzip") from None
    if len(unpacked) > max_bytes:
        raise TooLarge(f"a body may have at most {max_bytes} bytes when unpacked")
    return unpacked


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
