"""Native drift: has what a model sees or answers changed?"""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.numbers import UtcTime
from app.api.native.compare import MomentOfSideSchema, OfTwoSides, side_members
from app.api.native.metrics import WindowArgs, question_of
from app.auth.keys import Role
from app.query.drift import BY_WIRE, WIRE, Drift, DriftPart, Quantity, drift
from app.running import database

blp = Blueprint("drift", __name__, url_prefix="/api/v1/metrics", description="Has it changed?")


class DriftArgs(OfTwoSides):
    """A quantity of two sides; the window of side B may be divided into buckets."""

    of = fields.Enum(
        Quantity,
        by_value=True,
        required=True,
        metadata={"description": "A label, a confidence, a predicted value, or a latency"},
    )
    statistics = fields.List(
        fields.String(validate=validate.OneOf(list(BY_WIRE))),
        data_key="statistic",
        metadata={
            "description": "Only this one; repeat it for several. wasserstein reads up to all"
            " numbers of both sides, kolmogorovSmirnov a few, and the others none",
            "example": ["psi"],
        },
    )

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = {  # noqa: RUF012 - read once
            name: WindowArgs().fields[name] for name in ("interval", "align", "zone")
        }


class DriftStatisticSchema(Schema):
    """A statistic; null if a side is empty."""

    statistic = fields.String(metadata={"enum": list(BY_WIRE)})
    value = fields.Float(allow_none=True)
    noise = fields.Float(
        allow_none=True, metadata={"description": "Expected value without drift, at these sizes"}
    )
    p_value = fields.Float(
        data_key="pValue",
        allow_none=True,
        metadata={
            "description": "Probability of at least this value without drift; null if it has none"
        },
    )


class DriftPartSchema(Schema):
    """A label, or the numbers from lower to below upper, and how many each side has."""

    label = fields.String(allow_none=True, metadata={"description": "null for numbers"})
    lower = fields.Float(allow_none=True, metadata={"description": "null: without bound"})
    upper = fields.Float(allow_none=True, metadata={"description": "null: without bound"})
    a = fields.Integer()
    b = fields.Integer()


class DriftBucketSchema(Schema):
    """The drift of one bucket of side B from side A."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    a_n = fields.Integer(data_key="nA", metadata={"description": "Labels or numbers of side A"})
    b_n = fields.Integer(data_key="nB", metadata={"description": "Those of the bucket"})
    statistics = fields.List(fields.Nested(DriftStatisticSchema))
    parts = fields.List(fields.Nested(DriftPartSchema))
    new = fields.List(fields.String(), metadata={"description": "Labels that only side B has"})
    vanished = fields.List(fields.String(), metadata={"description": "Labels that only side A has"})
    new_share = fields.Float(
        data_key="newShare",
        allow_none=True,
        metadata={"description": "Share of side B in parts that side A lacks"},
    )
    vanished_share = fields.Float(
        data_key="vanishedShare",
        allow_none=True,
        metadata={"description": "Share of side A in parts that side B lacks"},
    )


class DriftAnswerSchema(Schema):
    """How far side B is from side A, the reference."""

    of = fields.Enum(Quantity, by_value=True)
    a = fields.Nested(MomentOfSideSchema)
    b = fields.Nested(MomentOfSideSchema)
    buckets = fields.List(fields.Nested(DriftBucketSchema))


@blp.route("/drift")
@needs(Role.READ)
@blp.arguments(DriftArgs, location="query", unknown=RAISE)
@blp.response(200, DriftAnswerSchema)
def get_drift(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """How far labels, confidences, values or latencies have drifted from a reference

    Side A is the reference: a window, and a model or a part of it. Parameters of sides are those of
    a comparison. With an interval, each bucket of side B is compared with the whole of side A.
    """
    grid = {name: args.pop(name) for name in ("interval", "align", "zone") if name in args}
    a = question_of(args["a"], workspace_id)
    b = question_of(args["b"] | grid, workspace_id)
    wanted = args.get("statistics")
    with database().asking(a.as_of, b.as_of) as conn:
        found = drift(
            conn,
            a,
            b,
            of=args["of"],
            statistics=None if wanted is None else [BY_WIRE[name] for name in wanted],
        )
    return {
        "of": args["of"],
        "a": side_members(a, found.a),
        "b": side_members(b, found.b),
        "buckets": [_bucket(one) for one in found.buckets],
    }


def _bucket(one: Drift) -> dict[str, Any]:
    names = ("start", "end", "a_n", "b_n", "parts", "new_share", "vanished_share")
    return {name: getattr(one, name) for name in names} | {
        "statistics": [
            {
                "statistic": WIRE[own.statistic],
                "value": own.value,
                "noise": own.noise,
                "p_value": own.p_value,
            }
            for own in one.statistics
        ],
        "new": _labels(one.new),
        "vanished": _labels(one.vanished),
    }


def _labels(parts: list[DriftPart]) -> list[str | None]:
    return [part.label for part in parts]
