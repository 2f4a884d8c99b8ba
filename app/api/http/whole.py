"""A body that ends too early is an error, whoever reads it.

WSGI doesn't ask servers to notice, and gunicorn hands out the beginning of a body for the whole.
"""

import io
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.exceptions import ClientDisconnected, HTTPException

INCOMPLETE = "the body ended before all of it had come"


class WholeBody(io.RawIOBase):
    """The body of a request, of which a length was announced, or that comes in chunks."""

    def __init__(self, stream: Any, announced: int | None) -> None:
        self._stream = stream
        self._missing = announced or 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some of it.

        Raises:
            ClientDisconnected: there is no more, and there should be.
        """
        try:
            piece = self._stream.read(len(buffer))
        except HTTPException:
            raise
        except Exception as error:  # each server has its own for a chunk cut short
            raise ClientDisconnected(INCOMPLETE) from error
        if not piece and self._missing > 0:
            raise ClientDisconnected(INCOMPLETE)
        self._missing -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def install(app: Flask) -> None:
    """Let nobody take the beginning of a body for the whole: this view, that library, or Dash."""
    inner = app.wsgi_app

    def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        announced = int(length) if length.isascii() and length.isdecimal() else None
        environ["wsgi.input"] = WholeBody(environ["wsgi.input"], announced)
        return inner(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign] # Flask's own way to wrap it
