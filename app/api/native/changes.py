"""Native "what changed": which predictions does a difference come from?"""

from typing import Any

from marshmallow import RAISE, Schema, fields

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.native.compare import SIDES, MomentOfSideSchema, OfTwoSides, side_members
from app.api.native.metrics import question_of
from app.auth.keys import Role
from app.query.changes import By, MeanMetric, changes
from app.running import database

blp = Blueprint("changes", __name__, url_prefix="/api/v1/metrics", description="What changed?")


class ChangesArgs(OfTwoSides):
    """Two sides, and a metric that is a mean."""

    metric = fields.Enum(
        MeanMetric,
        by_value=True,
        metadata={
            "description": "By default meanAbsoluteError of a regressor, and accuracy of others;"
            " meanLatency is in seconds"
        },
    )


class ChangedPartSchema(Schema):
    """A part of the predictions; effects are in the metric's unit."""

    value = fields.String(
        allow_none=True, metadata={"description": "null for those without the tag or class"}
    )
    a = fields.Float(allow_none=True, metadata={"description": "The metric; null without any"})
    b = fields.Float(allow_none=True)
    a_n = fields.Integer(data_key="nA")
    b_n = fields.Integer(data_key="nB")
    rate_effect = fields.Float(
        data_key="rateEffect", metadata={"description": "Because its own metric changed"}
    )
    mix_effect = fields.Float(
        data_key="mixEffect",
        metadata={"description": "Because its share of the predictions changed"},
    )
    effect = fields.Float(metadata={"description": "The sum of both"})


class ChangeDivisionSchema(Schema):
    """All parts by one criterion, the largest effect first; they add up to the change."""

    by = fields.Enum(By, by_value=True)
    key = fields.String(allow_none=True, metadata={"description": "That of a tag, else null"})
    parts = fields.List(fields.Nested(ChangedPartSchema))


class SideOfChangeSchema(MomentOfSideSchema):
    """A side: its window, the metric and how many predictions or truths it is the mean of."""

    value = fields.Float(allow_none=True)
    n = fields.Integer()


class ChangesSchema(Schema):
    """The change of a metric from side A to side B, and its parts."""

    metric = fields.Enum(MeanMetric, by_value=True)
    change = fields.Float(allow_none=True, metadata={"description": "B minus A"})
    a = fields.Nested(SideOfChangeSchema)
    b = fields.Nested(SideOfChangeSchema)
    divisions = fields.List(
        fields.Nested(ChangeDivisionSchema),
        metadata={"description": "First the one with the part that stands out most"},
    )


@blp.route("/changes")
@needs(Role.READ)
@blp.arguments(ChangesArgs, location="query", unknown=RAISE)
@blp.response(200, ChangesSchema)
def get_changes(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Which tags and classes a change of a metric comes from

    Parameters of sides are those of a comparison. Parts have an effect because their own metric
    changed, and because they became more or less frequent; within a division, all effects add up
    to the change.
    """
    a, b = (question_of(args[side], workspace_id) for side in SIDES)
    with database().asking(a.as_of, b.as_of) as conn:
        found = changes(conn, a, b, metric=args.get("metric"))
    whole = found.changes
    return {
        "metric": whole.metric,
        "change": whole.change,
        "a": side_members(a, found.a) | {"value": whole.a, "n": whole.a_n},
        "b": side_members(b, found.b) | {"value": whole.b, "n": whole.b_n},
        "divisions": whole.divisions,
    }
