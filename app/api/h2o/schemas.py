"""The shapes of H2O MLOps' answers: graphs, bins and boxes are texts, counts of 64 bits too."""

from typing import Any

from marshmallow import Schema, fields

from app.api.http.basis import ExactSchema
from app.api.http.numbers import UtcTime

# What nobody tells this server: null, and not invented.
UNKNOWN: dict[str, Any] = {
    "metadata": {"description": "Not known here"},
    "dump_default": None,
    "allow_none": True,
}


class MonitoredModelSchema(Schema):
    """A model; its version is the one seen last."""

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
        data_key="deploymentDate", metadata={"description": "When it was seen first"}
    )
    project_id = fields.String(data_key="projectId", **UNKNOWN)
    monitoring_enabled = fields.Boolean(data_key="monitoringEnabled", dump_default=True)
    store_scoring_data = fields.Boolean(data_key="storeScoringData", dump_default=True)


class DeploymentsAnswerSchema(Schema):
    """A page of deployments; an empty token says that it is the last."""

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
    """What every plot says of itself."""

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
    """A box per bin that holds values."""

    box = fields.List(fields.Nested(BoxSchema))


class HealthSchema(ExactSchema):
    """Of the first model of a deployment."""

    total_predictions = fields.Integer(data_key="totalPredictions")
    scoring_latency = fields.Float(
        data_key="scoringLatency", allow_none=True, metadata={"description": "Mean, in ms"}
    )
    predictions = fields.Nested(HistogramSchema)
    prediction_values = fields.Nested(
        BoxPlotSchema,
        data_key="predictionValues",
        allow_none=True,
        metadata={"description": "Of regression; otherwise null"},
    )


class PointSchema(Schema):
    """A point of a line: an instant, and what was measured in the bin that begins there."""

    x = fields.String(data_key="xAxis")
    y = fields.String(data_key="yAxis")
    value = fields.String(**UNKNOWN)


class GraphSchema(PlotSchema):
    """A line; where nothing is known it has no point."""

    point = fields.List(fields.Nested(PointSchema))


class OperationalSchema(ExactSchema):
    """Of the first model of a deployment."""

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
    """Counts of drifting features are not known, and the lists are empty."""

    countFeatureDrift = fields.Integer(**UNKNOWN)  # noqa: N815 - H2O's names, for nothing is computed
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
