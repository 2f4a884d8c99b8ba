"""Read your own writes: which positions of the database's log requests return and ask for.

A write returns how far the log has come, in `Truthline-Position`. A question with that header is
answered only from a replica that has come as far, or else from the primary, as are all questions
with `consistent=true`. Without a replica, questions see everything anyway.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request

from app.api.http.parameters import CONSISTENT
from app.errors import InvalidInput, Unavailable
from app.running import database
from app.store.replica import ANY, POSITION, Wanted, format_position, parse_position, wanted

HEADER = "Truthline-Position"
# What every question takes, as OpenAPI.
PARAMETERS: Sequence[dict[str, Any]] = (
    {
        "name": CONSISTENT,
        "in": "query",
        "description": "Whether the primary must answer, rather than a read replica",
        "schema": {"type": "boolean", "default": False},
    },
    {
        "name": HEADER,
        "in": "header",
        "description": "As a write returned it: the answer counts what that write stored",
        "schema": {"type": "string", "pattern": f"^{POSITION}$"},
    },
)
YES, NO = ("true", "1"), ("false", "0")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def install(app: Flask) -> None:
    """Read what each request must see, and say how far the log was after a write."""
    app.before_request(_read)
    app.after_request(_say)


def _read() -> None:
    wanted.set(ANY)  # a thread keeps what its last request wanted
    wanted.set(Wanted(position=_position(), all=_is_consistent()))


def _position() -> int:
    text = request.headers.get(HEADER, "").strip()
    if not text:
        return 0
    if not re.fullmatch(POSITION, text):
        raise InvalidInput(f"{HEADER} must be as a write returned it, like 16/B374D848")
    return parse_position(text)


def _is_consistent() -> bool:
    text = request.args.get(CONSISTENT, "false").lower()
    if text not in (*YES, *NO):
        raise InvalidInput(f"{CONSISTENT} must be true or false")
    return text in YES


def _say(response: Response) -> Response:
    replica = database().replica
    if replica and request.method in WRITES and response.status_code < HTTPStatus.BAD_REQUEST:
        with suppress(Unavailable):  # what was stored must not look as if it had not been
            response.headers[HEADER] = format_position(replica.position())
    return response
