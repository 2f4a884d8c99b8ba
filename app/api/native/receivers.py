"""Native: receivers, which monitors tell."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.body import read_message
from app.api.http.numbers import UtcTime
from app.api.http.parameters import check_name
from app.api.http.reference import takes_body
from app.api.native.monitors import check_monitor_name
from app.auth.keys import Role
from app.monitors.receivers import (
    Receiver,
    ReceiverUpdate,
    delete_receiver,
    find_receiver,
    put_receiver,
    receivers_of,
)
from app.running import database

blp = Blueprint("receivers", __name__, url_prefix="/api/v1/receivers", description="Of messages")


class ReceiverSchema(Schema):
    """A receiver. Its address and its secret are never shown again."""

    name = fields.String()
    kind = fields.String(metadata={"description": "webhook or alertmanager"})
    host = fields.String(metadata={"description": "The part of the address that is no secret"})
    created_at = UtcTime(data_key="createdAt")
    waiting = fields.Integer(metadata={"description": "Messages that are not delivered yet"})
    dead = fields.Integer(metadata={"description": "Messages that were abandoned"})


class NewReceiverSchema(ReceiverSchema):
    """A receiver as it was stored."""

    secret = fields.String(
        allow_none=True,
        metadata={"description": "The new secret, if none was sent: it is shown only now"},
    )


class ReceiversSchema(Schema):
    """By name."""

    receivers = fields.List(fields.Nested(ReceiverSchema))


@blp.route("")
@needs(Role.READ)
@blp.response(200, ReceiversSchema)
def get_receivers(workspace_id: int) -> dict[str, Any]:
    """The receivers of the workspace"""
    with database().reading() as conn:
        return {"receivers": receivers_of(conn, workspace_id)}


@blp.route("/<string:name>")
@needs(Role.READ)
@blp.response(200, ReceiverSchema)
def get_receiver(workspace_id: int, name: str) -> Receiver:
    """One receiver"""
    check_name("a receiver's name", name)
    with database().reading() as conn:
        return find_receiver(conn, workspace_id, name)


@blp.route("/<string:name>", methods=["PUT"])
@needs(Role.ADMIN)
@takes_body(blp, ReceiverUpdate)
@blp.response(200, NewReceiverSchema)
def put_receiver_(workspace_id: int, name: str) -> Receiver:
    """Create a receiver, or replace its address and secret"""
    update = read_message(ReceiverUpdate)
    check_monitor_name(name)
    with database().writing() as conn:
        return put_receiver(conn, workspace_id, name, update)


@blp.route("/<string:name>", methods=["DELETE"])
@needs(Role.ADMIN)
@blp.response(204)
def delete_receiver_(workspace_id: int, name: str) -> Response:
    """Delete a receiver, and what was not delivered to it yet"""
    check_name("a receiver's name", name)
    with database().writing() as conn:
        delete_receiver(conn, workspace_id, name)
    return Response(status=204)
