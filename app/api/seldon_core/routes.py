"""Seldon Core v1's metrics server: feedback as CloudEvents in, counters for Prometheus out.

Wire contract: seldon-core 1.18, components/alibi-detect-server, and what the executor's logger
sends. Unlike there, nothing is lost at a restart, and an event that comes twice counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cloudevents.core.base import BaseCloudEvent
from flask import Response, current_app
from flask_smorest import Blueprint
from werkzeug.exceptions import UnsupportedMediaType

from app.api.http.access import workspace_of_events
from app.api.http.observe import (
    count_events,
    count_ignored_events,
    in_short,
    tell_odd_events,
    tell_odd_rows,
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
REFUSED = "Truthline-Refused"
HEADERS = {
    REFUSED: {
        "description": "How many events, and rows of other events, can't be stored, if any",
        "schema": {"type": "string", "example": "events=1, rows=3"},
    }
}


@blp.route("/", methods=["POST"])
@blp.doc(requestBody=cloudevents.REQUEST_BODY)
@blp.response(
    200, description="The reply to a feedback, in the mode of the request", headers=HEADERS
)
@blp.alt_response(204, description="Events that nobody replies to", headers=HEADERS)
def post_event() -> Response:
    """Take a CloudEvent, or a batch of them, of which one that is odd costs no other

    In binary, structured or batched mode, of version 1.0 or 0.3. Feedback is counted and joined
    with its prediction; requests and responses of inferences become predictions; other types
    change nothing. An event that comes again, by its source and id, changes nothing either. Brokers
    send again what was refused, or drop it, but never mend it: of several events, or several rows
    of one, those that can be read are kept.
    """
    workspace_id = workspace_of_events(Role.INGEST)
    events = cloudevents.read_events()
    taken, odd = _take(workspace_id, events)
    replies = [_reply(event) for event, _ in taken if event.get_type() == FEEDBACK]
    response = cloudevents.respond(replies)
    rows = sum(len(brought.row_errors) for _, brought in taken if brought)
    parts = [f"{name}={n}" for name, n in (("events", len(odd)), ("rows", rows)) if n]
    if parts:
        response.headers[REFUSED] = ", ".join(parts)
    return response


def _servers() -> MetricsServers:
    servers: MetricsServers = current_app.extensions["metrics_servers"]
    return servers


def _batcher() -> EventBatcher:
    batcher: EventBatcher = current_app.extensions["event_batcher"]
    return batcher


Taken = tuple[BaseCloudEvent, Event | None]


def _take(
    workspace_id: int, events: Sequence[BaseCloudEvent | InvalidInput]
) -> tuple[list[Taken], list[RowError]]:
    """Store what the events bring; return those that were taken, and what is wrong with others.

    Raises:
        InvalidInput: none of them could be taken.
        UnsupportedMediaType: a single one is of another type.
    """
    translated, odd = _translated(events)
    brought = {at: event for at, (_, event) in translated.items() if event}
    odd += _stored(workspace_id, brought)
    for error in odd:
        translated.pop(error.index, None)
    odd = [_within(len(events), error) for error in sorted(odd, key=lambda error: error.index)]
    tell_odd_events(odd, of=len(events))
    if odd and not translated:
        raise InvalidInput(in_short(odd))
    tell_odd_rows([row for _, event in translated.values() if event for row in event.row_errors])
    count_ignored_events(sum(event is None for _, event in translated.values()))
    return list(translated.values()), odd


def _translated(
    events: Sequence[BaseCloudEvent | InvalidInput],
) -> tuple[dict[int, Taken], list[RowError]]:
    """Events with what they bring, by their places, and what is wrong with the others.

    Raises:
        TooLarge: they bring more rows than a request may, which is seen before there are many more.
    """
    found: dict[int, Taken] = {}
    odd, rows = [], 0
    for place, event in enumerate(events):
        try:
            if isinstance(event, InvalidInput):
                odd.append(RowError(place, "", str(event)))
            else:
                found[place] = event, translate(event, _servers())
        except InvalidInput as error:
            odd.append(RowError(place, "", str(error)))
        except UnsupportedMediaType as error:
            if len(events) == 1:
                raise
            odd.append(RowError(place, "", str(error.description).rstrip(".")))
        rows += _rows_of(found.get(place))
        if rows > (limit := settings().max_batch_rows):
            raise TooLarge(f"a request may bring at most {limit} rows; this one has more")
    return found, odd


def _rows_of(taken: Taken | None) -> int:
    event = taken[1] if taken else None
    return len(event.predictions) + len(event.feedback) if event else 0


def _within(size: int, error: RowError) -> RowError:
    """The error, with the place of its event where that is one of several."""
    where = f"event {error.index} of the batch:" if size > 1 else ""
    return RowError(error.index, where, f"{error.field} {error.reason}".strip())


def _stored(workspace_id: int, events: Mapping[int, Event]) -> list[RowError]:
    """Store events, by their places, and say what is wrong with those that can't be."""
    places = list(events)
    verdict, odd = store_valid_events(_batcher(), database(), workspace_id, list(events.values()))
    count_events(verdict)
    return [replace(error, index=places[error.index]) for error in odd]


def _reply(event: BaseCloudEvent) -> BaseCloudEvent:
    """The reply to a feedback, sent also to where the operator wants it.

    Raises:
        ReplyFailed: it could not be delivered there. The feedback is counted; when it is delivered
            again it is not counted again, only replied to.
    """
    server = server_of(event, _servers())
    reply = cloudevents.reply_to(event, server.event_type, server.event_source)
    if server.reply_url:
        send_reply(server.reply_url, cloudevents.as_message(reply))
    return reply


@blp.route("/v1/metrics")
@blp.response(200, content_type="text/plain")
def get_event_metrics() -> Response:
    """What feedback has counted, for Prometheus; OpenMetrics where Accept prefers it"""
    workspace_id = workspace_of_events(Role.READ)
    with database().reading() as conn:
        return expose(event_metrics(conn, workspace_id=workspace_id))


@blp.route("/protocol")
@blp.doc(security=[])
@blp.response(200, content_type="text/plain")
def get_protocol() -> Response:
    """The protocol, by its vendor's name"""
    return Response(PROTOCOL, mimetype="text/plain")
