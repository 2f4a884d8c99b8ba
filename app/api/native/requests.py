"""Native: the requests behind a number, and the history of one."""

from dataclasses import asdict
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Instant, StrictArgs, Text, check_name
from app.api.native.metrics import ScopeArgs, scope_of
from app.api.native.pages import MAX_PAGE_SIZE
from app.auth.keys import Role
from app.query.cursors import RequestCursor, packed, unpacked
from app.query.question import Question
from app.query.request_history import (
    Lookup,
    PendingTruth,
    Prediction,
    RequestHistory,
    request_history,
)
from app.query.requests import (
    EVER,
    Request,
    RequestFilter,
    RequestPage,
    requests_page,
)
from app.query.settle import settle
from app.query.window import Window
from app.running import database
from app.store.registry import ModelName

PAGE_SIZE = 100
# The most that a truth can differ from its prediction.
MAX_ERROR = 2e100

blp = Blueprint("requests", __name__, url_prefix="/api/v1", description="Which ones they were")


class RequestCursorField(fields.Field[RequestCursor]):
    """A cursor in a query: the `nextCursor` of a response."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> RequestCursor:
        try:
            return unpacked(value, RequestCursor)
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _flag(description: str) -> fields.Boolean:
    return fields.Boolean(
        error_messages={"invalid": "must be true or false"}, metadata={"description": description}
    )


def _fraction(name: str) -> fields.Float:
    return fields.Float(data_key=name, validate=validate.Range(0, 1))


class FilterArgs(StrictArgs):
    """A window, and which of its requests."""

    start = Instant(
        data_key="startTime",
        metadata={"format": "date-time", "description": "Absent: since the first prediction"},
    )
    end = Instant(
        data_key="endTime",
        metadata={"format": "date-time", "description": "Absent: until the last prediction"},
    )
    predicted = Text(data_key="predictedLabel", metadata={"description": "Only this output"})
    actual = Text(data_key="actualLabel", metadata={"description": "Only this truth"})
    wrong = _flag("Only those whose predicted and actual class differ, or only the others")
    unlabelled = _flag("Only those without a truth, or only those with one")
    failed = _flag("Only failed requests, or only the others")
    least_confidence = _fraction("minConfidence")
    most_confidence = _fraction("maxConfidence")
    least_error = fields.Float(
        data_key="minError",
        validate=validate.Range(0, MAX_ERROR),
        metadata={"description": "Only those whose value differs from the truth by this or more"},
    )


class RequestsArgs(ScopeArgs, FilterArgs):
    """A model or a part of it, a window, which of its requests, and which page of them."""

    size = fields.Integer(
        data_key="limit", load_default=PAGE_SIZE, validate=validate.Range(1, MAX_PAGE_SIZE)
    )
    cursor = RequestCursorField(
        metadata={"description": "nextCursor of the previous page, whose moment is kept"}
    )


class HistoryArgs(StrictArgs):
    """Whose request it is."""

    namespace = Text(metadata={"description": "Absent: any"})
    pipeline = Text(metadata={"description": "Absent: any"})
    model = Text(metadata={"description": "Absent: any"})
    time = Instant(
        metadata={
            "format": "date-time",
            "description": "When it was made; with model, finds a request whose key was deleted",
        }
    )


class RequestSchema(Schema):
    """An output of a model, with its truth: labels of a classifier, values of a regressor."""

    request_id = fields.String(
        data_key="requestId", allow_none=True, metadata={"description": "null if none was given"}
    )
    batch_index = fields.Integer(data_key="batchIndex")
    time = UtcTime(metadata={"description": "When the prediction was made"})
    received_at = UtcTime(
        data_key="receivedAt",
        allow_none=True,
        metadata={"description": "When it was stored; null if its row is no longer kept"},
    )
    version = fields.String()
    deployment = fields.String()
    deployment_type = fields.String(data_key="deploymentType")
    server_version = fields.String(data_key="serverVersion")
    tags = fields.Dict(keys=fields.String(), values=fields.String())
    failed = fields.Boolean()
    predicted_label = fields.String(data_key="predictedLabel", allow_none=True)
    predicted_value = fields.Float(data_key="predictedValue", allow_none=True)
    confidence = fields.Float(allow_none=True)
    latency_seconds = fields.Float(data_key="latencySeconds", allow_none=True)
    actual_label = fields.String(
        data_key="actualLabel", allow_none=True, metadata={"description": "null without a truth"}
    )
    actual_value = fields.Float(data_key="actualValue", allow_none=True)
    wrong = fields.Boolean(
        allow_none=True,
        metadata={"description": "Whether the classes differ; null without a truth, or of values"},
    )
    learned_at = UtcTime(
        data_key="learnedAt",
        allow_none=True,
        metadata={"description": "When the truth was stored that counts now"},
    )
    corrected = fields.Boolean(metadata={"description": "Whether it replaced an earlier truth"})


class RequestsSchema(Schema):
    """Requests, newest first."""

    requests = fields.List(fields.Nested(RequestSchema))
    following = fields.String(
        data_key="nextCursor",
        allow_none=True,
        metadata={
            "description": "null on the last page. A page may have fewer requests than its limit,"
            " or none, and still be followed by others"
        },
    )
    n_read = fields.Integer(
        data_key="rowsRead", metadata={"description": "Rows that were read for this page"}
    )
    searched_from = UtcTime(
        data_key="searchedFrom",
        metadata={"description": "All requests made since then are on this page or earlier ones"},
    )
    as_of = UtcTime(
        data_key="asOf", metadata={"description": "The moment of this page and those after it"}
    )
    kept_since = UtcTime(
        data_key="keptSince",
        allow_none=True,
        metadata={"description": "Requests received before are no longer kept; null: all are"},
    )


class LearnedTruthSchema(Schema):
    """A truth that was learned."""

    label = fields.String(allow_none=True)
    value = fields.Float(allow_none=True)
    learned_at = UtcTime(data_key="learnedAt")
    replaced_at = UtcTime(
        data_key="replacedAt",
        allow_none=True,
        metadata={"description": "When the next truth replaced it; null for the current one"},
    )


class PredictionOfRequestSchema(RequestSchema):
    """A prediction of the request, and everything that was learned about it."""

    namespace = fields.String()
    pipeline = fields.String()
    model = fields.String()
    kept = fields.Boolean(
        metadata={"description": "Whether its rows are kept, or only its output and latest truth"}
    )
    truths = fields.List(fields.Nested(LearnedTruthSchema))


class PendingTruthSchema(Schema):
    """A truth that waits for its prediction."""

    namespace = fields.String()
    pipeline = fields.String()
    model = fields.String()
    batch_index = fields.Integer(data_key="batchIndex")
    label = fields.String(allow_none=True)
    value = fields.Float(allow_none=True)
    received_at = UtcTime(data_key="receivedAt")


class RequestHistorySchema(Schema):
    """Predictions of a request, newest first, and truths that wait for one."""

    request_id = fields.String(data_key="requestId")
    predictions = fields.List(fields.Nested(PredictionOfRequestSchema))
    pending = fields.List(fields.Nested(PendingTruthSchema))
    kept_since = UtcTime(
        data_key="keptSince",
        allow_none=True,
        metadata={"description": "Rows received before are no longer kept; null: all are"},
    )


@blp.route("/requests")
@needs(Role.READ)
@blp.arguments(RequestsArgs, location="query", unknown=RAISE)
@blp.response(200, RequestsSchema)
def get_requests(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Predictions of a model with their truths, newest first

    A page reads a bounded number of rows, and says how many. All pages of one cursor are of one
    moment: none repeats a request or omits one, whatever arrives in between.
    """
    cursor: RequestCursor | None = args.get("cursor")
    as_of = cursor.as_of if cursor else args.get("as_of")
    question = Question(workspace_id, scope_of(args), window_of(args), as_of=as_of)
    which = filter_of(args)
    with database().asking(question.as_of) as conn:
        page = requests_page(
            conn,
            settle(conn, question),
            which,
            size=args["size"],
            after=cursor.position if cursor else None,
        )
    return _page(page)


