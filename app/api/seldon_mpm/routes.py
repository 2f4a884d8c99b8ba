"""Seldon's model performance metrics API (the MPM module of Core 2).

Wire contract: https://docs.seldon.ai/mpm. Buckets begin at `startTime`, the last one is clipped,
and a prediction belongs to the bucket of its inference time. Numbers are the shortest decimals
of 32-bit floats, those of an empty bucket are -1, and errors have grpc-gateway's format.
"""

from typing import Any

import msgspec
from flask import Response, jsonify
from marshmallow import Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.basis import ExactSchema, vendor_members
from app.api.http.body import read_proto_message
from app.api.http.grpc_gateway import GRPC_GATEWAY
from app.api.http.numbers import Float32, UtcTime
from app.api.http.observe import count_rows
from app.api.http.parameters import GoDuration, Instant, ProtoArgs, Text
from app.api.http.problems import use_error_form
from app.api.http.reference import takes_body
from app.auth.keys import Role
from app.errors import (
    InvalidInput,
    InvalidSubscription,
    TooLarge,
    UnknownModel,
    UnknownSubscription,
    WrongKind,
)
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.fields import MAX_BATCH_INDEX, Label, Name, RequiredName, Value
from app.query.classification import ClassificationBucket, classification
from app.query.question import Question
from app.query.regression import regression
from app.query.subjects import Scope
from app.query.window import Grid, Window
from app.running import database
from app.store.registry import Kind, ModelName
from app.store.subscriptions import (
    ID_BITS,
    Subscription,
    count_subscriptions,
    declared_categories,
    subscribe,
    subscriptions,
    unsubscribe,
)

PREFIX = "/metrics-server"
MAX_BUCKETS = 100
MAX_CATEGORIES = 10_000  # of a subscription
# Of an answer that lists subscriptions, which the vendor does not paginate.
MAX_SUBSCRIPTIONS, MAX_LISTED_CATEGORIES = 1_000, 100_000
MAX_OFFSET = 2**53

blp = Blueprint(
    "seldon", __name__, url_prefix=f"{PREFIX}/api/v1", description="Seldon's metrics server"
)
use_error_form(PREFIX + "/", GRPC_GATEWAY)


# --- metrics ------------------------------------------------------------------------------


class MetricsArgs(ProtoArgs):
    """A model, a window and an interval."""

    namespace = Text(required=True)
    pipeline = Text(required=True, data_key="pipelineName")
    model = Text(required=True, data_key="modelName", validate=validate.Length(min=1))
    start = Instant(required=True, data_key="startTime", metadata={"format": "date-time"})
    end = Instant(required=True, data_key="endTime", metadata={"format": "date-time"})
    interval = GoDuration(metadata={"description": "Like 10s or 1h30m; absent: one bucket"})


class ConfusionCountsSchema(Schema):
    """One category versus all others."""

    false_negative = fields.Integer(data_key="falseNegativeCount")
    false_positive = fields.Integer(data_key="falsePositiveCount")
    true_negative = fields.Integer(data_key="trueNegativeCount")
    true_positive = fields.Integer(data_key="truePositiveCount")


class ConfusionMatrixSchema(Schema):
    """Rows are the truth, columns the prediction, flattened by rows."""

    categories = fields.List(fields.String())
    values = fields.List(fields.Integer())
    computed = fields.List(fields.Nested(ConfusionCountsSchema), data_key="computedConfusionValues")


class ClassificationElementSchema(Schema):
    """One bucket; all metrics are -1 if it is empty."""

    accuracy = Float32()
    confusion_matrix = fields.Nested(ConfusionMatrixSchema, data_key="confusionMatrix")
    end = UtcTime(data_key="endTime")
    f1 = Float32()
    precision = Float32()
    recall = Float32()
    specificity = Float32()


class ClassificationMetricsSchema(ExactSchema):
    """Buckets, oldest first; and their basis if the answer is not exact."""

    metrics = fields.List(fields.Nested(ClassificationElementSchema))


class RegressionElementSchema(Schema):
    """One bucket; all metrics are -1 if it is empty."""

    end = UtcTime(data_key="endTime")
    mean_absolute_error = Float32(data_key="meanAbsoluteError")
    mean_squared_error = Float32(data_key="meanSquaredError")
    root_mean_squared_error = Float32(data_key="rootMeanSquaredError")


class RegressionMetricsSchema(ExactSchema):
    """Buckets, oldest first; and their basis if the answer is not exact."""

    metrics = fields.List(fields.Nested(RegressionElementSchema))


