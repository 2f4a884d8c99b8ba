"""Native metrics: any window, any interval, any moment, with the basis of the answer."""

import re
from datetime import timedelta
from typing import Any, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.numbers import UtcTime
from app.api.http.parameters import (
    Confidence,
    Instant,
    NotADuration,
    StrictArgs,
    Text,
    parse_go_duration,
)
from app.api.http.query_limiter import add_buckets
from app.api.native.numbers import Requested, intervals, numbers
from app.api.native.tags import GroupArgs, TagArgs, division_of, grouped, part_fields
from app.auth.keys import Role
from app.errors import InvalidWindow
from app.query.classification import Average, ClassificationBucket, classification
from app.query.measures import CLASS, CLASSIFICATION, REGRESSION, TRUTHS
from app.query.question import Answer, Part, Question
from app.query.regression import RegressionBucket, regression
from app.query.subjects import Scope
from app.query.tags import TagFilter
from app.query.window import Calendar, Grid, Window, fixed_grid, zones
from app.running import database
from app.store.registry import ModelName

MAX_BUCKETS = 10_000
IF_REQUESTED = {"description": "If requested"}
WHOLE_AND_REST = 2  # an answer in parts has them in addition to its largest parts
Bucket = TypeVar("Bucket", ClassificationBucket, RegressionBucket)

blp = Blueprint("metrics", __name__, url_prefix="/api/v1/metrics", description="How good it was")

# Years up to 999: the database's calendar does not go back thousands of years BC.
_CALENDAR = re.compile(r"(?P<number>[1-9]\d{0,3})(?P<unit>d|w|mo|(?<!\d{4})y)", re.ASCII)
_UNITS = {
    "d": lambda number: Calendar(days=number),
    "w": lambda number: Calendar(days=7 * number),
    "mo": lambda number: Calendar(months=number),
    "y": lambda number: Calendar(months=12 * number),
}


def parse_interval(text: str) -> timedelta | Calendar:
    """Parse a Go duration, or days, weeks, months or years of the calendar.

    Raises:
        ValueError: it is neither, or out of range.
    """
    if match := _CALENDAR.fullmatch(text):
        return _UNITS[match["unit"]](int(match["number"]))
    try:
        return parse_go_duration(text)
    except NotADuration as error:
        raise ValueError(f"{error}, or of the calendar, like 1d, 2w, 1mo or 1y") from None


class Interval(fields.Field[timedelta | Calendar]):
    """The width of buckets in a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta | Calendar:
        try:
            return parse_interval(str(value))
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _check_zone(name: str) -> None:
    if name not in zones():
        raise ValidationError("must be a time zone like Europe/Paris")


class SpanArgs(StrictArgs):
    """A window."""

    start = Instant(required=True, data_key="startTime", metadata={"format": "date-time"})
    end = Instant(required=True, data_key="endTime", metadata={"format": "date-time"})


class WindowArgs(SpanArgs):
    """A window, and how it is divided into buckets."""

    interval = Interval(
        metadata={
            "description": "Like 10s or 1h30m; 1d, 1w, 1mo and 1y follow the calendar of timeZone;"
            " absent: one bucket"
        }
    )
    align = fields.String(
        load_default="start",
        validate=validate.OneOf(["start", "epoch"]),
        metadata={"description": "Buckets begin at startTime, or lie on a fixed grid"},
    )
    zone = fields.String(
        load_default="UTC", data_key="timeZone", validate=_check_zone, metadata={"example": "UTC"}
    )


class ScopeArgs(StrictArgs, TagArgs):
    """A model or a part of it, as of a moment: also what each side of a comparison may have."""

    namespace = Text(load_default="")
    pipeline = Text(load_default="")
    model = Text(required=True, validate=validate.Length(min=1, error="must not be empty"))
    deployment = Text(metadata={"description": "Only this deployment's predictions"})
    version = Text(metadata={"description": "Only this version's predictions"})
    as_of = Instant(
        data_key="asOf",
        metadata={"format": "date-time", "description": "As it was known at this moment"},
    )


class ModelArgs(WindowArgs, ScopeArgs):
    """A window, and a model or a part of it."""


class MetricsArgs(ModelArgs, GroupArgs):
    """A window, a model, and what else the answer includes."""

    confidence = Confidence()
    explain = fields.Boolean(
        load_default=False,
        error_messages={"invalid": "must be true or false"},
        metadata={"description": "Include what the answer was summed from"},
    )


class ClassificationArgs(MetricsArgs):
    """A window, a model, and how classes are averaged."""

    average = fields.Enum(Average, by_value=True, load_default=Average.MACRO)


class BucketSchema(Schema):
    """A bucket of the window; metrics are null without truths."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = numbers(TRUTHS)


