"""CloudEvents over HTTP: binary, structured and batched mode, of version 1.0 and 0.3.

The `cloudevents` library parses and serializes them; it doesn't support batches, and invents what a
sender omitted, so required attributes are checked here.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary, to_binary
from cloudevents.core.exceptions import BaseCloudEventException, CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from app.api.http.body import JSON, read_body
from app.errors import InvalidInput, TooLarge
from app.ingest.fields import text_problem
from app.ingest.strict_json import cut_out, decode, elements
from app.ingest.validation_errors import UNREADABLE, rejection_of
from app.running import settings

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
PREFIX = "ce-"
NULL = b"null"
REQUIRED = ("specversion", "id", "source", "type")
VERSIONS = ("1.0", "0.3")
MAX_ATTRIBUTES = 64 * 1024  # bytes of an event in JSON without its data
# The attributes of the specification; all others are extensions.
CONTEXT = {*REQUIRED, "time", "subject", "datacontenttype", "dataschema"}
CONTEXT |= {"datacontentencoding", "schemaurl"}
_EVENT_SCHEMA = {"type": "object", "required": list(REQUIRED)}
REQUEST_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": {"description": "The data; attributes are headers, ce-…"}},
        STRUCTURED: {"schema": _EVENT_SCHEMA},
        BATCHED: {"schema": {"type": "array", "items": _EVENT_SCHEMA}},
    },
}
IN_BINARY = (
    "values in binary form do not come with an event; ask the server for JSON (Triton sends it if"
    " binary_data is false)"
)
# In the Open Inference Protocol, the values of such a tensor follow the JSON.
_BINARY_MARK = b'"binary_data_size"'
Source = TypeVar("Source")
Data = TypeVar("Data", bound=msgspec.Struct)


class _UnparsedData(JSONFormat):
    """Keeps the data of binary mode unparsed: it is parsed later, as its type requires."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> Any:  # noqa: ARG002 - as inherited
        return body


_FORMAT = _UnparsedData()


def read_events() -> Sequence[BaseCloudEvent | InvalidInput]:
    """The events of the current request; an invalid one is replaced by its error.

    Raises:
        InvalidInput: it contains none.
        TooLarge: it contains more than a batch may.
    """
    if request.mimetype == BATCHED:
        return _batch(read_body(settings().max_body_bytes))
    if request.mimetype == STRUCTURED:
        return [_event_or_error(_structured, read_body(settings().max_body_bytes))]
    headers = {n.lower(): v for n, v in request.headers if n.lower().startswith(PREFIX)}
    if not headers:
        raise InvalidInput(
            "expected a CloudEvent: headers ce-specversion, ce-id, ce-source and ce-type, or"
            f" Content-Type {STRUCTURED} or {BATCHED}"
        )
    return [_event_or_error(_binary, headers)]


def data_of(event: BaseCloudEvent, kind: type[Data]) -> Data:
    """Parse the data of an event as this type.

    Raises:
        InvalidInput: it isn't of this type.
        UnsupportedMediaType: it isn't JSON.
    """
    if not JSONFormat.JSON_CONTENT_TYPE_PATTERN.match(event.get_datacontenttype() or JSON):
        raise UnsupportedMediaType(f"The data must be {JSON}.")
    data: Any = event.get_data()
    try:
        return decode(data, kind)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        if _BINARY_MARK in data:
            reason = f"{reason}: {IN_BINARY}"
        raise InvalidInput(f"{field or 'the data'} {reason}") from None


def extensions(event: BaseCloudEvent) -> dict[str, str]:
    """The extension attributes of an event, as text."""
    attributes = event.get_attributes()
    return {name: str(value) for name, value in attributes.items() if name not in CONTEXT}


def reply_to(event: BaseCloudEvent, type_: str, source: str) -> BaseCloudEvent:
    """An empty event of this type and source in reply to another: with its id and extensions."""
    attributes = {"specversion": event.get_specversion(), "id": event.get_id()}
    attributes |= {"type": type_, "source": source, "datacontenttype": JSON}
    return type(event)({**extensions(event), **attributes}, {})


def as_message(event: BaseCloudEvent) -> HTTPMessage:
    """An event in binary mode: headers and a body."""
    return to_binary(event, _FORMAT)


