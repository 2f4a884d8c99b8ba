"""Native: executions, and their step metrics over time, over executions and as single values."""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.body import read_message
from app.api.http.numbers import UtcTime
from app.api.http.parameters import Instant, StrictArgs, Text, check_name
from app.api.http.reference import takes_body
from app.api.native.metrics import WindowArgs, buckets_of
from app.api.native.numbers import numbers
from app.auth.keys import Role
from app.ingest.executions import ExecutionUpdate, update_execution
from app.query.executions import Execution, ExecutionPage, execution, executions
from app.query.measures import STEPS
from app.query.question import Question
from app.query.steps import (
    Slice,
    StepBucket,
    StepMetricFilter,
    SummaryPage,
    over_executions,
    over_time,
    values_of,
)
from app.running import database

PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
MAX_SLICE = 50_000
MAX_OFFSET = 2**53
UNNAMED = validate.Length(min=1, error="must not be empty")

blp = Blueprint("steps", __name__, url_prefix="/api/v1", description="What training measured")


# --- executions ---------------------------------------------------------------------------


class ListArgs(StrictArgs):
    """Which part of a list."""

    size = fields.Integer(
        data_key="limit", load_default=PAGE_SIZE, validate=validate.Range(1, MAX_PAGE_SIZE)
    )
    offset = fields.Integer(load_default=0, validate=validate.Range(0, MAX_OFFSET))


class ExecutionsArgs(ListArgs):
    """Executions of a pipeline or a deployment, or all."""

    pipeline = Text()
    deployment = Text()


class ExecutionSchema(Schema):
    """A run of a pipeline; unknown names are empty, unknown times null."""

    execution = fields.String()
    pipeline = fields.String()
    deployment = fields.String()
    created_at = UtcTime(data_key="createdAt", metadata={"description": "When first seen here"})
    started_at = UtcTime(data_key="startedAt", allow_none=True)
    finished_at = UtcTime(data_key="finishedAt", allow_none=True)


class ExecutionsSchema(Schema):
    """In the order of their first appearance; `total` counts all that match."""

    executions = fields.List(fields.Nested(ExecutionSchema))
    total = fields.Integer()


@blp.route("/executions")
@needs(Role.READ)
@blp.arguments(ExecutionsArgs, location="query", unknown=RAISE)
@blp.response(200, ExecutionsSchema)
def get_executions(args: dict[str, Any], workspace_id: int) -> ExecutionPage:
    """The executions of the workspace"""
    with database().asking() as conn:
        return executions(
            conn,
            workspace_id=workspace_id,
            pipeline=args.get("pipeline"),
            deployment=args.get("deployment"),
            size=args["size"],
            offset=args["offset"],
        )


@blp.route("/executions/<name:execution_id>")
@needs(Role.READ)
@blp.response(200, ExecutionSchema)
def get_execution(workspace_id: int, execution_id: str) -> Execution:
    """One execution"""
    check_name("an execution's id", execution_id)
    with database().asking() as conn:
        return execution(conn, workspace_id=workspace_id, name=execution_id)


@blp.route("/executions/<name:execution_id>", methods=["PUT"])
@needs(Role.INGEST)
@takes_body(blp, ExecutionUpdate)
@blp.response(200, ExecutionSchema)
def put_execution(workspace_id: int, execution_id: str) -> Execution:
    """Set the pipeline, the deployment and the times of an execution

    It is created if it does not exist. Absent members keep their values.
    """
    execution_update = read_message(ExecutionUpdate)
    check_name("an execution's id", execution_id)
    update_execution(database(), workspace_id, execution_id, execution_update)
    with database().reading() as conn:
        return execution(conn, workspace_id=workspace_id, name=execution_id)


# --- metrics ------------------------------------------------------------------------------


class StepArgs(StrictArgs):
    """A metric by name, of some executions or all."""

    name = Text(required=True, validate=UNNAMED)
    kind = fields.String(load_default="scalar", validate=validate.OneOf(["scalar", "list"]))
    pipeline = Text()
    deployment = Text()


class StepWindowArgs(StepArgs, WindowArgs):
    """A metric, and a window."""

    execution = Text()


