"""Roboflow's inference stats: reports of its `inference` server, and comparison of two periods.

Wire contract: the `inference` server's pingback and Workflows block, and the Model Monitoring API.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, TypeVar

import msgspec
from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields
from werkzeug.exceptions import HTTPException

from app.api.http.access import needs, presented_key, require_workspace, workspace_of_key
from app.api.http.answers import Blueprint
from app.api.http.basis import ExactSchema, vendor_members
from app.api.http.body import JSON, Incoming, as_long_message, media_type, read_body
from app.api.http.numbers import Number
from app.api.http.observe import count_rows, report_rejected
from app.api.http.parameters import Text
from app.api.http.problems import ErrorForm, Problem, use_error_form_where
from app.api.http.reference import describe, takes_body
from app.api.roboflow.pingback import InferenceReport, InferenceResult, predictions_of
from app.auth.keys import Role
from app.auth.workspaces import workspace_name
from app.errors import (
    MAX_ROW_ERRORS,
    InvalidInput,
    InvalidRows,
    RowError,
    TooLarge,
    TruthlineError,
)
from app.ingest.fields import RequiredName, text_problem
from app.ingest.inferences import check_size
from app.ingest.metadata import ingest_metadata
from app.ingest.partial_batches import ingest_valid_rows, read_item
from app.ingest.validation_errors import Rejection
from app.query.inferences import ClassStats, Totals, class_stats, inference_totals, stats_basis
from app.query.question import Counted, Question
from app.query.subjects import Selection
from app.query.window import ending
from app.running import database, settings

blp = Blueprint("roboflow", __name__, description="Roboflow's inference stats")
# The paths of the pingback and of a workspace; and the query for the workspace of a key.
PATHS = r"(?:/[^/]+)?/inference-stats(?:/metadata)?/?(?:\?.*)?"
QUESTION = r"/\?(?:.*&)?api_key=.*"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
PERIOD = timedelta(hours=24)
MAX_ROWS = 10_000  # of an answer, which is not paginated
Message = TypeVar("Message", InferenceReport, "InferenceMetadata")
HEAD_BYTES = 64 * 1024  # of requests without authentication
_API_KEY = re.compile(rb'"api_key"\s*:\s*"([!-~]+?)"')


# --- errors -------------------------------------------------------------------------------

WRONG_KEY = "This API key does not exist (or has been revoked)."


def roboflow_error(problem: Problem) -> Response:
    """`{error: {message, status, type}}`, with a hint if rows are invalid."""
    stranger = problem.kind == "Unauthenticated"
    error: dict[str, Any] = {
        "message": WRONG_KEY if stranger else problem.detail or problem.title,
        "status": problem.status,
        "type": "OAuthException" if stranger else problem.kind or problem.title.replace(" ", ""),
    }
    if problem.errors:
        error["hint"] = "; ".join(f"{row['field']} {row['reason']}" for row in problem.errors)
    response = jsonify({"error": error})
    response.status_code = problem.status
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "status", "type"],
            "properties": {
                "message": {"type": "string"},
                "status": {"type": "integer"},
                "type": {"type": "string"},
                "hint": {"type": "string"},
            },
        }
    },
}
ROBOFLOW = ErrorForm(roboflow_error, "RoboflowError", ERROR_SCHEMA)
use_error_form_where(PATHS, ROBOFLOW)
use_error_form_where(QUESTION, ROBOFLOW, method="GET")


# --- which workspace ----------------------------------------------------------------------


@blp.before_app_request
def get_workspace() -> Response | None:
    """Handle `GET /?api_key=`, with which Roboflow's clients look up the name of their workspace.

    Without a key `/` is the start page, so this is not a separate view.
    """
    if request.path != "/" or request.method != "GET" or "api_key" not in request.args:
        return None
    workspace_id = workspace_of_key(None, None)
    with database().reading() as conn:
        return jsonify({"workspace": workspace_name(conn, workspace_id)})


# --- in -----------------------------------------------------------------------------------


describe(InferenceResult)


class StoredSchema(Schema):
    """The result of a report."""

    status = fields.String()
    accepted = fields.Integer(metadata={"description": "Inferences stored by this call"})
    duplicates = fields.Integer(metadata={"description": "Inferences that were stored before"})
    refused = fields.Integer(
        metadata={"description": "Results that can't be stored; the log has the reasons"}
    )


@blp.route("/inference-stats", methods=["POST"])
@takes_body(blp, InferenceReport)
@blp.response(200, StoredSchema)
def post_inference_stats() -> dict[str, Any]:
    """Store the report of an inference server

    The key may be in the body. Inferences are identified by their id, so reports may overlap. A
    result that can't be stored does not affect the others.
    """
    return _store(*_authorized(_read_report))


@blp.route("/<string:workspace>/inference-stats", methods=["POST"])
@takes_body(blp, InferenceReport)
@blp.response(200, StoredSchema)
def post_workspace_inference_stats(workspace: str) -> dict[str, Any]:
    """Store the report of an inference server or a Workflow"""
    report, workspace_id = _authorized(_read_report)
    require_workspace(workspace, workspace_id)
    return _store(report, workspace_id)


def _authorized(read: Callable[[bytes], Message]) -> tuple[Message, int]:
    """The body, and the workspace of the key in the request or in the body.

    Large bodies are read only with a valid key: without one outside the body, it must be in the
    first HEAD_BYTES of the body, or the body must not be longer.

    Raises:
        Unauthenticated: no valid key; also if the body can't be read, because clients without a
            key get no other error.
        and the errors of `read_message`.
    """
    if presented_key() or not settings().auth:
        workspace_id = workspace_of_key(None, Role.INGEST)
        media_type(JSON)
        return read(read_body(settings().max_body_bytes)), workspace_id
    key_in_head = None
    try:
        media_type(JSON)
        body = Incoming(settings().max_body_bytes)
        head = body.up_to(HEAD_BYTES + 1)
        if len(head) > HEAD_BYTES:
            key_in_head = _key_within(head)
            workspace_of_key(key_in_head, Role.INGEST)
        message = read(body.whole())
        key = message.key()
    except (TruthlineError, HTTPException):
        workspace_of_key(key_in_head, Role.INGEST)
        raise
    return message, workspace_of_key(key, Role.INGEST)


def _key_within(head: bytes) -> str | None:
    """The first key at the beginning of a post: that of the server, or of a request."""
    match = _API_KEY.search(head)
    return match[1].decode() if match else None


def _read_report(body: bytes) -> InferenceReport:
    report, results = as_long_message(
        body, InferenceReport, "inference_results", InferenceResult, InferenceResult.size
    )
    report.results = results
    return report


def _store(report: InferenceReport, workspace_id: int) -> dict[str, Any]:
    """Store the valid results.

    Raises:
        InvalidRows: there are none.
    """
    parsed = predictions_of(report)
    check_size(parsed.predictions, settings().max_batch_rows)
    verdict, invalid_predictions = ingest_valid_rows(database(), workspace_id, parsed.predictions)
    row_errors = parsed.all_row_errors(invalid_predictions)
    count_rows("predictions", verdict)
    report_rejected("predictions", row_errors, of=len(report.results))
    if row_errors and not verdict.accepted + verdict.duplicates:
        raise InvalidRows(row_errors[:MAX_ROW_ERRORS])
    return {
        "status": "ok",
        "accepted": verdict.accepted,
        "duplicates": verdict.duplicates,
        "refused": len(row_errors),
    }


class FieldOfInferences(msgspec.Struct):
    """One field, its value, and the inferences with this value."""

    inference_ids: list[RequiredName]
    field_name: RequiredName
    field_value: str


describe(FieldOfInferences)
_FIELD = {"$ref": f"#/components/schemas/{FieldOfInferences.__name__}"}
UnreadField = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_FIELD)]


class InferenceMetadata(msgspec.Struct, dict=True):
    """Fields of inferences, and optionally the key. A `Rejection` replaces an unreadable field."""

    data: list[UnreadField]
    api_key: str | None = None

    @cached_property
    def fields(self) -> Sequence[FieldOfInferences | Rejection]:
        """The fields, each read individually; set it if they have already been read."""
        return [read_item(text, FieldOfInferences) for text in self.data]

    def key(self) -> str | None:
        """The API key in the body."""
        return self.api_key


def _read_metadata(body: bytes) -> InferenceMetadata:
    metadata, fields_ = as_long_message(
        body, InferenceMetadata, "data", FieldOfInferences, lambda field: len(field.inference_ids)
    )
    metadata.fields = fields_
    return metadata


class StatusSchema(Schema):
    """The result of storing metadata."""

    status = fields.String()
    refused = fields.Integer(metadata={"description": "Fields that can't be stored, if any"})


@blp.route("/<string:workspace>/inference-stats/metadata", methods=["POST"])
@takes_body(blp, InferenceMetadata)
@blp.response(200, StatusSchema)
def post_inference_metadata(workspace: str) -> dict[str, Any]:
    """Store metadata of inferences

    It may arrive before the inferences. A later value of a field replaces the earlier one. A field
    that can't be stored does not affect the others.
    """
    message, workspace_id = _authorized(_read_metadata)
    require_workspace(workspace, workspace_id)
    values, row_errors = _values_of(message)
    if len(values) > (limit := settings().max_batch_rows):
        raise TooLarge(f"a post may contain at most {limit} values")
    report_rejected("metadata", row_errors, of=len(message.fields))
    if row_errors and not values:
        raise InvalidRows(row_errors[:MAX_ROW_ERRORS])
    ingest_metadata(database(), workspace_id, values)
    return {"status": "ok"} | ({"refused": len(row_errors)} if row_errors else {})


def _values_of(message: InferenceMetadata) -> tuple[dict[tuple[str, str], str], list[RowError]]:
    """Values by field and inference, and the errors of fields that can't be stored."""
    values: dict[tuple[str, str], str] = {}
    row_errors = []
    for index, item in enumerate(message.fields):
        field = item if isinstance(item, Rejection) else _unstorable(item) or item
        if isinstance(field, Rejection):
            row_errors.append(
                RowError(index, f"data[{index}].{field.field}".rstrip("."), field.reason)
            )
        else:
            values |= {(field.field_name, id_): field.field_value for id_ in field.inference_ids}
    return values, row_errors


