"""The token endpoint of OpenID Connect, at Keycloak's path: H2O's clients need no other endpoint.

A realm is only a part of the path: the key determines the workspace. Errors have Keycloak's format.
"""

from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request, url_for
from marshmallow import Schema, fields

from app.api.http.answers import Blueprint
from app.api.http.body import FORM, read_form
from app.api.http.problems import ErrorForm, Problem, use_error_form
from app.auth import keys, refresh, tokens
from app.errors import InvalidInput, UnsupportedGrant
from app.running import database, settings

PREFIX = "/auth/realms"
GRANT = "refresh_token"
NO_STORE = {"Cache-Control": "no-store"}
MAX_BYTES = 64 * 1024  # of a body without authentication

blp = Blueprint(
    "oidc", __name__, url_prefix=f"{PREFIX}/<string:realm>", description="OpenID Connect"
)


# --- errors -------------------------------------------------------------------------------

ERRORS = {
    "InvalidGrant": "invalid_grant",
    "UnsupportedGrant": "unsupported_grant_type",
    "Unavailable": "temporarily_unavailable",
}


def oauth_error(problem: Problem) -> Response:
    """`{error, error_description}`, as in RFC 6749 and Keycloak."""
    crashed = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR
    default = "server_error" if crashed else "invalid_request"
    body = {
        "error": ERRORS.get(problem.kind, default),
        "error_description": problem.detail or problem.title,
    }
    response = jsonify(body)
    response.status_code = problem.status
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
use_error_form(PREFIX + "/", ErrorForm(oauth_error, "OAuthError", ERROR_SCHEMA))


# --- the endpoints ------------------------------------------------------------------------


def _form(**parameters: str) -> dict[str, Any]:
    properties = {
        name: {"type": "string", "description": text} for name, text in parameters.items()
    }
    schema = {"type": "object", "properties": properties}
    return {"required": True, "content": {FORM: {"schema": schema}}}


TOKEN_FORM = _form(
    grant_type="refresh_token",
    refresh_token="An API key, or the refresh token of the last response",  # noqa: S106 - no secret
    client_id="Any; clients are not registered",
    client_secret="Ignored",  # noqa: S106 - no secret
)
REVOCATION_FORM = _form(token="A refresh token")  # noqa: S106 - no secret


class TokensSchema(Schema):
    """An access token, and the refresh token for the next one."""

    access_token = fields.String(metadata={"description": "Send it as 'Authorization: Bearer'"})
    expires_in = fields.Integer(metadata={"description": "Seconds"})
    refresh_token = fields.String(metadata={"description": "For the next exchange, once"})
    refresh_expires_in = fields.Integer(metadata={"description": "Seconds"})
    token_type = fields.String()


@blp.route("/protocol/openid-connect/token", methods=["POST"])
@blp.doc(requestBody=TOKEN_FORM, security=[])
@blp.response(200, TokensSchema)
def post_token(realm: str) -> tuple[dict[str, Any], dict[str, str]]:  # noqa: ARG001 - any realm
    """Exchange an API key or a refresh token for an access token and the next refresh token"""
    form = read_form(MAX_BYTES)
    if _parameter(form, "grant_type") != GRANT:
        raise UnsupportedGrant(f"grant_type must be {GRANT}")
    pair = _exchange(_parameter(form, "refresh_token"))
    response_body = {
        "access_token": pair.access_token,
        "expires_in": settings().access_token_seconds,
        "refresh_token": pair.refresh_token,
        "refresh_expires_in": int(refresh.LIFETIME.total_seconds()),
        "token_type": "Bearer",
    }
    return response_body, NO_STORE


def _exchange(presented: str) -> refresh.TokenPair:
    seconds = settings().access_token_seconds
    if settings().auth:
        return refresh.exchange(database(), presented, seconds)
    with database().reading() as conn:
        access = tokens.issue(conn, key_id=tokens.NO_KEY, seconds=seconds)
    return refresh.TokenPair(access, presented)


@blp.route("/protocol/openid-connect/revoke", methods=["POST"])
@blp.doc(requestBody=REVOCATION_FORM, security=[])
@blp.response(200)
def post_revoke(realm: str) -> Response:  # noqa: ARG001 - any realm
    """Revoke a refresh token and all that were derived from it (RFC 7009)"""
    token = _parameter(read_form(MAX_BYTES), "token")
    if token.startswith(keys.PREFIX):
        raise InvalidInput("an API key is revoked with 'truthline keys revoke'")
    refresh.revoke(database(), token)
    return jsonify({})


@blp.route("/.well-known/openid-configuration")
@blp.doc(security=[])
@blp.response(200)
def get_configuration(realm: str) -> Response:
    """The URLs of the endpoints"""

    def url(endpoint: str) -> str:
        path = url_for(endpoint, realm=realm)
        base = settings().public_url or request.url_root
        return base.rstrip("/") + path.removeprefix(request.script_root)

    issuer = url(".get_configuration").removesuffix("/.well-known/openid-configuration")
    return jsonify(
        {
            "issuer": issuer,
            "token_endpoint": url(".post_token"),
            "revocation_endpoint": url(".post_revoke"),
            "grant_types_supported": [GRANT],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["none"],
        }
    )


def _parameter(form: dict[str, list[str]], name: str) -> str:
    """A parameter of the form.

    Raises:
        InvalidInput: it is missing, or given twice.
    """
    values = form.get(name, [])
    if len(values) > 1:
        raise InvalidInput(f"form parameter given twice: {name}")
    if not values or not values[0]:
        raise InvalidInput(f"missing form parameter: {name}")
    return values[0]
