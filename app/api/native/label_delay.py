"""Native: how late truths are, and how many are still expected."""

from typing import Any

from marshmallow import RAISE, Schema, fields

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.numbers import UtcTime
from app.api.native.metrics import ScopeArgs, WindowArgs, buckets_of, scope_of
from app.auth.keys import Role
from app.query.label_delay import LabelDelay, label_delay
from app.query.question import Question
from app.running import database

blp = Blueprint("label_delay", __name__, url_prefix="/api/v1/metrics", description="How late")


class LabelDelayArgs(WindowArgs, ScopeArgs):
    """A window, and a model or a part of it."""


class DelayedSchema(Schema):
    """Predictions that are at least as old as a delay; null if none is."""

    delay = fields.String(metadata={"description": "1h, 6h, 1d, 7d or 30d"})
    until = UtcTime(
        allow_none=True,
        metadata={"description": "Predictions made from startTime until then are counted"},
    )
    predictions = fields.Integer(allow_none=True)
    known = fields.Integer(
        allow_none=True, metadata={"description": "Those whose truth was known within the delay"}
    )
    possible = fields.Integer(
        allow_none=True,
        metadata={"description": "More than known if rows were dropped that would tell"},
    )
    share = fields.Float(
        allow_none=True, metadata={"description": "known of predictions, a fraction of 1"}
    )


class ExpectedSchema(Schema):
    """A bucket of the window."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    predictions = fields.Integer()
    n = fields.Integer(metadata={"description": "Truths so far"})
    labelled_share = fields.Float(data_key="labelledShare", allow_none=True)
    still_expected = fields.Float(
        data_key="stillExpected",
        allow_none=True,
        metadata={
            "description": "An estimate by the curve: the share of the predictions whose truth is"
            " still to come; null without a curve"
        },
    )


class LabelDelaySchema(BasisSchema):
    """The curve, shortest delay first, and the buckets, oldest first."""

    curve = fields.List(fields.Nested(DelayedSchema))
    buckets = fields.List(fields.Nested(ExpectedSchema))


@blp.route("/label-delay")
@needs(Role.READ)
@blp.arguments(LabelDelayArgs, location="query", unknown=RAISE)
@blp.response(200, LabelDelaySchema)
def get_label_delay(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """How late truths are: the share of predictions whose truth is known after some delays

    Each delay counts only predictions that are at least that old, so that all had the same chance.
    """
    question = Question(workspace_id, scope_of(args), *buckets_of(args), args.get("as_of"))
    with database().asking(question.as_of) as conn:
        return _members(label_delay(conn, question))


def _members(delays: LabelDelay) -> dict[str, Any]:
    members = basis_members(delays.basis) | {"exact": delays.exact}
    return members | {"curve": delays.curve, "buckets": delays.buckets}
