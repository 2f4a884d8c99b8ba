"""H2O MLOps' model monitoring service, as used by its client up to h2o-mlops 1.3.4.

A deployment's id is its name, which clients compare and users know. Its metrics are those of its
first model; the model in the path is ignored. Errors have grpc-gateway's format.
"""

import base64
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from marshmallow import ValidationError, fields, validate
from sqlalchemy import Connection

from app.api.h2o.schemas import (
    DeploymentAnswerSchema,
    DeploymentsAnswerSchema,
    DriftSchema,
    ExportSchema,
    HealthSchema,
    ModelsAnswerSchema,
    OperationalSchema,
)
from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import basis_text, exact_members, set_basis_headers
from app.api.http.body import read_proto_message
from app.api.http.grpc_gateway import GRPC_GATEWAY
from app.api.http.numbers import utc_time
from app.api.http.parameters import ProtoArgs, UtcInstant
from app.api.http.problems import use_error_form
from app.api.http.reference import takes_body
from app.auth.keys import Role
from app.csvtext import to_csv
from app.errors import InvalidInput
from app.ingest.fields import EARLIEST_TIME, RequiredName
from app.query.deployments import (
    DeployedModel,
    Deployment,
    Order,
    deployment,
    deployments,
    total_basis,
    total_predictions,
)
from app.query.health import BoxPlot, RequestBucket, box_plots, health_basis, request_volume, tenths
from app.query.question import Basis, Question
from app.query.subjects import AllDeployed
from app.query.window import Window, ending
from app.running import database
from app.store.registry import Kind

PREFIX = "/model-monitoring"
EXPORT = "/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"
PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
SPAN = timedelta(days=30)  # the default range, up to now
ONE_DAY = timedelta(days=1)  # a prediction's time may be this far in the future
ORDERS = {"name": Order.NAME, "modelName": Order.MODEL, "env": Order.NAMESPACE}

blp = Blueprint("h2o", __name__, url_prefix=PREFIX, description="H2O MLOps' model monitoring")
use_error_form(PREFIX + "/", GRPC_GATEWAY)


# --- parameters ---------------------------------------------------------------------------


class PageToken(fields.Integer):
    """Where a page begins; empty means the first page."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value or 0, *args, **kwargs)
        except ValidationError:
            raise ValidationError("must be a nextPageToken") from None


class OrderBy(fields.Field[list[tuple[str, bool]]]):
    """Names, separated by commas, each optionally followed by DESC."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[tuple[str, bool]]:
        return [_ordering(part.split()) for part in str(value).split(",") if part.strip()]


def _ordering(words: list[str]) -> tuple[str, bool]:
    name, direction = words[0], " ".join(words[1:])
    if name not in ORDERS or direction.upper() not in ("", "ASC", "DESC"):
        raise ValidationError("must be name, modelName or env, each optionally with ' DESC'")
    return name, direction.upper() == "DESC"


class PaginationArgs(ProtoArgs):
    """Which page, in which order."""

    size = fields.Integer(
        data_key="pageSize",
        load_default=0,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": f"0: {PAGE_SIZE}; at most {MAX_PAGE_SIZE} are returned"},
    )
    offset = PageToken(data_key="pageToken", load_default=0, validate=validate.Range(0, 2**31 - 1))
    order = OrderBy(data_key="orderBy", load_default=list)


class RangeArgs(ProtoArgs):
    """A time range; times without an offset are in UTC."""

    start = UtcInstant(data_key="startDateTime", metadata={"format": "date-time"})
    end = UtcInstant(data_key="endDateTime", metadata={"format": "date-time"})


class DeploymentsArgs(PaginationArgs, RangeArgs):
    """A page, and the range of totalPredictions, by default all time."""


def _size(args: dict[str, Any]) -> int:
    return min(args["size"] or PAGE_SIZE, MAX_PAGE_SIZE)


