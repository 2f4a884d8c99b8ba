"""All error responses: named in the domain, mapped to a status once, formatted by the dialect.

Native errors are problem+json (RFC 9457), and a page for a browser that asks for one. A dialect
registers the form that its clients expect for the paths below its prefix, or for those that match a
pattern; unknown paths and crashes there get that form too.
"""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from app.api.http.headers import complete
from app.errors import (
    Busy,
    ClientGone,
    DuplicateSubscription,
    Forbidden,
    IdempotencyKeyReused,
    InvalidGrant,
    InvalidInput,
    InvalidRows,
    InvalidSubscription,
    InvalidWindow,
    ListFull,
    NotKept,
    ReceiverInUse,
    ReplyFailed,
    TooLarge,
    TruthlineError,
    Unauthenticated,
    Unavailable,
    UnknownDeployment,
    UnknownExecution,
    UnknownModel,
    UnknownMonitor,
    UnknownReceiver,
    UnknownRequest,
    UnknownStepMetric,
    UnknownSubscription,
    UnsupportedGrant,
    WrongKind,
)
from app.logs import request_id
from app.subpath import Roots, at_root

_log = logging.getLogger(__name__)

# nginx's status, for the log and the metrics: no client receives it.
CLIENT_CLOSED_REQUEST = 499
BUSY_SECONDS = "2"

STATUS: Mapping[type[TruthlineError], int] = {
    InvalidInput: HTTPStatus.BAD_REQUEST,
    InvalidWindow: HTTPStatus.BAD_REQUEST,
    InvalidSubscription: HTTPStatus.BAD_REQUEST,
    WrongKind: HTTPStatus.BAD_REQUEST,
    InvalidRows: HTTPStatus.UNPROCESSABLE_ENTITY,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotKept: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ListFull: HTTPStatus.CONFLICT,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    InvalidGrant: HTTPStatus.BAD_REQUEST,
    UnsupportedGrant: HTTPStatus.BAD_REQUEST,
    UnknownModel: HTTPStatus.NOT_FOUND,
    UnknownDeployment: HTTPStatus.NOT_FOUND,
    UnknownSubscription: HTTPStatus.NOT_FOUND,
    UnknownExecution: HTTPStatus.NOT_FOUND,
    UnknownStepMetric: HTTPStatus.NOT_FOUND,
    UnknownRequest: HTTPStatus.NOT_FOUND,
    UnknownMonitor: HTTPStatus.NOT_FOUND,
    UnknownReceiver: HTTPStatus.NOT_FOUND,
    ReceiverInUse: HTTPStatus.CONFLICT,
    DuplicateSubscription: HTTPStatus.CONFLICT,
    ReplyFailed: HTTPStatus.INTERNAL_SERVER_ERROR,  # as the vendor's server
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Busy: HTTPStatus.TOO_MANY_REQUESTS,
    ClientGone: CLIENT_CLOSED_REQUEST,
}

HEADERS: Mapping[type[TruthlineError], Mapping[str, str]] = {
    Unauthenticated: {"WWW-Authenticate": "Bearer"},
    Busy: {"Retry-After": BUSY_SECONDS},
}

DETAILS = {
    404: "There is nothing at this path; /docs lists all endpoints.",
    405: "This path does not support this method.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error before a dialect formats it."""

    status: int
    kind: str  # the name of the error's class, or "" for plain HTTP errors
    title: str
    detail: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """A form of errors: what builds the response, and the name and JSON schema of its body."""

    make: Callable[[Problem], Response]
    name: str
    schema: Mapping[str, Any]


_DIALECTS: dict[tuple[re.Pattern[str], str | None], ErrorForm] = {}


def use_error_form(prefix: str, form: ErrorForm) -> None:
    """Use a dialect's form for errors below a path prefix."""
    use_error_form_where(re.escape(prefix) + ".*", form)


def use_error_form_where(pattern: str, form: ErrorForm, *, method: str | None = None) -> None:
    """Use a dialect's form for errors if the whole path, with its query, matches.

    For all methods, or for one: a path may belong to one dialect for reading and to another for
    writing.
    """
    _DIALECTS[re.compile(pattern, re.DOTALL), method] = form


def _form_of(target: str, method: str | None = None) -> ErrorForm:
    return next(
        (
            form
            for (known, of), form in _DIALECTS.items()
            if of in (None, method) and known.fullmatch(target)
        ),
        NATIVE,
    )


def error_schema_name(path: str) -> str:
    """Name of the schema of errors at a path."""
    return _form_of(path).name


def error_schemas() -> dict[str, Any]:
    """JSON schemas of all error forms, by name."""
    return {form.name: form.schema for form in (NATIVE, *_DIALECTS.values())}


def problem_json(problem: Problem) -> Response:
    """The native form."""
    type_ = at_root(f"/problems#{problem.kind}") if problem.kind else "about:blank"
    body = {"type": type_, "title": problem.title, "status": problem.status}
    optional = {"detail": problem.detail, "errors": problem.errors}
    body |= {name: value for name, value in optional.items() if value}
    return Response(json.dumps(body), problem.status, mimetype="application/problem+json")


NATIVE_ERROR = "Problem"
_ROW_ERROR_SCHEMA = {
    "type": "object",
    "required": ["field", "reason"],
    "properties": {
        "index": {"type": "integer", "description": "Position of the row in its batch, from 0"},
        "field": {"type": "string", "description": "Empty if the whole row is invalid"},
        "reason": {"type": "string"},
    },
}
NATIVE = ErrorForm(
    problem_json,
    NATIVE_ERROR,
    {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": _ROW_ERROR_SCHEMA},
        },
    },
)