class ClassIntervalsSchema(Schema):
    """Confidence intervals of the metrics of a class; null if undefined."""

    class Meta:  # noqa: D106 - as above
        include = intervals(CLASS)


class ClassificationIntervalsSchema(Schema):
    """Confidence intervals of the metrics of a bucket; null if undefined."""

    class Meta:  # noqa: D106 - as above
        include = intervals(CLASSIFICATION)


class RegressionIntervalsSchema(Schema):
    """Confidence intervals of the metrics of a bucket; null if undefined."""

    class Meta:  # noqa: D106 - as above
        include = intervals(REGRESSION)


class ClassMetricsSchema(Schema):
    """One class versus all others; null if a denominator is zero."""

    label = fields.String()
    intervals = Requested(ClassIntervalsSchema, metadata=IF_REQUESTED)

    class Meta:  # noqa: D106 - as above
        include = numbers(CLASS)


class ClassificationSchema(BucketSchema):
    """Fractions of 1."""

    class Meta:  # noqa: D106 - as above
        include = numbers(CLASSIFICATION)


class ClassificationBucketSchema(ClassificationSchema):
    """Fractions of 1, of the bucket and of each class; and the confusion matrix."""

    classes = fields.List(fields.Nested(ClassMetricsSchema))
    intervals = Requested(ClassificationIntervalsSchema, metadata=IF_REQUESTED)
    categories = fields.List(fields.String(), attribute="matrix.categories")
    matrix = fields.List(
        fields.List(fields.Integer()),
        attribute="matrix.values",
        data_key="confusionMatrix",
        metadata={"description": "Rows are the truth, columns the prediction, along categories"},
    )


class RegressionBucketSchema(BucketSchema):
    """Errors in the model's own unit; error is predicted minus actual."""

    intervals = Requested(RegressionIntervalsSchema, metadata=IF_REQUESTED)

    class Meta:  # noqa: D106 - as above
        include = numbers(REGRESSION)


class PieceSchema(Schema):
    """What was read: a level or a raw table, and when its rows were received."""

    source = fields.String()
    learned_from = UtcTime(data_key="learnedFrom")
    learned_until = UtcTime(data_key="learnedUntil", allow_none=True)
    rows = fields.Integer()


class PartSchema(Schema):
    """A part of the predictions: its numbers in the window, and in each bucket."""

    n = fields.Integer(metadata={"description": TRUTHS["n"].meaning})
    predictions = fields.Integer(metadata={"description": TRUTHS["predictions"].meaning})


class AnswerSchema(BasisSchema):
    """Buckets, oldest first, and their basis."""

    pieces = fields.List(fields.Nested(PieceSchema), data_key="explain", metadata=IF_REQUESTED)
    confidence = fields.Float(metadata={"description": "That of intervals, if requested"})


class ClassificationPartSchema(PartSchema):
    """A part of a classifier's predictions."""

    buckets = fields.List(fields.Nested(ClassificationBucketSchema))


class RegressionPartSchema(PartSchema):
    """A part of a regressor's predictions."""

    buckets = fields.List(fields.Nested(RegressionBucketSchema))


class ClassificationAnswerSchema(AnswerSchema):
    """Of a classifier."""

    buckets = fields.List(fields.Nested(ClassificationBucketSchema))

    class Meta:  # noqa: D106 - as above
        include = part_fields(ClassificationPartSchema, "Classification")


