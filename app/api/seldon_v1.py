"""Seldon Core v1's metrics server: feedback as CloudEvents in, counters for Prometheus out.

Wire contract: seldon-core 1.18, components/alibi-detect-server, and what the executor's logger
sends. Unlike there, nothing is lost at a restart, and an event that comes twice counts once.
"""

from collections.abc import Sequence

from cloudevents.core.base import BaseCloudEvent
from flask import Response, current_app
from flask_smorest import Blueprint

from app.api import cloudevents
from app.api.access import database, settings, workspace_of_events
from app.api.exposition import expose
from app.api.metrics_servers import MetricsServers
from app.api.observe import count_events, count_ignored_events
from app.api.replies import send_reply
from app.api.seldon_events import FEEDBACK, server_of, translate
from app.auth.keys import Role
from app.errors import InvalidInput, InvalidRows, TooLarge
from app.ingest.event_intake import EventIntake
from app.ingest.events import Event
from app.query.event_metrics import event_metrics

blp = Blueprint("seldon_v1", __name__, description="Seldon Core v1's metrics server")
PROTOCOL = "seldonfeedback.http"


@blp.route("/", methods=["POST"])
@blp.doc(requestBody=cloudevents.REQUEST_BODY)
@blp.response(200, description="The reply to a feedback, in the mode of the request")
@blp.alt_response(204, description="Events that nobody replies to")
def post_event() -> Response:
    """Take a CloudEvent, or a batch of them, stored whole or not at all

    In binary, structured or batched mode, of version 1.0 or 0.3. Feedback is counted and joined
    with its prediction; requests and responses of inferences become predictions; other types
    change nothing. An event that comes again, by its source and id, changes nothing either.
    """
    workspace_id = workspace_of_events(Role.INGEST)
    events = cloudevents.read_events()
    brought = _translated(events)
    _ingest(workspace_id, brought)
    count_ignored_events(len(events) - len(brought))
    return cloudevents.respond([_reply(e) for e in events if e.get_type() == FEEDBACK])


def _servers() -> MetricsServers:
    servers: MetricsServers = current_app.extensions["metrics_servers"]
    return servers


def _intake() -> EventIntake:
    intake: EventIntake = current_app.extensions["event_intake"]
    return intake


def _translated(events: Sequence[BaseCloudEvent]) -> list[Event]:
    """What the events bring that say anything here."""
    found, rows = [], 0
    for place, event in enumerate(events):
        try:
            found.append(translate(event, _servers()))
        except InvalidInput as error:
            where = f"event {place} of the batch: " if len(events) > 1 else ""
            raise InvalidInput(f"{where}{error}") from None
        rows += len(found[-1].predictions) + len(found[-1].feedback) if found[-1] else 0
        if rows > (limit := settings().max_batch_rows):  # before there are many more
            raise TooLarge(f"a request may bring at most {limit} rows; this one has more")
    return [event for event in found if event]


def _ingest(workspace_id: int, events: Sequence[Event]) -> None:
    try:
        count_events(_intake().take(workspace_id, events))
    except InvalidRows as error:
        reasons = "; ".join(f"{row.field} {row.reason}".strip() for row in error.errors)
        raise InvalidInput(reasons) from None


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