def respond(events: Sequence[BaseCloudEvent]) -> Response:
    """Respond with events, in the mode of the request, or with nothing if there are none."""
    if not events:
        return Response(status=204)
    if request.mimetype == BATCHED:
        body = b"[" + b",".join(_FORMAT.write(event) for event in events) + b"]"
        return Response(body, content_type=BATCHED)
    message = as_message(events[0])
    return Response(message.body, headers=message.headers)


def _binary(headers: Mapping[str, str]) -> BaseCloudEvent:
    body = read_body(settings().max_body_bytes)
    if request.content_type:
        headers = {**headers, "content-type": request.content_type}
    _require({name.removeprefix(PREFIX): value for name, value in headers.items()})
    message = HTTPMessage(dict(headers), body)
    return _validated(lambda: from_binary(message, _FORMAT), timed="ce-time" in headers)


def _structured(text: bytes) -> BaseCloudEvent:
    """An event in JSON; its data stays unparsed."""
    try:
        data, rest = cut_out(text, "data", NULL)
        base64_data, rest = cut_out(rest, "data_base64", NULL)
        if len(rest) > MAX_ATTRIBUTES:
            raise TooLarge(f"attributes of an event may have at most {MAX_ATTRIBUTES} bytes")
        attributes = decode(rest, dict[str, Any])
        content, base64_text = _data_or_base64(_as_bytes(data), _as_bytes(base64_data), attributes)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"the event{field and ': '}{field} {reason}") from None
    _require(attributes)

    def read() -> BaseCloudEvent:
        event = _FORMAT.read(None, rest)
        decoded = content if base64_text is None else base64.b64decode(base64_text)
        return type(event)(event.get_attributes(), decoded)

    return _validated(read, timed="time" in attributes)


def _as_bytes(value: msgspec.Raw | None) -> bytes:
    return NULL if value is None else bytes(value)


def _data_or_base64(
    data: bytes, base64_data: bytes, attributes: Mapping[str, Any]
) -> tuple[bytes, str | None]:
    """The data of an event in JSON, or as base64 text: version 0.3 has an attribute for that.

    Raises:
        one of UNREADABLE: what should be base64 is no text.
    """
    if data == NULL:
        return NULL, None if base64_data == NULL else decode(base64_data, str)
    is_old = attributes.get("specversion") == "0.3"
    if is_old and str(attributes.get("datacontentencoding")).lower() == "base64":
        return NULL, decode(data, str)
    return data, None


def _batch(body: bytes) -> Sequence[BaseCloudEvent | InvalidInput]:
    limit = settings().max_batch_rows
    rule = f"a batch may contain at most {limit} events"
    try:
        texts = elements(body, limit, body=body, rule=rule)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"the batch{field and ': '}{field} {reason}") from None
    return [_event_or_error(_structured, bytes(text)) for text in texts]


def _event_or_error(
    read: Callable[[Source], BaseCloudEvent], source: Source
) -> BaseCloudEvent | InvalidInput:
    try:
        return read(source)
    except InvalidInput as error:
        return error.with_traceback(None)


def _require(attributes: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED if not attributes.get(name)]
    if missing:
        raise InvalidInput(f"the event has no {', '.join(missing)}")
    if attributes["specversion"] not in VERSIONS:
        raise InvalidInput(f"specversion must be {' or '.join(VERSIONS)}")


def _validated(read: Callable[[], BaseCloudEvent], *, timed: bool) -> BaseCloudEvent:
    """Run the library's parser, which raises various exceptions for malformed attributes.

    It gives an event that isn't `timed` the current time, which would look like the sender's.
    """
    try:
        event = read()
    except CloudEventValidationError as error:
        reasons = [str(reason) for messages in error.errors.values() for reason in messages]
        raise InvalidInput(f"the event is not valid: {'; '.join(reasons)}") from None
    except (BaseCloudEventException, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidInput(f"the event has a malformed attribute: {error}") from None
    texts = [value for value in event.get_attributes().values() if isinstance(value, str)]
    if problem := text_problem(*texts):
        raise InvalidInput(f"an attribute {problem}")
    if not timed:
        event.get_attributes().pop("time", None)
    return event
