"""Native: accuracy corrected for which predictions got a truth."""

from typing import Any

from marshmallow import RAISE, Schema, fields

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Confidence
from app.api.native.metrics import ModelArgs, question_of
from app.api.native.numbers import IntervalSchema
from app.auth.keys import Role
from app.query.corrected import corrected_accuracy
from app.running import database

CONFIDENCE = 0.95

blp = Blueprint(
    "corrected", __name__, url_prefix="/api/v1/metrics", description="If truths are picked"
)


class CorrectedArgs(ModelArgs):
    """A window, a model, and the confidence of intervals."""

    confidence = Confidence(load_default=CONFIDENCE)


class CorrectedBucketSchema(Schema):
    """A bucket; null without truths."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    predictions = fields.Integer(metadata={"description": "With a class and a confidence"})
    n = fields.Integer(metadata={"description": "Those that have a truth"})
    accuracy = fields.Float(allow_none=True, metadata={"description": "Of these truths"})
    corrected = fields.Float(
        allow_none=True,
        data_key="correctedAccuracy",
        metadata={
            "description": "An estimate of the accuracy of all predictions: truths count as often"
            " as there are predictions of the same class and similar confidence"
        },
    )
    interval = fields.Nested(
        IntervalSchema,
        allow_none=True,
        metadata={"description": "Confidence interval of correctedAccuracy"},
    )
    accuracy_interval = fields.Nested(
        IntervalSchema,
        allow_none=True,
        data_key="accuracyInterval",
        metadata={"description": "Confidence interval of accuracy"},
    )
    covered = fields.Float(
        allow_none=True,
        data_key="coveredShare",
        metadata={
            "description": "Share of predictions that correctedAccuracy is about; no truth is known"
            " of the classes of the others"
        },
    )


class CorrectedSchema(BasisSchema):
    """Buckets, oldest first, and their basis."""

    buckets = fields.List(fields.Nested(CorrectedBucketSchema))
    confidence = fields.Float()


@blp.route("/corrected-accuracy")
@needs(Role.READ)
@blp.arguments(CorrectedArgs, location="query", unknown=RAISE)
@blp.response(200, CorrectedSchema)
def get_corrected_accuracy(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Accuracy estimated for all predictions, if truths are not known of a fair sample

    Truths are weighted by post-stratification over the predicted class and its confidence. What
    these do not tell about a prediction is not corrected.
    """
    question = question_of(args, workspace_id)
    with database().asking(question.as_of) as conn:
        answer = corrected_accuracy(conn, question, args["confidence"])
    return basis_members(answer.basis) | {
        "buckets": answer.buckets,
        "confidence": args["confidence"],
    }