def _unstorable(field: FieldOfInferences) -> Rejection | None:
    problem = text_problem(field.field_name, field.field_value, *field.inference_ids)
    return Rejection("", problem) if problem else None


# --- out ----------------------------------------------------------------------------------


class Moment(fields.Field[datetime]):
    """`YYYY-MM-DD HH:mm:ss` in UTC; None if it is empty."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime | None:  # type: ignore[override] # empty is allowed
        if not value:
            return None
        try:
            return datetime.strptime(str(value), TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise ValidationError("must be like 2024-10-01 13:30:00") from None


class StatsArgs(Schema):
    """A period, and a filter of inferences."""

    start = Moment(
        data_key="startTime",
        load_default=None,
        metadata={"description": "YYYY-MM-DD HH:mm:ss, UTC; empty: 24 hours before now"},
    )
    end = Moment(
        data_key="endTime",
        load_default=None,
        metadata={"description": "YYYY-MM-DD HH:mm:ss, UTC; empty: now"},
    )
    models = Text(
        data_key="modelNames",
        load_default="",
        metadata={"description": "Names of models, separated by commas; empty: all"},
    )
    field = Text(
        data_key="fieldName",
        metadata={"description": "Only inferences with fieldValue in this field of metadata"},
    )
    value = Text(data_key="fieldValue")


class RowSchema(Schema):
    """A class of a model in both periods; null if a period does not have it."""

    model_name = fields.String()
    predicted_class = fields.String()
    num_inferences = fields.Integer(allow_none=True)
    prev_num_inferences = fields.Integer(allow_none=True)
    num_errors = fields.Integer(allow_none=True, metadata={"description": "Not known per class"})
    prev_num_errors = fields.Integer(allow_none=True)
    avg_confidence = Number(allow_none=True)
    prev_avg_confidence = Number(allow_none=True)
    avg_response_time = Number(allow_none=True, metadata={"description": "Seconds"})
    prev_avg_response_time = Number(allow_none=True)
    median_confidence = Number(allow_none=True)
    class_count = fields.Integer(allow_none=True)
    deployment_types = fields.String()
    inference_server_versions = fields.String()
    model_num_inferences = fields.Integer(allow_none=True)
    prev_model_num_inferences = fields.Integer(allow_none=True)


class StatsSchema(ExactSchema):
    """Both periods in total, and per class. `prev_` is the preceding period of equal length.

    The basis of the answer is included if it is not exact.
    """

    num_inferences = fields.Integer()
    prev_num_inferences = fields.Integer()
    num_errors = fields.Integer()
    prev_num_errors = fields.Integer()
    avg_confidence = Number(allow_none=True, metadata={"description": "Mean over all outputs"})
    prev_avg_confidence = Number(allow_none=True)
    avg_response_time = Number(allow_none=True, metadata={"description": "Seconds"})
    prev_avg_response_time = Number(allow_none=True)
    inference_stats = fields.List(fields.Nested(RowSchema))


@blp.route("/<string:workspace>/inference-stats")
@needs(Role.READ)
@blp.arguments(StatsArgs, location="query")
@blp.response(200, StatsSchema)
def get_inference_stats(args: dict[str, Any], workspace: str, workspace_id: int) -> dict[str, Any]:
    """Inferences of a period compared with those of the preceding period"""
    require_workspace(workspace, workspace_id)
    now = datetime.now(UTC)
    window = ending(args["end"] or now, PERIOD, args["start"] or now - PERIOD)
    question = Question(workspace_id, _selection(args), window)
    with database().asking() as conn:
        totals = inference_totals(conn, question)
        rows = class_stats(conn, question, most=MAX_ROWS + 1)
        basis = stats_basis(conn, question, Counted.SCORE)
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"an answer may have at most {MAX_ROWS} classes: name models in modelNames")
    numbers = _totals(totals) | {"inference_stats": [_row(row) for row in rows]}
    return numbers | vendor_members(basis)


def _selection(args: dict[str, Any]) -> Selection:
    if ("field" in args) != ("value" in args):
        raise InvalidInput("fieldName and fieldValue go together")
    names = [name for part in args["models"].split(",") if (name := part.strip())]
    return Selection(names or None, args.get("field"), args.get("value"))


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "num_inferences": totals.inferences.now,
        "prev_num_inferences": totals.inferences.previous,
        "num_errors": totals.errors.now,
        "prev_num_errors": totals.errors.previous,
        "avg_confidence": totals.confidence.now,
        "prev_avg_confidence": totals.confidence.previous,
        "avg_response_time": totals.latency.now,
        "prev_avg_response_time": totals.latency.previous,
    }


def _row(row: ClassStats) -> dict[str, Any]:
    return {
        "model_name": row.model,
        "predicted_class": row.label,
        "num_inferences": row.inferences.now,
        "prev_num_inferences": row.inferences.previous,
        "num_errors": None,
        "prev_num_errors": None,
        "avg_confidence": row.confidence.now,
        "prev_avg_confidence": row.confidence.previous,
        "avg_response_time": row.latency.now,
        "prev_avg_response_time": row.latency.previous,
        "median_confidence": row.quantiles[0] if row.quantiles else None,
        "class_count": row.outputs.now,
        "deployment_types": row.deployment_types,
        "inference_server_versions": row.server_versions,
        "model_num_inferences": row.model_inferences.now,
        "prev_model_num_inferences": row.model_inferences.previous,
    }
