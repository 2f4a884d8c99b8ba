"""Seldon Core v1's metrics server: feedback as CloudEvents in, counters for Prometheus out.

Wire contract: seldon-core 1.18, components/alibi-detect-server, and what the executor's logger
sends. Unlike there, nothing is lost at a restart, and an event that comes twice counts once.
"""

from flask import Response, current_app
from flask_smorest import Blueprint

from app.api import cloudevents
from app.api.access import database, needs, workspace_for
from app.api.exposition import expose
from app.api.metrics_servers import MetricsServers
from app.api.seldon_events import FEEDBACK, feedback_of
from app.auth.keys import Role
from app.errors import InvalidInput, InvalidRows
from app.ingest.events import ingest_events
from app.query.event_metrics import event_metrics

blp = Blueprint("seldon_v1", __name__, description="Seldon Core v1's metrics server")
PROTOCOL = "seldonfeedback.http"


@blp.route("/", methods=["POST"])
@blp.response(200)
def post_event() -> Response:
    """Take an event, or a batch of them

    Binary, structured and batched CloudEvents of version 1.0 or 0.3.
    """
    workspace_id = workspace_for(Role.INGEST)
    events = cloudevents.read_events()
    servers: MetricsServers = current_app.extensions["metrics_servers"]
    told = [feedback_of(e, servers) for e in events if e.get_type() == FEEDBACK]
    try:
        ingest_events(database(), workspace_id, [event for event, _ in told])
    except InvalidRows as error:
        rows = "; ".join(f"{row.field} {row.reason}".strip() for row in error.errors)
        raise InvalidInput(rows) from None
    return cloudevents.respond(
        [
            cloudevents.reply_to(event, server.event_type, server.event_source)
            for event, (_, server) in zip(events, told, strict=True)
        ]
    )


@blp.route("/v1/metrics")
@needs(Role.READ)
@blp.response(200, content_type="text/plain")
def get_metrics(workspace_id: int) -> Response:
    """What feedback has counted, for Prometheus; OpenMetrics where it is asked for"""
    with database().reading() as conn:
        return expose(event_metrics(conn, workspace_id=workspace_id))


@blp.route("/protocol")
@blp.doc(security=[])
@blp.response(200, content_type="text/plain")
def get_protocol() -> Response:
    """What the vendor's server says it speaks"""
    return Response(PROTOCOL, mimetype="text/plain")
