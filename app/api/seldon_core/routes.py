"""Seldon Core v1's metrics server: feedback as CloudEvents in, counters for Prometheus out.

Wire contract: seldon-core 1.18, components/alibi-detect-server, and what the executor's logger
sends. Unlike the vendor's server, it loses nothing on a restart, and counts a repeated event once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cloudevents.core.base import BaseCloudEvent
from flask import Response, current_app
from werkzeug.exceptions import UnsupportedMediaType

from app.api.http.access import workspace_of_events
from app.api.http.answers import Blueprint
from app.api.http.observe import (
    count_events,
    count_ignored_events,
    report_invalid_events,
    report_invalid_rows,
    summary,
)
from app.api.seldon_core import cloudevents
from app.api.seldon_core.events import FEEDBACK, server_of, translate
from app.api.seldon_core.exposition import expose
from app.api.seldon_core.replies import send_reply
from app.api.seldon_core.servers import MetricsServers
from app.auth.keys import Role
from app.errors import InvalidInput, RowError, TooLarge
from app.ingest.events.batching import EventBatcher
from app.ingest.events.ingest import Event
from app.ingest.events.partial_batches import store_valid_events
from app.query.event_metrics import event_metrics
from app.running import database, settings

blp = Blueprint("seldon_v1", __name__, description="Seldon Core v1's metrics server")
PROTOCOL = "seldonfeedback.http"
REJECTED = "Truthline-Refused"
HEADERS = {
    REJECTED: {
        "description": "Number of events, and of rows of other events, that can't be stored",
        "schema": {"type": "string", "example": "events=1, rows=3"},
    }
}


@blp.route("/", methods=["POST"])
@blp.doc(requestBody=cloudevents.REQUEST_BODY)
@blp.response(
    200, description="The reply to a feedback, in the mode of the request", headers=HEADERS
)
@blp.alt_response(204, description="Events that get no reply", headers=HEADERS)
def post_event() -> Response:
    """Store a CloudEvent, or the valid ones of a batch

    In binary, structured or batched mode, of version 1.0 or 0.3. Feedback is counted and joined
    with its prediction; requests and responses of inferences become predictions; other types are
    ignored, and so is an event with the source and id of an earlier one. Brokers resend what was
    rejected, or drop it, but never correct it: so of several events, or several rows of one, the
    valid ones are stored.
    """
    workspace_id = workspace_of_events(Role.INGEST)
    events = cloudevents.read_events()
    stored, event_errors = _store(workspace_id, events)
    replies = [_reply(event) for event, _ in stored if event.get_type() == FEEDBACK]
    response = cloudevents.respond(replies)
    rows = sum(len(content.row_errors) for _, content in stored if content)
    parts = [f"{name}={n}" for name, n in (("events", len(event_errors)), ("rows", rows)) if n]
    if parts:
        response.headers[REJECTED] = ", ".join(parts)
    return response


def _servers() -> MetricsServers:
    servers: MetricsServers = current_app.extensions["metrics_servers"]
    return servers


def _batcher() -> EventBatcher:
    batcher: EventBatcher = current_app.extensions["event_batcher"]
    return batcher


TranslatedEvent = tuple[BaseCloudEvent, Event | None]


def _store(
    workspace_id: int, events: Sequence[BaseCloudEvent | InvalidInput]
) -> tuple[list[TranslatedEvent], list[RowError]]:
    """Store the content of the events; return the stored ones, and the errors of the others.

    Raises:
        InvalidInput: none of them could be stored.
        UnsupportedMediaType: a single event has a different media type.
    """
    translated, event_errors = _translate(events)
    content = {at: event for at, (_, event) in translated.items() if event}
    event_errors += _store_valid(workspace_id, content)
    for error in event_errors:
        translated.pop(error.index, None)
    event_errors = [
        _locate(len(events), error) for error in sorted(event_errors, key=lambda error: error.index)
    ]
    report_invalid_events(event_errors, of=len(events))
    if event_errors and not translated:
        raise InvalidInput(summary(event_errors))
    report_invalid_rows(
        [row for _, event in translated.values() if event for row in event.row_errors]
    )
    count_ignored_events(sum(event is None for _, event in translated.values()))
    return list(translated.values()), event_errors


def _translate(
    events: Sequence[BaseCloudEvent | InvalidInput],
) -> tuple[dict[int, TranslatedEvent], list[RowError]]:
    """Events with their content, by index, and the errors of the others.

    Raises:
        TooLarge: they contain more rows than a request may, which is checked after each event.
    """
    translated_events: dict[int, TranslatedEvent] = {}
    event_errors, rows = [], 0
    for index, event in enumerate(events):
        try:
            if isinstance(event, InvalidInput):
                event_errors.append(RowError(index, "", str(event)))
            else:
                translated_events[index] = event, translate(event, _servers())
        except InvalidInput as error:
            event_errors.append(RowError(index, "", str(error)))
        except UnsupportedMediaType as error:
            if len(events) == 1:
                raise
            event_errors.append(RowError(index, "", str(error.description).rstrip(".")))
        rows += _rows_of(translated_events.get(index))
        if rows > (limit := settings().max_batch_rows):
            raise TooLarge(f"a request may contain at most {limit} rows; this one has more")
    return translated_events, event_errors


def _rows_of(translated: TranslatedEvent | None) -> int:
    event = translated[1] if translated else None
    return len(event.predictions) + len(event.feedback) if event else 0


def _locate(size: int, error: RowError) -> RowError:
    """The error, with the index of its event if that is one of several."""
    where = f"event {error.index} of the batch:" if size > 1 else ""
    return RowError(error.index, where, f"{error.field} {error.reason}".strip())


def _store_valid(workspace_id: int, events: Mapping[int, Event]) -> list[RowError]:
    """Store events, by their indices, and return the errors of those that can't be stored."""
    places = list(events)
    verdict, event_errors = store_valid_events(
        _batcher(), database(), workspace_id, list(events.values())
    )
    count_events(verdict)
    return [replace(error, index=places[error.index]) for error in event_errors]


def _reply(event: BaseCloudEvent) -> BaseCloudEvent:
    """The reply to a feedback, which is also sent to the configured address.

    Raises:
        ReplyFailed: it could not be delivered there. The feedback is counted; when it is delivered
            again, it is not counted again, only replied to.
    """
    server = server_of(event, _servers())
    reply = cloudevents.reply_to(event, server.event_type, server.event_source)
    if server.reply_url:
        send_reply(server.reply_url, cloudevents.as_message(reply))
    return reply


@blp.route("/v1/metrics")
@blp.response(200, content_type="text/plain")
def get_event_metrics() -> Response:
    """The counters of feedback, for Prometheus; OpenMetrics if Accept prefers it"""
    workspace_id = workspace_of_events(Role.READ)
    with database().asking() as conn:
        return expose(event_metrics(conn, workspace_id=workspace_id))


@blp.route("/protocol")
@blp.doc(security=[])
@blp.response(200, content_type="text/plain")
def get_protocol() -> Response:
    """The protocol, by its vendor's name"""
    return Response(PROTOCOL, mimetype="text/plain")
