"""CloudEvents over HTTP: binary, structured and batched mode, of version 1.0 and 0.3.

The `cloudevents` library reads and writes them; it knows no batches, and makes up what a sender
forgot, so that is asked for here.
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
MAX_ATTRIBUTES = 64 * 1024  # bytes, of an event in JSON without its data
# Attributes of an event itself; all others are extensions.
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
Source = TypeVar("Source")
Data = TypeVar("Data", bound=msgspec.Struct)


class _Untouched(JSONFormat):
    """Leaves the data of binary mode as it came: whoever knows its type decodes it."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> Any:  # noqa: ARG002 - as inherited
        return body


_FORMAT = _Untouched()


def read_events() -> Sequence[BaseCloudEvent | InvalidInput]:
    """The events of the current request; in place of one that isn't valid, why.

    Raises:
        InvalidInput: it holds none.
        TooLarge: more of them than a batch may have.
    """
    if request.mimetype == BATCHED:
        return _batch(read_body(settings().max_body_bytes))
    if request.mimetype == STRUCTURED:
        return [_or_why_not(_structured, read_body(settings().max_body_bytes))]
    headers = {n.lower(): v for n, v in request.headers if n.lower().startswith(PREFIX)}
    if not headers:
        raise InvalidInput(
            "expected a CloudEvent: headers ce-specversion, ce-id, ce-source and ce-type, or"
            f" Content-Type {STRUCTURED} or {BATCHED}"
        )
    return [_or_why_not(_binary, headers)]


def data_of(event: BaseCloudEvent, kind: type[Data]) -> Data:
    """The data of an event as a message of this kind.

    Raises:
        InvalidInput: it isn't one.
        UnsupportedMediaType: it isn't JSON.
    """
    if not JSONFormat.JSON_CONTENT_TYPE_PATTERN.match(event.get_datacontenttype() or JSON):
        raise UnsupportedMediaType(f"The data must be {JSON}.")
    data: Any = event.get_data()
    try:
        return decode(data, kind)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"{field or 'the data'} {reason}") from None


def extensions(event: BaseCloudEvent) -> dict[str, str]:
    """The extension attributes of an event, as text."""
    attributes = event.get_attributes()
    return {name: str(value) for name, value in attributes.items() if name not in CONTEXT}


def reply_to(event: BaseCloudEvent, type_: str, source: str) -> BaseCloudEvent:
    """An event of this type and source that answers another: its id, its extensions, no content."""
    attributes = {"specversion": event.get_specversion(), "id": event.get_id()}
    attributes |= {"type": type_, "source": source, "datacontenttype": JSON}
    return type(event)({**extensions(event), **attributes}, {})


def as_message(event: BaseCloudEvent) -> HTTPMessage:
    """An event in binary mode: headers and a body."""
    return to_binary(event, _FORMAT)


def respond(events: Sequence[BaseCloudEvent]) -> Response:
    """Answer with events, in the mode the request came in; without any, with nothing."""
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
    return _checked(lambda: from_binary(message, _FORMAT), timed="ce-time" in headers)


def _structured(text: bytes) -> BaseCloudEvent:
    """An event in JSON; its data stays as it came, whatever it is."""
    try:
        data, rest = cut_out(text, "data", NULL)
        packed, rest = cut_out(rest, "data_base64", NULL)
        if len(rest) > MAX_ATTRIBUTES:
            raise TooLarge(f"attributes of an event may have at most {MAX_ATTRIBUTES} bytes")
        attributes = decode(rest, dict[str, Any])
        content, packed_text = _data_and_packed(_as_bytes(data), _as_bytes(packed), attributes)
    except UNREADABLE as error:
        field, reason = rejection_of(error)
        raise InvalidInput(f"the event{field and ': '}{field} {reason}") from None
    _require(attributes)

    def read() -> BaseCloudEvent:
        event = _FORMAT.read(None, rest)
        unpacked = content if packed_text is None else base64.b64decode(packed_text)
        return type(event)(event.get_attributes(), unpacked)

    return _checked(read, timed="time" in attributes)


def _as_bytes(value: msgspec.Raw | None) -> bytes:
    return NULL if value is None else bytes(value)


def _data_and_packed(
    data: bytes, packed: bytes, attributes: Mapping[str, Any]
) -> tuple[bytes, str | None]:
    """The data of an event in JSON, or as a text in base64: version 0.3 has an attribute for it.

    Raises:
        one of UNREADABLE: what should be packed is no text.
    """
    if data == NULL:
        return NULL, None if packed == NULL else decode(packed, str)
    old = attributes.get("specversion") == "0.3"
    if old and str(attributes.get("datacontentencoding")).lower() == "base64":
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
    return [_or_why_not(_structured, bytes(text)) for text in texts]


def _or_why_not(
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


def _checked(read: Callable[[], BaseCloudEvent], *, timed: bool) -> BaseCloudEvent:
    """What the library reads; it raises many things at attributes of a wrong form.

    It gives an event that isn't `timed` the time of now, which would pass for the sender's.
    """
    try:
        event = read()
    except CloudEventValidationError as error:
        reasons = [str(reason) for found in error.errors.values() for reason in found]
        raise InvalidInput(f"the event is not valid: {'; '.join(reasons)}") from None
    except (BaseCloudEventException, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidInput(f"the event has an attribute of a wrong form: {error}") from None
    texts = [value for value in event.get_attributes().values() if isinstance(value, str)]
    if problem := text_problem(*texts):
        raise InvalidInput(f"an attribute {problem}")
    if not timed:
        event.get_attributes().pop("time", None)
    return event
