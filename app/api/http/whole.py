"""Makes an incomplete body an error for every reader.

WSGI doesn't require servers to notice, and gunicorn passes an incomplete body as if it were
complete.
"""

import io
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.exceptions import ClientDisconnected, HTTPException

INCOMPLETE = "the body is incomplete"


class WholeBody(io.RawIOBase):
    """The body of a request, with an announced length or in chunks."""

    def __init__(self, stream: Any, announced: int | None) -> None:
        self._stream = stream
        self._missing = announced or 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some of it.

        Raises:
            ClientDisconnected: it ends too early.
        """
        try:
            piece = self._stream.read(len(buffer))
        except HTTPException:
            raise
        except Exception as error:  # each server has its own for an incomplete chunk
            raise ClientDisconnected(INCOMPLETE) from error
        if not piece and self._missing > 0:
            raise ClientDisconnected(INCOMPLETE)
        self._missing -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def install(app: Flask) -> None:
    """Let no reader mistake an incomplete body for a complete one: no view, library, or Dash."""
    inner = app.wsgi_app

    def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        announced = int(length) if length.isascii() and length.isdecimal() else None
        environ["wsgi.input"] = WholeBody(environ["wsgi.input"], announced)
        return inner(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign] # as Flask documents
