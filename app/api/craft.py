"""Craft AI's platform, as its SDK knows it: the exchange of an SDK token for an access token.

Wire contract: `craft-ai-sdk`. It reads `iat` and `exp` of the access token to know when to ask for
the next one, and expects every error as a JSON object.
"""

import msgspec
from flask import Response, jsonify
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from app.api.access import database, settings
from app.api.body import read_message
from app.api.problems import ErrorForm, Problem, use_error_form
from app.api.reference import takes_body
from app.auth import tokens
from app.auth.keys import live_key
from app.logs import request_id

PREFIX = "/api/v1/auth"
MAX_BYTES = 64 * 1024  # of what anybody may send

blp = Blueprint("craft", __name__, url_prefix=PREFIX, description="Craft AI's platform")


# --- errors -------------------------------------------------------------------------------


def craft_error(problem: Problem) -> Response:
    """`{message, name, request_id}`, which the SDK raises as an exception of its own."""
    body = {
        "message": problem.detail or problem.title,
        "name": problem.kind or problem.title.replace(" ", ""),
        "request_id": request_id.get(),
    }
    response = jsonify(body)
    response.status_code = problem.status
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["message", "name", "request_id"],
    "properties": {name: {"type": "string"} for name in ("message", "name", "request_id")},
}
use_error_form(PREFIX + "/", ErrorForm(craft_error, "CraftError", ERROR_SCHEMA))


# --- the exchange -------------------------------------------------------------------------


class RefreshRequest(msgspec.Struct):
    """The SDK token, which is an API key."""

    refresh_token: str


class AccessTokenSchema(Schema):
    """A JWT."""

    access_token = fields.String(metadata={"description": "Send it as 'Authorization: Bearer'"})


@blp.route("/refresh", methods=["POST"])
@takes_body(blp, RefreshRequest, security=[])
@blp.response(200, AccessTokenSchema)
def post_refresh() -> tuple[dict[str, str], dict[str, str]]:
    """Exchange an API key for an access token"""
    presented = read_message(RefreshRequest, MAX_BYTES).refresh_token
    with database().reading() as conn:
        key_id = live_key(conn, presented).id if settings().auth else tokens.NO_KEY
        token = tokens.give(conn, key_id=key_id, seconds=settings().access_token_seconds)
    return {"access_token": token}, {"Cache-Control": "no-store"}
