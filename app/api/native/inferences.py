"""Native: the models of a workspace, and inference stats compared with the preceding period."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import Connection

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import BasisSchema, basis_members
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Confidence, Instant, Text
from app.api.native.numbers import QUANTILES, compared, numbers
from app.api.native.pages import PaginationArgs, PaginationSchema, cursor_for
from app.api.native.tags import GroupArgs, TagArgs, division_of, grouped, part_fields
from app.auth.keys import Role
from app.errors import InvalidInput
from app.query.inferences import (
    ClassStats,
    Compared,
    ModelStats,
    Totals,
    class_stats,
    model_stats,
    preceding,
    stats_basis,
)
from app.query.intervals import share_intervals
from app.query.measures import KNOWN_MODEL, MODEL, MODEL_CLASS, TOTALS
from app.query.models import KnownModel, known_models, models_basis
from app.query.pages import ModelPage, PagePosition, busiest, by_name
from app.query.parts import totals_by_tag
from app.query.question import Counted, Division, Question
from app.query.subjects import ALL, Selection
from app.query.tags import TagFilter
from app.query.window import Window, ending
from app.running import database
from app.store.registry import ModelName

PERIOD = timedelta(hours=24)
MAX_CLASSES = 1000  # of one model, in an answer about many
MAX_NAMES = 1000  # of its versions, and of its deployments
FRACTIONS = tuple(QUANTILES.values())

blp = Blueprint("inferences", __name__, url_prefix="/api/v1", description="What was predicted")


class PeriodArgs(Schema):
    """A window; by default the last 24 hours."""

    start = Instant(
        data_key="startTime",
        metadata={"format": "date-time", "description": "Absent: 24 hours before endTime"},
    )
    end = Instant(
        data_key="endTime", metadata={"format": "date-time", "description": "Absent: now"}
    )


class ModelsArgs(PeriodArgs, PaginationArgs):
    """A window, and a page of models."""


class StatsArgs(ModelsArgs, TagArgs, GroupArgs):
    """A window, a page, and a filter of inferences."""

    models = fields.List(
        Text(), data_key="model", metadata={"description": "Only these; repeat it for several"}
    )
    field = Text(
        data_key="fieldName",
        metadata={"description": "Only inferences with fieldValue in this field of metadata"},
    )
    value = Text(data_key="fieldValue")
    confidence = Confidence()


class TotalsSchema(Schema):
    """Inference stats of all models; means are per output."""

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = compared(TOTALS)


class ClassSchema(Schema):
    """One class of a model; means are per output."""

    label = fields.String()

    class Meta:  # noqa: D106 - as above
        include = compared(MODEL_CLASS)


class SeenClassSchema(ClassSchema):
    """One class, with its deployment types and server versions."""

    deployment_types = fields.List(fields.String(), data_key="deploymentTypes")
    server_versions = fields.List(fields.String(), data_key="serverVersions")


class ModelNumbersSchema(Schema):
    """Numbers of one model; latencies are per inference."""

    class Meta:  # noqa: D106 - as above
        include = compared(MODEL)


class ModelStatsSchema(ModelNumbersSchema):
    """One model; latencies are per inference."""

    namespace = fields.String()
    pipeline = fields.String()
    model = fields.String()
    classes = fields.List(
        fields.Nested(SeenClassSchema),
        metadata={"description": f"The busiest first, at most {MAX_CLASSES}"},
    )
    total_classes = fields.Integer(data_key="totalClasses")


class InferenceStatsSchema(BasisSchema, PaginationSchema):
    """A window compared with the preceding one of equal length; the busiest model first."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    previous_start = UtcTime(data_key="previousStartTime")
    totals = fields.Nested(TotalsSchema)
    models = fields.List(fields.Nested(ModelStatsSchema))

    class Meta:  # noqa: D106 - as above
        include = part_fields(TotalsSchema, "Inferences")


class KnownModelSchema(Schema):
    """A model; counts are of the window."""

    namespace = fields.String()
    pipeline = fields.String()
    model = fields.String(attribute="name")
    kind = fields.String(allow_none=True)
    versions = fields.List(fields.String())
    deployments = fields.List(fields.String())
    first_seen = UtcTime(data_key="firstSeen", allow_none=True)
    last_seen = UtcTime(data_key="lastSeen", allow_none=True)

    class Meta:  # noqa: D106 - as above
        include = numbers(KNOWN_MODEL)


class KnownModelsSchema(BasisSchema, PaginationSchema):
    """The models of a workspace, by name."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")
    models = fields.List(fields.Nested(KnownModelSchema))


@blp.route("/inference-stats")
@needs(Role.READ)
@blp.arguments(StatsArgs, location="query")
@blp.response(200, InferenceStatsSchema)
def get_inference_stats(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Inferences of a window compared with those of the preceding window

    Counts, errors, means and exact quantiles, per model and class.
    """
    window = _window(args)
    question = Question(workspace_id, _selection(args), window)
    with database().asking() as conn:
        totals, page = busiest(conn, question, size=args["size"], after=_position(args))
        names = [name.name for name in page.names]
        on_page = question.about(replace(question.subject, models=names))
        models = model_stats(conn, on_page, fractions=FRACTIONS)
        classes = class_stats(conn, on_page, fractions=FRACTIONS, per_model=MAX_CLASSES)
        rates = _error_rates(conn, [totals, *models], args.get("confidence"))
        basis = stats_basis(conn, question, Counted.SCORE, Counted.LATENCY)
        parts = _parts(conn, question, division_of(args))
    return (
        basis_members(basis)
        | parts
        | {
            "start": window.start,
            "end": window.end,
            "previous_start": preceding(window).start,
            "totals": {**_members(totals), "error_rate": rates[0]},
            "models": _models(page, models, rates[1:], classes),
            "total": page.total,
            "following": cursor_for(page.following, window),
        }
    )


