"""Request bodies: read whole, unpacked, and never larger than the operator allows."""

import gzip
import zlib
from io import BytesIO

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from app.errors import InvalidInput, TooLarge


def read_body(max_bytes: int) -> bytes:
    """The body of the current request, unpacked if it came as gzip.

    Raises:
        TooLarge: longer than `max_bytes`, packed or unpacked.
        InvalidInput: not the gzip it says it is.
        UnsupportedMediaType: packed in another way.
    """
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
