"""Schemas of H2O MLOps' responses: numbers in plots and 64-bit counts are texts."""

from typing import Any

from marshmallow import Schema, fields

from app.api.http.basis import ExactSchema
from app.api.http.numbers import UtcTime

# Values that are not reported to this server: null instead of invented ones.
UNKNOWN: dict[str, Any] = {
    "metadata": {"description": "Not known here"},
    "dump_default": None,
    "allow_none": True,
}


class MonitoredModelSchema(Schema):
    """A model, with its most recent version."""

    name = fields.String(data_key="registeredModelName")
    version = fields.String(data_key="registeredModelVersion", allow_none=True)
    drift = fields.String(data_key="driftStatus", dump_default="UNKNOWN")
    accuracy = fields.String(dump_default="UNKNOWN")
    average_scoring_requests = fields.Integer(data_key="averageScoringRequests", **UNKNOWN)


class DeploymentSchema(Schema):
    """A deployment: its id is its name, its environment the namespace of its first model."""

    id = fields.String()
    name = fields.String()
    description = fields.String(dump_default="")
    mode = fields.String(**UNKNOWN)
    environment = fields.String(allow_none=True)
    type = fields.String(allow_none=True)
    problem_type = fields.String(data_key="problemType", allow_none=True)
    models = fields.List(fields.Nested(MonitoredModelSchema))
    deployment_date = UtcTime(
        data_key="deploymentDate", metadata={"description": "When it first appeared"}
    )
    project_id = fields.String(data_key="projectId", **UNKNOWN)
    monitoring_enabled = fields.Boolean(data_key="monitoringEnabled", dump_default=True)
    store_scoring_data = fields.Boolean(data_key="storeScoringData", dump_default=True)


class DeploymentsAnswerSchema(Schema):
    """A page of deployments; the token is empty on the last page."""

    deployment = fields.List(fields.Nested(DeploymentSchema))
    total_deployments = fields.String(data_key="totalDeployments")
    total_predictions = fields.String(data_key="totalPredictions")
    next_page_token = fields.String(data_key="nextPageToken")


class DeploymentAnswerSchema(Schema):
    """One deployment."""

    deployment = fields.Nested(DeploymentSchema)


class ModelsAnswerSchema(Schema):
    """A page of models."""

    model = fields.List(fields.Nested(MonitoredModelSchema))
    next_page_token = fields.String(data_key="nextPageToken")


class PlotSchema(Schema):
    """The name, description and axes of a plot."""

    name = fields.String()
    description = fields.String()
    x_label = fields.String(data_key="xLabel")
    y_label = fields.String(data_key="yLabel")


class BinSchema(Schema):
    """Predictions of [xMin, xMax)."""

    x_min = UtcTime(data_key="xMin")
    x_max = UtcTime(data_key="xMax")
    y = fields.String()


class HistogramSchema(PlotSchema):
    """Bins without gaps."""

    bin = fields.List(fields.Nested(BinSchema))


class BoxSchema(Schema):
    """Minimum, quartiles and maximum of the values of [xMin, xMax)."""

    x = fields.String()
    x_min = fields.String(data_key="xMin")
    x_max = fields.String(data_key="xMax")
    y0 = fields.String()
    y1 = fields.String()
    y2 = fields.String()
    y3 = fields.String()
    y4 = fields.String()


class BoxPlotSchema(PlotSchema):
    """A box per bin with values."""

    box = fields.List(fields.Nested(BoxSchema))


class HealthSchema(ExactSchema):
    """The health of the first model of a deployment."""

    total_predictions = fields.Integer(data_key="totalPredictions")
    scoring_latency = fields.Float(
        data_key="scoringLatency", allow_none=True, metadata={"description": "Mean, in ms"}
    )
    predictions = fields.Nested(HistogramSchema)
    prediction_values = fields.Nested(
        BoxPlotSchema,
        data_key="predictionValues",
        allow_none=True,
        metadata={"description": "For regression; otherwise null"},
    )


class PointSchema(Schema):
    """A point of a line: an instant, and the value of the bin that begins there."""

    x = fields.String(data_key="xAxis")
    y = fields.String(data_key="yAxis")
    value = fields.String(**UNKNOWN)


class GraphSchema(PlotSchema):
    """A line; bins without a value have no point."""

    point = fields.List(fields.Nested(PointSchema))


class OperationalSchema(ExactSchema):
    """Latency, success and failure of the first model of a deployment."""

    uptime = fields.Float(**UNKNOWN)
    average_latency = fields.Float(
        data_key="avgScoringLatency", allow_none=True, metadata={"description": "In ms"}
    )
    latency = fields.Nested(GraphSchema, data_key="scoringLatency")
    memory = fields.Nested(GraphSchema, data_key="memoryUsage", **UNKNOWN)
    cpu = fields.Nested(GraphSchema, data_key="cpuUsage", **UNKNOWN)
    availability = fields.Nested(GraphSchema, **UNKNOWN)
    success = fields.Nested(GraphSchema, data_key="successPrediction")
    failed = fields.Nested(GraphSchema, data_key="failedPrediction")


class DriftSchema(Schema):
    """Counts of drifting features are null, and the lists are empty."""

    countFeatureDrift = fields.Integer(**UNKNOWN)  # noqa: N815 - H2O's names, because nothing is computed
    highFeatureDrift = fields.Integer(**UNKNOWN)  # noqa: N815
    mediumFeatureDrift = fields.Integer(**UNKNOWN)  # noqa: N815
    lowFeatureDrift = fields.Integer(**UNKNOWN)  # noqa: N815
    featureImportance = fields.Dict()  # noqa: N815
    featureSummary = fields.Dict()  # noqa: N815
    featureFrequency = fields.Dict()  # noqa: N815


class ChunkSchema(Schema):
    """CSV as base64."""

    data = fields.String()


class ExportSchema(Schema):
    """A stream of one chunk."""

    result = fields.Nested(ChunkSchema)