@blp.route("/models")
@needs(Role.READ)
@blp.arguments(ModelsArgs, location="query")
@blp.response(200, KnownModelsSchema)
def get_models(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """The models of the workspace, and their inferences in a window"""
    window = _window(args)
    question = Question(workspace_id, ALL, window)
    with database().asking() as conn:
        page = by_name(conn, workspace_id=workspace_id, size=args["size"], after=_position(args))
        models = known_models(conn, question, frozenset(page.names))
        basis = models_basis(conn, question)
    return basis_members(basis) | {
        "start": window.start,
        "end": window.end,
        "models": [_known(model) for model in models],
        "total": page.total,
        "following": cursor_for(page.following, window),
    }


def _parts(
    conn: Connection, question: Question[Selection], division: Division | None
) -> dict[str, Any]:
    """The totals of each part, if any are asked for."""
    if division is None:
        return {}
    parts = totals_by_tag(conn, question, division)
    members = [
        {"value": part.value, "values": part.values, "error_rate": part.totals.error_rate}
        | {name: getattr(part.totals, name) for name in part.totals.__slots__}
        for part in parts
    ]
    return grouped(parts, members)


def _window(args: dict[str, Any]) -> Window:
    """The requested window; for a following page that of the first page."""
    if cursor := args.get("cursor"):
        return Window(cursor.start, cursor.end)
    return ending(args.get("end") or datetime.now(UTC), PERIOD, args.get("start"))


def _position(args: dict[str, Any]) -> PagePosition | None:
    """The model after which the page begins."""
    cursor = args.get("cursor")
    return cursor.position if cursor else None


def _known(model: KnownModel) -> KnownModel:
    """The model with at most MAX_NAMES versions and deployments."""
    return replace(
        model, versions=model.versions[:MAX_NAMES], deployments=model.deployments[:MAX_NAMES]
    )


def _selection(args: dict[str, Any]) -> Selection:
    if ("field" in args) != ("value" in args):
        raise InvalidInput("fieldName and fieldValue go together")
    tags = TagFilter.of(args.get("tags", ()))
    return Selection(args.get("models"), args.get("field"), args.get("value"), tags)


def _error_rates(
    conn: Connection, stats: Sequence[Totals | ModelStats], confidence: float | None
) -> list[dict[str, Any]]:
    """Members of `ComparedShareSchema`. Cost: a statement if there is a confidence."""
    if confidence is None:
        return [_compared(one.error_rate) for one in stats]
    failed = [(one.errors.now, one.errors.now + one.inferences.now) for one in stats]
    found = share_intervals(conn, failed, confidence)
    return [
        _compared(one.error_rate) | {"interval": interval}
        for one, interval in zip(stats, found, strict=True)
    ]


def _compared(number: Compared[float | None]) -> dict[str, Any]:
    return {"now": number.now, "previous": number.previous, "change": number.change}


def _models(
    page: ModelPage,
    models: Iterable[ModelStats],
    rates: Iterable[dict[str, Any]],
    classes: Iterable[ClassStats],
) -> list[dict[str, Any]]:
    """The models of a page, each with its classes; other models may have the same short name."""
    models_by_name = {
        model.full_name: (model, rate) for model, rate in zip(models, rates, strict=True)
    }
    classes_by_name: dict[ModelName, list[ClassStats]] = {name: [] for name in page.names}
    for stats in classes:
        classes_by_name.get(stats.full_name, []).append(stats)
    return [_model(*models_by_name[name], classes_by_name[name]) for name in page.names]


def _model(
    model: ModelStats, error_rate: dict[str, Any], classes: Sequence[ClassStats]
) -> dict[str, Any]:
    return _members(model) | {
        "quantiles": _quantiles(model),
        "error_rate": error_rate,
        "classes": [_class(stats) for stats in classes],
        "total_classes": classes[0].model_classes if classes else 0,
    }


def _class(stats: ClassStats) -> dict[str, Any]:
    return _members(stats) | {
        "quantiles": _quantiles(stats),
        "deployment_types": _split(stats.deployment_types),
        "server_versions": _split(stats.server_versions),
    }


def _members(stats: Totals | ModelStats | ClassStats) -> dict[str, Any]:
    return {name: getattr(stats, name) for name in stats.__slots__}


def _quantiles(stats: ModelStats | ClassStats) -> dict[str, float] | None:
    return dict(zip(QUANTILES, stats.quantiles, strict=True)) if stats.quantiles else None


def _split(joined: str) -> list[str]:
    return joined.split(",") if joined else []
