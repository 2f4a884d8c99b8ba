"""Native: monitors, and the history of their verdicts."""

from typing import Any

import msgspec
from flask import Response
from marshmallow import RAISE, Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.body import read_message
from app.api.http.numbers import Number, UtcTime
from app.api.http.parameters import Instant, StrictArgs, check_name
from app.api.http.reference import takes_body
from app.auth.keys import Role
from app.errors import InvalidInput
from app.monitors.definition import MonitorDefinition
from app.monitors.history import History, history_of
from app.monitors.stored_monitors import (
    Monitor,
    delete_monitor,
    find_monitor,
    monitors_of,
    put_monitor,
)
from app.monitors.testing import Tested, send_test
from app.running import database, settings

PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
STATE = {"description": "ok, no data, undecided, pending, warning or critical"}
PART = {"description": "Empty, or the group, like country:FR"}
LEARNED = {"description": "Truths (or predictions) received in between, which made the difference"}

blp = Blueprint("monitors", __name__, url_prefix="/api/v1/monitors", description="Being told")


class HistoryArgs(StrictArgs):
    """As of when, and which part of the list."""

    as_of = Instant(
        data_key="asOf",
        metadata={"format": "date-time", "description": "As it was known at this moment"},
    )
    before = Instant(metadata={"format": "date-time", "description": "Windows that end earlier"})
    size = fields.Integer(
        data_key="limit", load_default=PAGE_SIZE, validate=validate.Range(1, MAX_PAGE_SIZE)
    )


class ReadingSchema(Schema):
    """A verdict on a window, and what it is based on."""

    part = fields.String(metadata=PART)
    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    as_of = UtcTime(data_key="asOf")
    state = fields.String(metadata=STATE)
    reason = fields.String()
    value = Number(allow_none=True)
    low = Number(allow_none=True)
    high = Number(allow_none=True)
    baseline = Number(allow_none=True)
    n = fields.Integer(metadata={"description": "What the value was computed from"})


class PartStateSchema(ReadingSchema):
    """Where a part of a monitor stands."""

    since = UtcTime(metadata={"description": "The end of the first window in this state"})


class MonitorSchema(Schema):
    """A monitor, and where its parts stand."""

    name = fields.String()
    revision = fields.Integer(metadata={"description": "Counts changes of what is judged"})
    created_at = UtcTime(data_key="createdAt")
    changed_at = UtcTime(data_key="changedAt")
    definition = fields.Dict(metadata={"description": "As MonitorDefinition"})
    parts = fields.List(fields.Nested(PartStateSchema))
    dead = fields.Integer(
        data_key="deadMessages", metadata={"description": "Messages that were abandoned"}
    )


class MonitorsSchema(Schema):
    """By name."""

    monitors = fields.List(fields.Nested(MonitorSchema))


class RevisedSchema(Schema):
    """The verdict on the same window that this one has changed."""

    state = fields.String(metadata=STATE)
    value = Number(allow_none=True)
    as_of = UtcTime(data_key="asOf")
    learned = fields.Integer(metadata=LEARNED)


class PastVerdictSchema(ReadingSchema):
    """A verdict, and what it revises."""

    revision = fields.Integer(metadata={"description": "That of the monitor"})
    revises = fields.Nested(RevisedSchema, allow_none=True)


class HistorySchema(Schema):
    """The last verdict on each window by asOf, the latest window first."""

    verdicts = fields.List(fields.Nested(PastVerdictSchema))
    judged_as_of = UtcTime(
        data_key="judgedAsOf",
        allow_none=True,
        metadata={"description": "The moment of the last round: later ones may add verdicts"},
    )
    before = UtcTime(
        allow_none=True, metadata={"description": "Continues the list; null at its end"}
    )


class TestedSchema(Schema):
    """A receiver, and whether it accepted the test."""

    receiver = fields.String()
    error = fields.String(metadata={"description": "Why it did not; empty if it did"})


class TestsSchema(Schema):
    """By receiver."""

    results = fields.List(fields.Nested(TestedSchema))


@blp.route("")
@needs(Role.READ)
@blp.response(200, MonitorsSchema)
def get_monitors(workspace_id: int) -> dict[str, Any]:
    """The monitors of the workspace"""
    with database().reading() as conn:
        return {"monitors": [_members(monitor) for monitor in monitors_of(conn, workspace_id)]}


@blp.route("/<string:name>")
@needs(Role.READ)
@blp.response(200, MonitorSchema)
def get_monitor(workspace_id: int, name: str) -> dict[str, Any]:
    """One monitor"""
    check_name("a monitor's name", name)
    with database().reading() as conn:
        return _members(find_monitor(conn, workspace_id, name))


@blp.route("/<string:name>", methods=["PUT"])
@needs(Role.ADMIN)
@takes_body(blp, MonitorDefinition)
@blp.response(200, MonitorSchema)
def put_monitor_(workspace_id: int, name: str) -> dict[str, Any]:
    """Create or change a monitor

    What changes its verdicts is a new revision, which judges windows from the last ended one on.
    Earlier verdicts stay.
    """
    definition = read_message(MonitorDefinition)
    check_monitor_name(name)
    with database().writing() as conn:
        return _members(put_monitor(conn, workspace_id, name, definition))


@blp.route("/<string:name>", methods=["DELETE"])
@needs(Role.ADMIN)
@blp.response(204)
def delete_monitor_(workspace_id: int, name: str) -> Response:
    """Delete a monitor and its verdicts

    Receivers get the end of what fires.
    """
    check_name("a monitor's name", name)
    with database().writing() as conn:
        delete_monitor(conn, workspace_id, name)
    return Response(status=204)


@blp.route("/<string:name>/history")
@needs(Role.READ)
@blp.arguments(HistoryArgs, location="query", unknown=RAISE)
@blp.response(200, HistorySchema)
def get_history(args: dict[str, Any], workspace_id: int, name: str) -> History:
    """The verdicts on the windows of a monitor, as they were known at a moment"""
    check_name("a monitor's name", name)
    with database().reading() as conn:
        return history_of(
            conn,
            workspace_id,
            name,
            as_of=args.get("as_of"),
            before=args.get("before"),
            size=args["size"],
        )


@blp.route("/<string:name>/test", methods=["POST"])
@needs(Role.ADMIN)
@blp.response(200, TestsSchema)
def test_monitor(workspace_id: int, name: str) -> dict[str, list[Tested]]:
    """Send a test to each receiver of a monitor"""
    check_name("a monitor's name", name)
    return {"results": send_test(database(), settings(), workspace_id, name)}


def check_monitor_name(name: str) -> None:
    """Reject a name that can't be stored, or would be two names in a path.

    Raises:
        InvalidInput: it is too long, or has a character that it can't have.
    """
    check_name("a name", name)
    if not name.isprintable() or "/" in name:
        raise InvalidInput("a name must not contain / or control characters")


def _members(monitor: Monitor) -> dict[str, Any]:
    return {
        "name": monitor.name,
        "revision": monitor.revision,
        "created_at": monitor.created_at,
        "changed_at": monitor.changed_at,
        "definition": msgspec.to_builtins(monitor.definition),
        "parts": monitor.parts,
        "dead": monitor.dead,
    }
