"""Convert an HTTP response to JSON, or to one of our errors."""

import email.utils
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import httpx

from truthline.errors import InvalidRows, NotTruthline, Refused, RowProblem, TruthlineError, kind_of

_NO_CONTENT = 204
_UNPROCESSABLE = 422
# Proxies return these too, in HTML, with the same meaning.
_SAID_BY_PROXIES = (413, 429, *range(500, 600))


def read(answer: httpx.Response) -> Any:
    """Return the JSON of a response, None for a response without content.

    Raises:
        Refused: the server rejected the request; the subclass states why.
        NotTruthline: the response is not from a Truthline server.
    """
    if answer.status_code == _NO_CONTENT:
        return None
    if not answer.is_success:
        raise error_of(answer)
    try:
        return answer.json()
    except ValueError:
        raise NotTruthline(f"{_told(answer)} without JSON; is this the server's URL?") from None


def error_of(answer: httpx.Response) -> TruthlineError:
    """Return the error that an unsuccessful response stands for."""
    said = _json_object(answer)
    if said is None and answer.status_code not in _SAID_BY_PROXIES:
        return NotTruthline(f"{_told(answer)} without JSON; is this the server's URL?")
    refused = _refused(answer, said or {})
    problems = _row_problems((said or {}).get("errors"))
    if answer.status_code == _UNPROCESSABLE and problems:
        return InvalidRows(refused, problems)
    return refused


def seconds_asked(answer: httpx.Response) -> float | None:
    """Return `Retry-After` in seconds, from a number or a date; None if absent or invalid."""
    said = answer.headers.get("Retry-After", "").strip()
    if not said:
        return None
    try:
        seconds = float(said) if said.isdecimal() else _until(said)
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _until(date: str) -> float:
    then = email.utils.parsedate_to_datetime(date)
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    return (then - datetime.now(timezone.utc)).total_seconds()


def _refused(answer: httpx.Response, said: Mapping[str, Any]) -> Refused:
    """Read an error in any format of a Truthline server: RFC 9457, Craft AI's, grpc-gateway's."""
    words = ("detail", "message", "error_description", "title", "error")
    detail = next((str(said[word]) for word in words if said.get(word)), "")
    kind = str(said.get("type", "")).partition("#")[2] or str(said.get("name") or "")
    return kind_of(answer.status_code)(
        detail or _told(answer),
        status=answer.status_code,
        kind=kind,
        request_id=answer.headers.get("X-Request-ID", ""),
        retry_after=seconds_asked(answer),
    )


def _row_problems(errors: Any) -> list[RowProblem]:
    """Return problems of rows; problems of parameters have no row index."""
    return [
        RowProblem(error["index"], str(error.get("field", "")), str(error.get("reason", "")))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict) and isinstance(error.get("index"), int)
    ]


def _json_object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        said = answer.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _told(answer: httpx.Response) -> str:
    return f"{answer.request.url} returned {answer.status_code} {answer.reason_phrase}".rstrip()
