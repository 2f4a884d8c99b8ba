"""Native ingest: batches of predictions and of feedback."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from flask import request
from marshmallow import Schema, fields
from werkzeug.exceptions import UnsupportedMediaType

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.body import JSON, media_type, read_body
from app.api.http.idempotency import IDEMPOTENCY_KEY, batch_key
from app.api.http.observe import count_rows
from app.api.http.reference import Reference, View, takes_body
from app.auth.keys import Role
from app.errors import MAX_ROW_ERRORS, InvalidInput
from app.ingest import feedback, inferences
from app.ingest.batch import BatchKey, Verdict
from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.ingest.rows import Check, Slim, read_json, read_ndjson
from app.running import database, settings

blp = Blueprint("ingest", __name__, url_prefix="/api/v1", description="Predictions and truths in")

Row = TypeVar("Row", bound=msgspec.Struct)
NDJSON = "application/x-ndjson"
COLUMNAR = (
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)
ALWAYS_BULK = (COLUMNAR[0], COLUMNAR[2])
BULK = {
    "name": "bulk",
    "in": "query",
    "description": (
        "With true, it is a bulk body: it may have any size, it is stored in chunks, and invalid"
        " rows don't affect the others. With false, it is a batch, stored whole or not at all,"
        " which CSV and Parquet can't be. Absent: only NDJSON is a batch"
    ),
    "schema": {"type": "boolean"},
}


@dataclass(frozen=True, slots=True)
class Intake(Generic[Row]):
    """One kind of row: its member in a body, its type, its check and its function in `ingest`."""

    member: str
    row_type: type[Row]
    check: Check[Row]
    store: Callable[..., Verdict]
    check_size: Callable[[Sequence[Row], int], None] = lambda _rows, _limit: None
    slim: Slim[Row] | None = None


PREDICTIONS = Intake(
    "predictions",
    Prediction,
    inferences.check,
    ingest_predictions,
    inferences.check_size,
    inferences.slim,
)
FEEDBACK = Intake("feedback", Feedback, feedback.check, feedback.ingest_feedback)


class RowErrorSchema(Schema):
    """Why a row was refused."""

    index = fields.Integer(metadata={"description": "Position of the row in its body, from 0"})
    field = fields.String(metadata={"description": "Empty if the whole row is invalid"})
    reason = fields.String()


class VerdictSchema(Schema):
    """The result of a body. `accepted` + `duplicates` + `refused` is the number of rows sent.

    A batch has no refused rows: it is stored whole or not at all.
    """

    accepted = fields.Integer(metadata={"description": "Rows stored by this call"})
    duplicates = fields.Integer(metadata={"description": "Rows that were stored before"})
    pending = fields.Integer(
        metadata={"description": "Accepted rows that wait for their prediction"}
    )
    refused = fields.Integer(
        metadata={"description": "Invalid rows of a bulk body; absent for a batch"}
    )
    errors = fields.List(
        fields.Nested(RowErrorSchema),
        metadata={
            "description": f"Why the first {MAX_ROW_ERRORS} were refused; absent for a batch"
        },
    )


def _takes(intake: Intake[Any]) -> Callable[[View], View]:
    def content(row: Reference) -> dict[str, Any]:
        batch = {
            "type": "object",
            "required": [intake.member],
            "additionalProperties": False,
            "properties": {intake.member: {"type": "array", "minItems": 1, "items": row}},
        }
        binary = {"type": "string", "format": "binary"}
        return {JSON: batch, NDJSON: row, **dict.fromkeys(COLUMNAR, binary)}

    return takes_body(blp, intake.row_type, content, parameters=[IDEMPOTENCY_KEY, BULK])


@blp.route("/predictions", methods=["POST"])
@needs(Role.INGEST)
@_takes(PREDICTIONS)
@blp.response(200, VerdictSchema)
def post_predictions(workspace_id: int) -> object:
    """Store predictions

    A batch is all or nothing: one invalid row rejects it. A bulk body is stored in chunks, without
    its invalid rows. A prediction is a duplicate if one with the
    same request id, batch index, model, deployment, version, deployment type and server version
    is already stored.
    """
    return _ingest(PREDICTIONS, workspace_id)


@blp.route("/feedback", methods=["POST"])
@needs(Role.INGEST)
@_takes(FEEDBACK)
@blp.response(200, VerdictSchema)
def post_feedback(workspace_id: int) -> object:
    """Store truths

    Each is joined with the prediction of its request id, now or when it arrives. A later truth
    for the same prediction replaces the earlier one.
    """
    return _ingest(FEEDBACK, workspace_id)


def _ingest(intake: Intake[Row], workspace_id: int) -> object:
    kind, is_bulk = _form()
    if kind in COLUMNAR or is_bulk:
        return _ingest_columns(is_bulk=is_bulk)(intake.member, kind, workspace_id)
    rows, key = _rows(intake)
    verdict = intake.store(database(), workspace_id, rows, batch=key)
    count_rows(intake.member, verdict)
    return verdict


def _form() -> tuple[str, bool]:
    """The media type of a body, and whether it is a bulk body.

    Raises:
        UnsupportedMediaType: no rows can have this type.
        InvalidInput: `bulk` is neither true nor false, or false for a type that is never a batch.
    """
    kind = media_type(JSON, NDJSON, *COLUMNAR)
    asked = request.args.get("bulk", str(kind in COLUMNAR)).lower()
    if asked not in ("true", "false"):
        raise InvalidInput("bulk must be true or false")
    if asked == "false" and kind in ALWAYS_BULK:
        raise InvalidInput(f"{kind} can't be a batch: omit bulk=false, or send Arrow")
    return kind, asked == "true" and kind != JSON


def _ingest_columns(*, is_bulk: bool) -> Callable[[str, str, int], object]:
    """What stores columns.

    Raises:
        UnsupportedMediaType: pyarrow isn't installed.
    """
    try:
        from app.api.native.bulk import ingest_batch, ingest_bulk  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        raise UnsupportedMediaType(
            f"Bulk bodies need {error.name}: install the server with its extra, as"
            " truthline-server[bulk], or send batches of JSON or NDJSON."
        ) from error
    return ingest_bulk if is_bulk else ingest_batch


def _rows(intake: Intake[Row]) -> tuple[list[Row], BatchKey | None]:
    """The rows of a batch, and its key; the memory of the body is free before they are stored."""
    kind = media_type(JSON, NDJSON)
    body = read_body(settings().max_body_bytes)
    key = batch_key(intake.member, lambda: body)
    limit = settings().max_batch_rows
    if kind == JSON:
        rows = read_json(body, intake.member, intake.row_type, intake.check, limit, intake.slim)
    else:
        rows = read_ndjson(body, intake.row_type, intake.check, limit, intake.slim)
    intake.check_size(rows, limit)
    return rows, key