@blp.route("/requests/<name:request_id>")
@needs(Role.READ)
@blp.arguments(HistoryArgs, location="query", unknown=RAISE)
@blp.response(200, RequestHistorySchema)
def get_request(args: dict[str, Any], workspace_id: int, request_id: str) -> dict[str, Any]:
    """The history of one request

    Every prediction of every version, and every truth with the moment at which it was learned.
    """
    check_name("a request's id", request_id)
    with database().asking() as conn:
        history = request_history(
            conn, workspace_id=workspace_id, lookup=Lookup(request_id, **args)
        )
    return _history(history)


def window_of(args: dict[str, Any]) -> Window:
    """The window of `FilterArgs`.

    Raises:
        InvalidWindow: it is empty.
    """
    return Window(args.get("start", EVER.start), args.get("end", EVER.end))


def filter_of(args: dict[str, Any]) -> RequestFilter:
    """The filter of `FilterArgs`.

    Raises:
        InvalidInput: no request can meet it.
    """
    names = [name for name in RequestFilter.__slots__ if name != "labelled"]
    unlabelled = args.get("unlabelled")
    return RequestFilter(
        labelled=None if unlabelled is None else not unlabelled,
        **{name: args.get(name) for name in names},
    )


def _page(page: RequestPage) -> dict[str, Any]:
    cursor = RequestCursor.after(page)
    return {
        "requests": [_request(request) for request in page.requests],
        "following": cursor and packed(cursor),
        "n_read": page.n_read,
        "searched_from": page.searched_from,
        "as_of": page.moment.effective_as_of,
        "kept_since": page.kept_since,
    }


def _request(request: Request) -> dict[str, Any]:
    members: dict[str, Any] = asdict(request)
    part = members.pop("part")
    return {**members, **part, "wrong": request.wrong, "corrected": request.corrected}


def _history(history: RequestHistory) -> dict[str, Any]:
    return {
        "request_id": history.request_id,
        "predictions": [_prediction(prediction) for prediction in history.predictions],
        "pending": [_pending(truth) for truth in history.pending],
        "kept_since": history.kept_since,
    }


def _prediction(prediction: Prediction) -> dict[str, Any]:
    names = _names(prediction.name)
    rest = {"kept": prediction.kept, "truths": prediction.truths}
    return _request(prediction.request) | names | rest


def _pending(truth: PendingTruth) -> dict[str, Any]:
    return asdict(truth) | _names(truth.name)


def _names(name: ModelName) -> dict[str, str]:
    return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
