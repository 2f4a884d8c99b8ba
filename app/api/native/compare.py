"""Native comparison of two sides: is the difference real?"""

import copy
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, post_load

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Confidence, StrictArgs
from app.api.native.metrics import ScopeArgs, SpanArgs, question_of
from app.api.native.numbers import IntervalSchema
from app.api.native.scores import positive_class
from app.auth.keys import Role
from app.query.classification import Average
from app.query.compare import Comparison, MetricComparison, compare
from app.query.question import Basis, Question
from app.query.subjects import Scope
from app.running import database
from app.store.registry import Kind

SIDES = ("a", "b")
CONFIDENCE = 0.95

blp = Blueprint("compare", __name__, url_prefix="/api/v1/metrics", description="Is it real?")


class SideArgs(SpanArgs, ScopeArgs):
    """A window, and a model or a part of it: what a side may be."""


def _fields_of_sides() -> dict[str, fields.Field[Any]]:
    """Each parameter of `SideArgs` three times: `version`, `a.version` and `b.version`."""
    return {
        (f"{side}_{name}" if side else name): _optional(field, field.data_key or name, side)
        for side in ("", *SIDES)
        for name, field in SideArgs().fields.items()
    }


def _optional(field: fields.Field[Any], wire: str, side: str) -> fields.Field[Any]:
    """A field that may be absent, because the other place may have it."""
    own = copy.deepcopy(field)
    own.required, own.load_default = False, missing
    own.data_key = f"{side}.{wire}" if side else wire
    meaning = f"{wire} of side {side.upper()} alone" if side else f"{wire} of both sides"
    own.metadata = {**own.metadata, "description": meaning}
    return own


class OfTwoSides(StrictArgs):
    """Two sides: `a.` or `b.` before a parameter applies it to one of them, nothing to both."""

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = _fields_of_sides()

    @post_load
    def into_sides(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Parameters of each side by its name, with the defaults of `SideArgs`, and the others."""
        of_sides = _fields_of_sides()
        others = {name: value for name, value in data.items() if name not in of_sides}
        return others | {side: _side(data, side) for side in SIDES}


class CompareArgs(OfTwoSides):
    """Two sides, and how they are compared."""

    average = fields.Enum(Average, by_value=True, load_default=Average.MACRO)
    confidence = Confidence(load_default=CONFIDENCE)
    scores = fields.Boolean(
        load_default=False,
        metadata={
            "description": "Compare the ROC AUC of classifiers too, and Brier score and log loss"
            " of those with two classes, which reads every score"
        },
    )
    positive = positive_class()


def _side(data: Mapping[str, Any], side: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in SideArgs().fields.items():
        value = data.get(f"{side}_{name}", data.get(name, field.load_default))
        if value is not missing:
            found[name] = value
        elif field.required:
            wire = field.data_key or name
            reason = f"Missing data for required field: give it, or a.{wire} and b.{wire}."
            raise ValidationError(reason, wire)
    return found


class MomentOfSideSchema(BasisSchema):
    """A side: its window, and the basis of its metrics."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")


class SideMetricSchema(Schema):
    """A metric of one side; null without truths."""

    value = fields.Float(allow_none=True)
    n = fields.Integer(metadata={"description": "Truths that the metric was computed from"})
    interval = fields.Nested(IntervalSchema, allow_none=True)


class MetricComparisonSchema(Schema):
    """A metric of both sides."""

    metric = fields.String(metadata={"description": "Its name in answers about one window"})
    a = fields.Nested(SideMetricSchema)
    b = fields.Nested(SideMetricSchema)
    difference = fields.Float(allow_none=True, metadata={"description": "A minus B"})
    interval = fields.Nested(
        IntervalSchema,
        allow_none=True,
        metadata={"description": "Confidence interval of the difference"},
    )
    p_value = fields.Float(
        data_key="pValue",
        allow_none=True,
        metadata={"description": "Probability of a difference this large if there is none"},
    )
    verdict = fields.String(metadata={"example": "not distinguishable with these truths"})
    better = fields.String(
        allow_none=True,
        metadata={"description": "a or b; null if not distinguishable, or if neither is better"},
    )


class ComparisonSchema(Schema):
    """Two sides, and whether their metrics differ by more than chance explains."""

    kind = fields.Enum(Kind, by_value=True, allow_none=True)
    confidence = fields.Float()
    a = fields.Nested(MomentOfSideSchema)
    b = fields.Nested(MomentOfSideSchema)
    metrics = fields.List(fields.Nested(MetricComparisonSchema))


@blp.route("/compare")
@needs(Role.READ)
@blp.arguments(CompareArgs, location="query", unknown=RAISE)
@blp.response(200, ComparisonSchema)
def get_comparison(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Whether the metrics of two windows, versions or deployments differ by more than chance

    Each side has a window and a model or a part of it. A parameter without a prefix applies to both
    sides, and one that begins with a. or b. to one of them.
    """
    a, b = (question_of(args.pop(side), workspace_id) for side in SIDES)
    with database().asking(a.as_of, b.as_of) as conn:
        found = compare(conn, a, b, **args)
    return _members(found, a, b) | {"confidence": args["confidence"]}


def _members(found: Comparison, a: Question[Scope], b: Question[Scope]) -> dict[str, Any]:
    """Members of `ComparisonSchema`."""
    return {
        "kind": found.kind,
        "a": side_members(a, found.a),
        "b": side_members(b, found.b),
        "metrics": [_metric_members(one) for one in found.metrics],
    }


def side_members(question: Question[Scope], basis: Basis) -> dict[str, Any]:
    """Members of `MomentOfSideSchema`."""
    return basis_members(basis) | {"start": question.window.start, "end": question.window.end}


def _metric_members(one: MetricComparison) -> dict[str, Any]:
    names = ("a", "b", "difference", "interval", "p_value", "verdict", "better")
    return {"metric": one.measure.wire_name} | {name: getattr(one, name) for name in names}