def _window(start: datetime | None, end: datetime | None) -> Window:
    """The requested range; by default the 30 days before its end or before now."""
    return ending(end or datetime.now(UTC), SPAN, start)


# --- deployments --------------------------------------------------------------------------


@blp.route("/v1/deployment")
@needs(Role.READ)
@blp.arguments(DeploymentsArgs, location="query")
@blp.response(200, DeploymentsAnswerSchema)
def get_deployments(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """List the deployments with predictions

    `totalPredictions` counts the predictions of all deployments in the range. Predictions without
    a deployment are excluded.
    """
    end = args.get("end") or datetime.now(UTC) + ONE_DAY
    window = ending(end, max(end - EARLIEST_TIME, ONE_DAY), args.get("start"))
    order = [(ORDERS[name], descending) for name, descending in args["order"]]
    question = Question(workspace_id, AllDeployed(), window)
    with database().asking() as conn:
        page = deployments(
            conn, workspace_id=workspace_id, order=order, size=_size(args), offset=args["offset"]
        )
        total = total_predictions(conn, question)
        set_basis_headers(total_basis(conn, question))
    return {
        "deployment": [_deployment(item) for item in page.deployments],
        "total_deployments": page.total,
        "total_predictions": total,
        "next_page_token": _token(page.next_offset),
    }


@blp.route("/v1/deployment/<path:deployment_id>")
@needs(Role.READ)
@blp.response(200, DeploymentAnswerSchema)
def get_deployment(workspace_id: int, deployment_id: str) -> dict[str, Any]:
    """One deployment"""
    with database().asking() as conn:
        selected = deployment(conn, workspace_id=workspace_id, name=deployment_id)
    return {"deployment": _deployment(selected)}


@blp.route("/v1/deployment/<path:deployment_id>/models")
@needs(Role.READ)
@blp.arguments(PaginationArgs, location="query")
@blp.response(200, ModelsAnswerSchema)
def get_models(args: dict[str, Any], workspace_id: int, deployment_id: str) -> dict[str, Any]:
    """The models of a deployment; its metrics are those of the first"""
    with database().asking() as conn:
        models = deployment(conn, workspace_id=workspace_id, name=deployment_id).models
    if args["order"]:  # any key: models can only be sorted by name
        models = sorted(models, key=lambda model: model.name, reverse=args["order"][0][1])
    start, end = args["offset"], args["offset"] + _size(args)
    return {
        "model": [_model(model) for model in models[start:end]],
        "next_page_token": _token(end if end < len(models) else None),
    }


def _token(offset: int | None) -> str:
    return "" if offset is None else str(offset)


def _deployment(deployment: Deployment) -> dict[str, Any]:
    first = deployment.model
    return {
        "id": deployment.name,
        "name": deployment.name,
        "environment": first.namespace or None,
        "type": first.deployment_type or None,
        "problem_type": first.kind,
        "models": [
            _model(model) for model in deployment.models[:MAX_PAGE_SIZE]
        ],  # /models paginates
        "deployment_date": min(model.since for model in deployment.models),
    }


def _model(model: DeployedModel) -> dict[str, Any]:
    return {"name": model.name, "version": model.version or None}


# --- metrics ------------------------------------------------------------------------------


@blp.route("/v1/deployment/<path:deployment_id>/metrics//health", defaults={"model_id": ""})
@blp.route("/v1/deployment/<path:deployment_id>/metrics/<path:model_id>/health")
@needs(Role.READ)
@blp.arguments(RangeArgs, location="query")
@blp.response(200, HealthSchema)
def get_health(
    args: dict[str, Any],
    workspace_id: int,
    deployment_id: str,
    model_id: str,  # noqa: ARG001 - H2O's own service ignores it too
) -> dict[str, Any]:
    """The number of predictions and their latency

    Bins are a tenth of the range wide, on a grid from the Unix epoch, and clipped to the range.
    """
    window = _window(args.get("start"), args.get("end"))
    with database().asking() as conn:
        question = _question(conn, workspace_id, deployment_id, window)
        volume, values, basis = (
            request_volume(conn, question),
            _box_plots(conn, question),
            _basis(conn, question),
        )
    return exact_members(basis) | {
        "total_predictions": volume.answered,
        "scoring_latency": volume.mean_latency_ms,
        "predictions": {
            "name": "Predictions Over Time",
            "description": basis_text(basis),
            "x_label": "Time",
            "y_label": "Predictions",
            "bin": [
                {"x_min": bucket.start, "x_max": bucket.end, "y": bucket.answered}
                for bucket in volume.buckets
            ],
        },
        "prediction_values": None if values is None else _box_plot(values, basis),
    }


@blp.route("/v1/deployment/<path:deployment_id>/metrics//operational", defaults={"model_id": ""})
@blp.route("/v1/deployment/<path:deployment_id>/metrics/<path:model_id>/operational")
@needs(Role.READ)
@blp.arguments(RangeArgs, location="query")
@blp.response(200, OperationalSchema)
def get_operational(
    args: dict[str, Any],
    workspace_id: int,
    deployment_id: str,
    model_id: str,  # noqa: ARG001 - as above
) -> dict[str, Any]:
    """Latency, success and failure over time

    Uptime, memory, CPU and availability are not reported to this server, and so null.
    """
    window = _window(args.get("start"), args.get("end"))
    with database().asking() as conn:
        question = _question(conn, workspace_id, deployment_id, window)
        volume, basis = request_volume(conn, question), _basis(conn, question)
    return exact_members(basis) | {
        "average_latency": volume.mean_latency_ms,
        "latency": _graph("Scoring Latency", "ms", volume.buckets, LATENCY, basis),
        "success": _graph("Successful Predictions", "Predictions", volume.buckets, SUCCESS, basis),
        "failed": _graph("Failed Predictions", "Predictions", volume.buckets, FAILED, basis),
    }


@blp.route("/v1/deployment/<path:deployment_id>/metrics//drift", defaults={"model_id": ""})
@blp.route("/v1/deployment/<path:deployment_id>/metrics/<path:model_id>/drift")
@needs(Role.READ)
@blp.arguments(RangeArgs, location="query")
@blp.response(200, DriftSchema)
def get_drift(
    args: dict[str, Any],
    workspace_id: int,
    deployment_id: str,
    model_id: str,  # noqa: ARG001 - as above
) -> dict[str, Any]:
    """Drift of features: always empty, because features are not recorded"""
    _window(args.get("start"), args.get("end"))
    with database().asking() as conn:
        deployment(conn, workspace_id=workspace_id, name=deployment_id)
    reason = "Features are not recorded"
    return {
        "featureImportance": {"featureDrift": [], "description": reason},
        "featureSummary": {"feature": [], "description": reason},
        "featureFrequency": {"featureDensity": [], "description": reason},
    }


def _question(
    conn: Connection, workspace_id: int, name: str, window: Window
) -> Question[DeployedModel]:
    """The question about a deployment's first model, in tenths of a window.

    Raises:
        UnknownDeployment: the workspace has no predictions of that deployment.
    """
    model = deployment(conn, workspace_id=workspace_id, name=name).model
    return Question(workspace_id, model, window, tenths(window))


def _basis(conn: Connection, question: Question[DeployedModel]) -> Basis:
    """The basis of the answers, which is also set in headers."""
    basis = health_basis(conn, question)
    set_basis_headers(basis)
    return basis


def _box_plots(conn: Connection, question: Question[DeployedModel]) -> list[BoxPlot] | None:
    """Box plots of predicted values; None for a model that does not predict values."""
    return box_plots(conn, question) if question.subject.kind is Kind.REGRESSION else None


Measure = Callable[[RequestBucket], float | None]
LATENCY: Measure = lambda bucket: bucket.mean_latency_ms  # noqa: E731 - three names next to each other
SUCCESS: Measure = lambda bucket: bucket.answered  # noqa: E731
FAILED: Measure = lambda bucket: bucket.failed  # noqa: E731


def _graph(
    name: str, unit: str, buckets: Iterable[RequestBucket], measure: Measure, basis: Basis
) -> dict[str, Any]:
    """A line over time, with a point for each bucket for which the measure is known."""
    points = [(utc_time(bucket.start), measure(bucket)) for bucket in buckets]
    return {
        "name": name,
        "description": basis_text(basis),
        "x_label": "Time",
        "y_label": unit,
        "point": [{"x": x, "y": str(y)} for x, y in points if y is not None],
    }


def _box_plot(values: Iterable[BoxPlot], basis: Basis) -> dict[str, Any]:
    """One box per bin with values: minimum, quartiles and maximum."""
    return {
        "name": "Prediction Values",
        "description": basis_text(basis),
        "x_label": "Time",
        "y_label": "Value",
        "box": [_box(box) for box in values],
    }


def _box(box: BoxPlot) -> dict[str, Any]:
    x = utc_time(box.start)
    levels = {f"y{n}": repr(y) for n, y in enumerate(box.quantiles)}
    return {"x": x, "x_min": x, "x_max": utc_time(box.end)} | levels


# --- export -------------------------------------------------------------------------------


class ExportMetricRequest(msgspec.Struct, rename="camel"):
    """Which metric of a deployment; the model is ignored."""

    deployment_id: RequiredName
    metric_name: str
    model_id: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None


@blp.route(EXPORT, methods=["POST"])
@needs(Role.READ)
@takes_body(blp, ExportMetricRequest)
@blp.response(200, ExportSchema)
def post_export(workspace_id: int) -> dict[str, Any]:
    """Export a metric over time as CSV, encoded as base64"""
    body = read_proto_message(ExportMetricRequest)
    export = EXPORTS.get(body.metric_name)
    if export is None:
        raise InvalidInput(f"metricName must be one of {', '.join(EXPORTS)}")
    window = _window(
        _instant("startDateTime", body.start_date_time), _instant("endDateTime", body.end_date_time)
    )
    with database().asking() as conn:
        question = _question(conn, workspace_id, body.deployment_id, window)
        rows, basis = export(conn, question), _basis(conn, question)
    return {"result": {"data": _to_base64(_with_exactness(rows, basis))}}


Table = list[tuple[Any, ...]]


Export = Callable[[Connection, Question[DeployedModel]], Table]


def _line(name: str, measure: Measure) -> Export:
    """The export of a measure over time; unknown values are empty."""

    def export(conn: Connection, question: Question[DeployedModel]) -> Table:
        buckets = request_volume(conn, question).buckets
        rows = [(utc_time(v.start), utc_time(v.end), measure(v)) for v in buckets]
        return [("start", "end", name), *rows]

    return export


def _boxes(conn: Connection, question: Question[DeployedModel]) -> Table:
    names = ("start", "end", "minimum", "quartile1", "median", "quartile3", "maximum")
    boxes = _box_plots(conn, question) or []
    rows = [(utc_time(s.start), utc_time(s.end), *s.quantiles) for s in boxes]
    return [names, *rows]


EXPORTS: dict[str, Export] = {
    "predictions": _line("predictions", SUCCESS),
    "scoringLatency": _line("milliseconds", LATENCY),
    "predictionValues": _boxes,
    "successPrediction": _line("predictions", SUCCESS),
    "failedPrediction": _line("failures", FAILED),
}


def _instant(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else UtcInstant().deserialize(text)
    except ValidationError as error:
        raise InvalidInput(f"{name} {error.messages[0]}") from None


def _with_exactness(rows: Table, basis: Basis) -> Table:
    """The table, with a column `exact` if it is not exact."""
    if basis.exact:
        return rows
    head, *lines = rows
    return [(*head, "exact"), *((*line, "false") for line in lines)]


def _to_base64(rows: Table) -> str:
    return base64.b64encode(to_csv(rows).encode()).decode()
