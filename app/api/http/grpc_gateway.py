"""Errors in the form of a grpc-gateway, which Seldon's clients and H2O's expect."""

from http import HTTPStatus

from flask import Response, jsonify

from app.api.http.problems import ErrorForm, Problem

GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 409: 6, 413: 8, 414: 3, 415: 3}
GRPC_CODES |= {417: 3, 429: 8, 431: 3, 500: 13, 501: 12, 503: 14}


def grpc_gateway_error(problem: Problem) -> Response:
    """`{code, message, details}` with gRPC's code; row errors have status 400 here."""
    status = 400 if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else problem.status
    rows = "; ".join(f"{row['field']} {row['reason']}".strip() for row in problem.errors)
    body = {
        "code": GRPC_CODES.get(status, 2),
        "message": rows or problem.detail or problem.title,
        "details": [],
    }
    response = jsonify(body)
    response.status_code = status
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "gRPC status code"},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {}},
    },
}
GRPC_GATEWAY = ErrorForm(grpc_gateway_error, "GrpcGatewayError", ERROR_SCHEMA)
