"""Native metrics of scores, the curves behind them, and the class that they are about."""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.body import read_message
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Confidence, StrictArgs, Text
from app.api.http.reference import takes_body
from app.api.native.metrics import (
    IF_REQUESTED,
    ModelArgs,
    ScopeArgs,
    SpanArgs,
    question_of,
)
from app.api.native.numbers import Requested, intervals, numbers
from app.auth.keys import Role
from app.ingest.positive_class import PositiveClass, declare_positive_class
from app.query.measures import SCORES
from app.query.scores import METRICS, curves, scores
from app.running import database
from app.store.registry import ModelName

MAX_POINTS = 10_000
MAX_PARTS = 1_000

blp = Blueprint("scores", __name__, url_prefix="/api/v1", description="How good its scores were")

_ON_WIRE = {SCORES[name].wire_name: name for name in METRICS}


def positive_class() -> Text:
    """The parameter that names the class which scores are about."""
    return Text(
        data_key="positiveClass",
        metadata={
            "description": "One of the classes of a model with two classes; default: the one that"
            " was declared, else the second of the subscription's categories, else the one that"
            " sorts last. In a model with more classes, one that was declared; default: the one"
            " that is declared now"
        },
    )


class ScoresArgs(ModelArgs):
    """A window, a model, and which metrics of its scores."""

    confidence = Confidence()
    positive = positive_class()
    metrics = fields.List(
        fields.String(validate=validate.OneOf(list(_ON_WIRE))),
        data_key="metric",
        metadata={
            "description": "Only compute these, which is faster; repeat it for several. Others are"
            " null"
        },
    )


class CurvesArgs(SpanArgs, ScopeArgs):
    """A window, a model, and where its curves have points."""

    positive = positive_class()
    thresholds = fields.List(
        fields.Float(validate=validate.Range(0, 1)),
        data_key="threshold",
        metadata={"description": "Points only here; repeat it for several"},
    )
    points = fields.Integer(
        load_default=200,
        validate=validate.Range(2, MAX_POINTS),
        metadata={
            "description": "Without thresholds: a point per distinct score, or about so many of"
            " them, which are exact too"
        },
    )
    parts = fields.Integer(
        load_default=10,
        validate=validate.Range(1, MAX_PARTS),
        metadata={"description": "Into how many equal parts calibration divides scores"},
    )


class ScoreIntervalsSchema(Schema):
    """Confidence intervals of the metrics of scores; null if undefined."""

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = intervals(SCORES)


class ScoreBucketSchema(Schema):
    """How good scores are, in a bucket."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    intervals = Requested(ScoreIntervalsSchema, metadata=IF_REQUESTED)

    class Meta:  # noqa: D106 - as above
        include = numbers(SCORES)


class PositiveSchema(BasisSchema):
    """The basis of an answer, and the class it is about."""

    positive = fields.String(
        data_key="positiveClass",
        allow_none=True,
        metadata={"description": "null for a model of more than two classes that declares none"},
    )


class ScoreAnswerSchema(PositiveSchema):
    """Buckets, oldest first, and their basis."""

    buckets = fields.List(fields.Nested(ScoreBucketSchema))
    confidence = fields.Float(metadata={"description": "That of intervals, if requested"})


class ThresholdSchema(Schema):
    """If scores at or above the threshold predict the positive class; null if divided by 0."""

    threshold = fields.Float()
    true_positives = fields.Integer(data_key="truePositives")
    false_positives = fields.Integer(data_key="falsePositives")
    false_negatives = fields.Integer(data_key="falseNegatives")
    true_negatives = fields.Integer(data_key="trueNegatives")
    precision = fields.Float(allow_none=True)
    recall = fields.Float(allow_none=True)
    false_positive_rate = fields.Float(data_key="falsePositiveRate", allow_none=True)


class CalibrationSchema(Schema):
    """Scores within (from, to], the first part including 0, and how many came true."""

    start = fields.Float(data_key="from")
    end = fields.Float(data_key="to")
    n = fields.Integer()
    mean_score = fields.Float(data_key="meanScore")
    share = fields.Float(metadata={"description": "Of truths that are the class"})


class CurvesAnswerSchema(PositiveSchema):
    """Curves of a window and their basis.

    Without a positive class there are no points, and calibration is of the predicted class.
    """

    n_unranked = fields.Integer(
        data_key="nUnranked",
        allow_none=True,
        metadata={
            "description": "Truths with scores that are not counted, because the declared class of"
            " more than two was not declared when they were stored. null without a positive class"
        },
    )
    points = fields.List(fields.Nested(ThresholdSchema))
    calibration = fields.List(fields.Nested(CalibrationSchema))


@blp.route("/metrics/scores")
@needs(Role.READ)
@blp.arguments(ScoresArgs, location="query", unknown=RAISE)
@blp.response(200, ScoreAnswerSchema)
def get_scores(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Log loss, Brier score, ROC AUC, average precision and calibration error over time

    Of a classifier that sends scores; if it has two classes, a confidence is enough. A class
    without a score has score 0. Truths count as in the other metrics.
    """
    question = question_of(args, workspace_id)
    chosen = [_ON_WIRE[name] for name in args.get("metrics", _ON_WIRE)]
    with database().asking(question.as_of) as conn:
        answer = scores(
            conn,
            database().registry,
            question,
            positive=args.get("positive"),
            metrics=chosen,
            confidence=args.get("confidence"),
        )
    members = {"positive": answer.positive, "buckets": answer.buckets}
    if "confidence" in args:
        members["confidence"] = args["confidence"]
    return basis_members(answer.basis) | members


@blp.route("/metrics/score-curves")
@needs(Role.READ)
@blp.arguments(CurvesArgs, location="query", unknown=RAISE)
@blp.response(200, CurvesAnswerSchema)
def get_score_curves(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """ROC, precision-recall and reliability curves of a window

    Points are confusion counts at thresholds, from the highest.
    """
    question = question_of(args, workspace_id)
    with database().asking(question.as_of) as conn:
        answer = curves(
            conn,
            database().registry,
            question,
            positive=args.get("positive"),
            thresholds=args.get("thresholds"),
            n_points=args["points"],
            n_parts=args["parts"],
        )
    return basis_members(answer.basis) | {
        "positive": answer.positive,
        "n_unranked": answer.n_unranked,
        "points": answer.points,
        "calibration": answer.calibration,
    }


class ModelNameArgs(StrictArgs):
    """A model by name."""

    namespace = Text(load_default="")
    pipeline = Text(load_default="")
    model = Text(required=True, validate=validate.Length(min=1, error="must not be empty"))


class PositiveClassSchema(Schema):
    """The declared class; null if there is none."""

    positive_class = fields.String(data_key="positiveClass", allow_none=True)


@blp.route("/models/positive-class", methods=["PUT"])
@needs(Role.INGEST)
@blp.arguments(ModelNameArgs, location="query", unknown=RAISE)
@takes_body(blp, PositiveClass)
@blp.response(200, PositiveClassSchema)
def put_positive_class(args: dict[str, Any], workspace_id: int) -> PositiveClass:
    """Declare which class of a classifier its scores are about

    The model is created if it does not exist. With two classes, answers about earlier rows follow,
    because cells hold the scores of both. With more, the score of the declared class is kept with
    each truth that is stored from now on; truths before count as `nUnranked`.
    """
    body = read_message(PositiveClass)
    name = ModelName(args["namespace"], args["pipeline"], args["model"])
    declare_positive_class(database(), workspace_id, name, body.positive_class)
    return body