@blp.route("/metrics/pipeline/classification")
@needs(Role.READ)
@blp.arguments(MetricsArgs, location="query")
@blp.response(200, ClassificationMetricsSchema)
def get_classification_metrics(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Accuracy, precision, recall, specificity, F1 and confusion matrix over time"""
    question = _question(args, workspace_id)
    with database().asking() as conn:
        answer = classification(conn, database().registry, question)
    elements = [_classification_element(bucket) for bucket in answer.buckets]
    return {"metrics": elements} | vendor_members(answer.basis)


@blp.route("/metrics/pipeline/regression")
@needs(Role.READ)
@blp.arguments(MetricsArgs, location="query")
@blp.response(200, RegressionMetricsSchema)
def get_regression_metrics(args: dict[str, Any], workspace_id: int) -> dict[str, Any]:
    """Mean absolute, mean squared and root mean squared error over time"""
    question = _question(args, workspace_id)
    with database().asking() as conn:
        answer = regression(conn, question)
    return {"metrics": answer.buckets} | vendor_members(answer.basis)


def _question(args: dict[str, Any], workspace_id: int) -> Question[Scope]:
    window, grid = Window(args["start"], args["end"]), Grid(args.get("interval"))
    grid.check(window, MAX_BUCKETS)
    scope = Scope(ModelName(args["namespace"], args["pipeline"], args["model"]))
    return Question(workspace_id, scope, window, grid)


def _classification_element(bucket: ClassificationBucket) -> dict[str, Any]:
    matrix = bucket.matrix
    return {
        "accuracy": bucket.accuracy,
        "precision": bucket.precision,
        "recall": bucket.recall,
        "specificity": bucket.specificity,
        "f1": bucket.harmonic_f1,  # as Seldon's server defines it
        "end": bucket.end,
        "confusion_matrix": {
            "categories": matrix.categories,
            "values": [count for row in matrix.values for count in row],
            "computed": matrix.counts(),
        },
    }


# --- subscriptions ------------------------------------------------------------------------


class Numeric(msgspec.Struct):
    """A number: the model does regression."""

    name: RequiredName


class Categorical(msgspec.Struct):
    """A category, or a tensor of one probability per category: the model classifies."""

    name: RequiredName
    categories: list[Label]


class FeatureMetadata(msgspec.Struct, rename="camel"):
    """One output; exactly one member is given."""

    numeric: Numeric | None = None
    categorical: Categorical | None = None
    categorical_proba_tensor: Categorical | None = None


class SubscribeRequest(msgspec.Struct, rename="camel"):
    """The output of a model."""

    namespace: Name
    pipeline_name: Name
    model_name: RequiredName
    features_metadata: list[FeatureMetadata]


class SubscriptionsArgs(ProtoArgs):
    """Empty or absent means any."""

    namespace = Text(load_default="")
    pipeline = Text(load_default="", data_key="pipelineName")
    size = fields.Integer(
        data_key="limit",
        validate=validate.Range(1, MAX_SUBSCRIPTIONS),
        metadata={"description": "Not part of the vendor's API: at most this many, and `total`"},
    )
    offset = fields.Integer(load_default=0, validate=validate.Range(0, MAX_OFFSET))


class UnsubscribeArgs(ProtoArgs):
    """Which subscription."""

    id = fields.Integer(
        required=True, data_key="subscriptionId", validate=validate.Range(0, 2**ID_BITS - 1)
    )


class SubscriptionIdSchema(Schema):
    """The id to unsubscribe with."""

    subscription_id = fields.String(
        data_key="subscriptionId", metadata={"description": "An unsigned integer as text"}
    )


@blp.route("/pipeline/model/subscribe", methods=["POST"])
@needs(Role.INGEST)
@takes_body(blp, SubscribeRequest)
@blp.response(200, SubscriptionIdSchema)
def post_subscribe(workspace_id: int) -> dict[str, str]:
    """Declare a model's output: its kind and, for a classifier, its categories in order"""
    body = read_proto_message(SubscribeRequest)
    kind, categories = _declared_output(body.features_metadata)
    name = ModelName(body.namespace, body.pipeline_name, body.model_name)
    registry = database().registry
    model = registry.register_models(workspace_id, {name: kind})[name]
    if model.kind != kind:
        raise WrongKind(f"model {name} does {model.kind}, not {kind}")
    labels = registry.register_labels(workspace_id, categories)
    with database().writing() as conn:
        subscription_id = subscribe(
            conn,
            model_id=model.id,
            features=msgspec.to_builtins(body.features_metadata),
            categories=[labels[category] for category in categories],
        )
    return {"subscription_id": str(subscription_id)}


@blp.route("/pipeline/subscriptions")
@needs(Role.READ)
@blp.arguments(SubscriptionsArgs, location="query")
@blp.response(200)
def get_subscriptions(args: dict[str, Any], workspace_id: int) -> Response:
    """List subscriptions, oldest first

    At most 1,000, with 100,000 categories in total; use `limit` and `offset` if there are more.
    """
    size, namespace, pipeline = args.get("size"), args["namespace"], args["pipeline"]
    with database().asking() as conn:
        listed = subscriptions(
            conn,
            workspace_id,
            size=size or MAX_SUBSCRIPTIONS + 1,
            offset=args["offset"],
            namespace=namespace,
            pipeline=pipeline,
        )
        total = (
            count_subscriptions(conn, workspace_id, namespace=namespace, pipeline=pipeline)
            if size
            else None
        )
    if len(listed) > MAX_SUBSCRIPTIONS or _categories(listed) > MAX_LISTED_CATEGORIES:
        raise TooLarge(
            f"an answer may have at most {MAX_SUBSCRIPTIONS} subscriptions and"
            f" {MAX_LISTED_CATEGORIES} categories: give namespace and pipelineName, or limit and"
            " offset"
        )
    answer: dict[str, Any] = {
        "subscriptions": [_subscription_element(subscription) for subscription in listed]
    }
    return jsonify(answer if total is None else answer | {"total": total})


def _categories(listed: list[Subscription]) -> int:
    return sum(len(subscription.categories) for subscription in listed)


@blp.route("/pipeline/model/unsubscribe", methods=["DELETE"])
@needs(Role.INGEST)
@blp.arguments(UnsubscribeArgs, location="query")
@blp.response(200)
def delete_subscription(args: dict[str, int], workspace_id: int) -> Response:
    """Delete a subscription; predictions and truths are kept"""
    with database().writing() as conn:
        unsubscribe(conn, workspace_id, args["id"])
    return jsonify({})


def _declared_output(features: list[FeatureMetadata]) -> tuple[Kind, list[str]]:
    if len(features) != 1:
        raise InvalidSubscription("featuresMetadata must describe exactly one output")
    members = (features[0].numeric, features[0].categorical, features[0].categorical_proba_tensor)
    given = [member for member in members if member is not None]
    if len(given) != 1:
        raise InvalidSubscription(
            "an output is one of numeric, categorical and categoricalProbaTensor"
        )
    if isinstance(given[0], Numeric):
        return Kind.REGRESSION, []
    categories = given[0].categories
    if not categories or len(set(categories)) < len(categories):
        raise InvalidSubscription("categories must be there, and all different")
    if len(categories) > MAX_CATEGORIES:
        raise InvalidSubscription(f"an output may have at most {MAX_CATEGORIES} categories")
    return Kind.CLASSIFICATION, categories


def _subscription_element(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscriptionId": str(subscription.id),
        "namespace": subscription.model.namespace,
        "pipelineName": subscription.model.pipeline,
        "modelName": subscription.model.name,
        "featuresMetadata": [
            {name: value for name, value in feature.items() if value is not None}
            for feature in subscription.features
        ],
    }


# --- feedback -----------------------------------------------------------------------------


class CategoryIndex(msgspec.Struct):
    """An index of the subscription's categories, from 0. Protobuf's JSON omits a zero."""

    value: int = 0


class RegressionTruth(msgspec.Struct):
    """A value. Protobuf's JSON omits a zero."""

    value: Value = 0.0


class Truth(msgspec.Struct, rename="camel"):
    """One of the two."""

    classification_feedback: CategoryIndex | None = None
    regression_feedback: RegressionTruth | None = None


class FeedbackRequest(msgspec.Struct, rename="camel"):
    """The truth about one prediction."""

    namespace: Name
    pipeline_name: Name
    model_name: RequiredName
    request_id: RequiredName
    feedback: Truth
    batch_id: int = 0


@blp.route("/pipeline/model/feedback", methods=["POST"])
@needs(Role.INGEST)
@takes_body(blp, FeedbackRequest)
@blp.response(200)
def post_feedback(workspace_id: int) -> Response:
    """Store the truth about a prediction; a later one for the same prediction replaces it"""
    body = read_proto_message(FeedbackRequest)
    truth = Feedback(
        namespace=body.namespace,
        pipeline=body.pipeline_name,
        model=body.model_name,
        request_id=body.request_id,
        batch_index=_batch_index(body.batch_id),
        **_truth(workspace_id, body),
    )
    count_rows("feedback", ingest_feedback(database(), workspace_id, [truth]))
    return jsonify({})


def _batch_index(batch_id: int) -> int:
    if not 0 <= batch_id <= MAX_BATCH_INDEX:
        raise InvalidInput(f"batchId must be 0 to {MAX_BATCH_INDEX}")
    return batch_id


def _truth(workspace_id: int, body: FeedbackRequest) -> dict[str, Any]:
    """The label or value of a feedback, according to the model's subscription."""
    name = ModelName(body.namespace, body.pipeline_name, body.model_name)
    classification = body.feedback.classification_feedback
    regression = body.feedback.regression_feedback
    if (classification is None) == (regression is None):
        raise InvalidInput("feedback must be one of classificationFeedback and regressionFeedback")
    if classification is not None:
        return {"label": _category(workspace_id, name, classification.value)}
    _require_known(workspace_id, name)
    return {"value": regression and regression.value}


def _require_known(workspace_id: int, name: ModelName) -> None:
    """Reject unknown models: a misspelt name is not a model whose predictions are to come."""
    if not database().registry.known_models(workspace_id, [name]):
        raise UnknownModel(f"model {name} is not known")


def _category(workspace_id: int, name: ModelName, index: int) -> str:
    models = database().registry.known_models(workspace_id, [name])
    with database().reading() as conn:
        categories = declared_categories(conn, models[name].id) if models else None
        if categories is None:
            raise UnknownSubscription(f"model {name} is not subscribed")
        if not categories:
            raise WrongKind(f"model {name} does regression, not classification")
        if not 0 <= index < len(categories):
            raise InvalidInput(
                f"value must be an index of the categories, from 0 to {len(categories) - 1}"
            )
        return database().registry.label_names(conn, categories)[categories[index]]