ErrorPage = Callable[[int, str, str], Response]
_JSON, _HTML = "application/problem+json", "text/html"


def install(app: Flask, error_page: ErrorPage) -> None:
    """Handle errors that views raise, that Flask raises, and crashes.

    `error_page` makes a page from a status, a title and a detail.
    """
    app.extensions["error_page"] = error_page
    app.register_error_handler(TruthlineError, on_domain_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_crash)
    app.extensions["refuse"] = partial(refuse, app)


def on_domain_error(error: TruthlineError) -> Response:
    """Respond to an error of ours."""
    kind = type(error)
    if error.reason:
        _log.info("%s: %s", kind.__name__, error.reason)
    rows = [asdict(row) for row in error.errors] if isinstance(error, InvalidRows) else []
    title = (kind.__doc__ or "").strip().rstrip(".")
    headers = HEADERS.get(kind, {})
    return _respond(Problem(STATUS[kind], kind.__name__, title, str(error), rows, headers))


def on_http_error(error: HTTPException) -> Response:
    """Respond to errors of Flask: unknown URLs, wrong methods, failed validation."""
    if error.response is not None and error.code is None:
        return error.response  # type: ignore[return-value] # a redirect, for example
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    data = getattr(error, "data", None) or {}
    errors = _flatten(data.get("messages", {}))
    messages = "; ".join(f"{row['field']} {row['reason']}".strip() for row in errors)
    detail = messages or DETAILS.get(error.code or 0) or error.description or ""
    return _respond(Problem(error.code or 500, "", error.name, detail, errors, headers))


def on_crash(error: Exception) -> Response:
    """Respond without revealing what went wrong inside; the log contains it."""
    _log.error("request failed", exc_info=error)
    detail = "Something went wrong on the server; its log has the cause, under this request's id."
    return _respond(Problem(500, "", "Internal Server Error", detail))


def refuse(app: Flask, method: str, target: str, status: int, detail: str) -> Response:
    """The response to a request that the server rejects before it reaches the application."""
    parts = urlsplit(target if target.startswith("/") else f"/{target}")
    # a proxy's header may be what can't be read, so only the public URL counts
    _, path = Roots(app.extensions["settings"]).split(unquote(parts.path))
    url = path + (f"?{parts.query}" if parts.query else "")
    request_id.set(uuid.uuid4().hex)
    with app.app_context():
        problem = Problem(status, "", HTTPStatus(status).phrase, detail)
        response = complete(_form_of(url, method).make(problem))
    response.headers["X-Request-ID"] = request_id.get()
    return response


def describe_kinds() -> Iterator[tuple[str, str, int]]:
    """Name, meaning and status of every error of ours."""
    for kind, status in STATUS.items():
        yield kind.__name__, (kind.__doc__ or "").strip(), status


def _respond(problem: Problem) -> Response:
    form = _form_of(request.full_path.removesuffix("?"), request.method)
    if form is NATIVE and request.accept_mimetypes.best_match((_JSON, _HTML)) == _HTML:
        error_page: ErrorPage = current_app.extensions["error_page"]
        response = error_page(problem.status, problem.title, problem.detail)
    else:
        response = form.make(problem)
    if form is NATIVE:
        response.vary.add("Accept")
    response.headers.update(problem.headers)
    return response


def _flatten(messages: Any, path: str = "") -> list[dict[str, Any]]:
    """Turn marshmallow's nested messages into rows of field and reason."""
    if isinstance(messages, Mapping):
        parts = [
            _flatten(inner, path if name in ("query", "json", "_schema") else _join(path, name))
            for name, inner in messages.items()
        ]
        return [row for part in parts for row in part]
    return [{"field": path, "reason": _sentence(reason)} for reason in messages]


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _sentence(reason: Any) -> str:
    text = "is required" if reason == "Missing data for required field." else str(reason)
    return (text[:1].lower() + text[1:]).rstrip(".")