class RegressionAnswerSchema(AnswerSchema):
    """Of a regressor."""

    buckets = fields.List(fields.Nested(RegressionBucketSchema))

    class Meta:  # noqa: D106 - as above
        include = part_fields(RegressionPartSchema, "Regression")


@blp.route("/classification")
@needs(Role.READ)
@blp.arguments(ClassificationArgs, location="query", unknown=RAISE)
@blp.response(200, ClassificationAnswerSchema)
def get_classification(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Accuracy, precision, recall, F1 and confusion matrices over time

    Truths count in the bucket in which their prediction was made. Late and corrected truths are
    included in the next answer.
    """
    question = question_of(args, workspace_id)
    with database().asking(question.as_of) as conn:
        answer = classification(
            conn,
            database().registry,
            question,
            average=args["average"],
            confidence=args.get("confidence"),
            with_predictions=True,
            explained=args["explain"],
            division=division_of(args),
        )
    return _members(answer, args)


@blp.route("/regression")
@needs(Role.READ)
@blp.arguments(MetricsArgs, location="query", unknown=RAISE)
@blp.response(200, RegressionAnswerSchema)
def get_regression(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Errors, bias, R² and percentage error over time

    Truths count in the bucket in which their prediction was made. Late and corrected truths are
    included in the next answer.
    """
    question = question_of(args, workspace_id)
    with database().asking(question.as_of) as conn:
        answer = regression(
            conn,
            question,
            confidence=args.get("confidence"),
            with_predictions=True,
            explained=args["explain"],
            division=division_of(args),
        )
    return _members(answer, args)


def question_of(args: dict[str, Any], workspace_id: int) -> Question[Scope]:
    """The parameters as a question; of one bucket, unless `WindowArgs` say otherwise.

    Raises:
        InvalidWindow, Busy: as in `buckets_of`.
    """
    division = division_of(args)
    window, grid = buckets_of(args, times=division.most + WHOLE_AND_REST if division else 1)
    return Question(workspace_id, scope_of(args), window, grid, args.get("as_of"))


def scope_of(args: dict[str, Any]) -> Scope:
    """The model or part of `ScopeArgs`."""
    name = ModelName(args["namespace"], args["pipeline"], args["model"])
    tags = TagFilter.of(args.get("tags", ()))
    return Scope(name, args.get("deployment"), args.get("version"), tags)


def buckets_of(args: dict[str, Any], times: int = 1) -> tuple[Window, Grid]:
    """Window and grid of `WindowArgs`, for an answer that has all buckets so many times.

    Raises:
        InvalidWindow: the window is empty, or has more buckets than one answer may have.
        Busy: the workspace requests too many at once.
    """
    window = Window(args["start"], args["end"])
    grid = _grid(args.get("interval"), args.get("align", "start"), args.get("zone", "UTC"))
    grid.check(window, MAX_BUCKETS, times)
    add_buckets(grid.buckets(window) * times)
    return window, grid


def _grid(width: timedelta | Calendar | None, align: str, zone: str) -> Grid:
    if align == "start":
        return Grid(width, None, zone)
    if width is None:
        raise InvalidWindow("align=epoch needs an interval")
    return fixed_grid(width, zone)


def _members(answer: Answer[Bucket], args: dict[str, Any]) -> dict[str, Any]:
    """Members of `AnswerSchema`."""
    members = basis_members(answer.basis) | {"buckets": _buckets(answer)}
    if answer.pieces is not None:
        members["pieces"] = answer.pieces
    if "confidence" in args:
        members["confidence"] = args["confidence"]
    if answer.parts is not None:
        parts = [
            {name: getattr(part, name) for name in PART} | {"buckets": _buckets(part)}
            for part in answer.parts
        ]
        members |= grouped(answer.parts, parts)
    return members


PART = ("value", "values", "n", "predictions")


def _buckets(answer: Answer[Bucket] | Part[Bucket]) -> list[dict[str, Any]]:
    return [
        {name: getattr(bucket, name) for name in bucket.__slots__}
        | {"predictions": coverage.predictions, "labelled_share": coverage.labelled_share}
        for bucket, coverage in zip(answer.buckets, answer.coverage, strict=True)
    ]