class StepExecutionsArgs(StepArgs, ListArgs):
    """A metric, a moment, and which part of the executions."""

    as_of = Instant(
        data_key="asOf",
        metadata={"format": "date-time", "description": "As it was known at this moment"},
    )


class StepValuesArgs(StrictArgs):
    """A metric of one execution, and which of its values."""

    name = Text(required=True, validate=UNNAMED)
    execution = Text(required=True, validate=UNNAMED)
    kind = fields.String(load_default="list", validate=validate.OneOf(["scalar", "list"]))
    size = fields.Integer(
        data_key="limit", load_default=MAX_SLICE, validate=validate.Range(1, MAX_SLICE)
    )
    offset = fields.Integer(load_default=0, validate=validate.Range(0, MAX_OFFSET))


class StepSummarySchema(Schema):
    """Statistics of the values of a metric; null without values."""

    class Meta:  # noqa: D106 - marshmallow's way to add fields that are computed
        include = numbers(STEPS)


class StepBucketSchema(StepSummarySchema):
    """Values recorded in a bucket."""

    start = UtcTime(data_key="startTime")
    end = UtcTime(data_key="endTime")


class StepBucketsSchema(Schema):
    """Oldest first; empty buckets are included."""

    buckets = fields.List(fields.Nested(StepBucketSchema))


class StepExecutionSchema(StepSummarySchema):
    """What an execution recorded."""

    execution = fields.String()
    pipeline = fields.String()
    deployment = fields.String()
    first_recorded_at = UtcTime(data_key="firstRecordedAt")
    last_recorded_at = UtcTime(data_key="lastRecordedAt")


class StepExecutionsSchema(Schema):
    """In the order of their first recording; `total` counts all that match."""

    executions = fields.List(fields.Nested(StepExecutionSchema))
    total = fields.Integer()


class StepValuesSchema(Schema):
    """Oldest first; `total` counts all values of the metric."""

    values = fields.List(fields.Float())
    recorded_at = fields.List(
        UtcTime(), data_key="recordedAt", metadata={"description": "When each value was recorded"}
    )
    total = fields.Integer()


@blp.route("/metrics/steps")
@needs(Role.READ)
@blp.arguments(StepWindowArgs, location="query", unknown=RAISE)
@blp.response(200, StepBucketsSchema)
def get_steps(args: dict[str, Any], workspace_id: int) -> dict[str, list[StepBucket]]:
    """A step metric over time: count, mean, minimum, maximum and last value

    Values count in the bucket in which they were recorded.
    """
    question = Question(workspace_id, _which(args), *buckets_of(args))
    with database().asking() as conn:
        return {"buckets": over_time(conn, question, is_list=_is_list(args))}


@blp.route("/metrics/steps/executions")
@needs(Role.READ)
@blp.arguments(StepExecutionsArgs, location="query", unknown=RAISE)
@blp.response(200, StepExecutionsSchema)
def get_steps_by_execution(args: dict[str, Any], workspace_id: int) -> SummaryPage:
    """A step metric over executions: count, mean, minimum, maximum and last value of each"""
    with database().asking(args.get("as_of")) as conn:
        return over_executions(
            conn,
            workspace_id=workspace_id,
            is_list=_is_list(args),
            which=_which(args),
            as_of=args.get("as_of"),
            size=args["size"],
            offset=args["offset"],
        )


@blp.route("/metrics/steps/values")
@needs(Role.READ)
@blp.arguments(StepValuesArgs, location="query", unknown=RAISE)
@blp.response(200, StepValuesSchema)
def get_step_values(args: dict[str, Any], workspace_id: int) -> Slice:
    """Values of a step metric of one execution: of a list, or all values that a scalar has had"""
    with database().asking() as conn:
        return values_of(
            conn,
            workspace_id=workspace_id,
            is_list=_is_list(args),
            which=_which(args),
            size=args["size"],
            offset=args["offset"],
        )


def _which(args: dict[str, Any]) -> StepMetricFilter:
    return StepMetricFilter(
        *(args.get(name) for name in ("name", "pipeline", "deployment", "execution"))
    )


def _is_list(args: dict[str, Any]) -> bool:
    return bool(args["kind"] == "list")
