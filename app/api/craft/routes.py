"""Craft AI's platform, as its SDK knows it: access tokens, and the metrics of pipelines.

Wire contract: `craft-ai-sdk`. It reads `iat` and `exp` of the access token to know when to ask for
the next one, asks for pages until it holds `total_count` rows, puts names into paths as they are,
and expects every error as a JSON object and every empty response as 204.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec
from flask import Response, jsonify
from marshmallow import RAISE, Schema, fields, validate

from app.api.http.access import needs
from app.api.http.answers import Blueprint
from app.api.http.body import read_message
from app.api.http.idempotency import IDEMPOTENCY_KEY, batch_key
from app.api.http.numbers import UtcTime
from app.api.http.parameters import StrictArgs, Text, check_name
from app.api.http.problems import ErrorForm, Problem, use_error_form_where
from app.api.http.reference import takes_body
from app.auth import tokens
from app.auth.keys import Role, live_key
from app.errors import InvalidInput
from app.ingest.batch import BatchKey
from app.ingest.fields import RequiredName
from app.ingest.steps import append_values, record_value
from app.logs import request_id
from app.query.steps import (
    StepMetric,
    StepMetricFilter,
    StepMetricPage,
    list_values,
    portions,
    step_metrics,
)
from app.running import database, settings
from app.store.database import Database, driver

PATHS = r"/api/v1/(?:auth/.*|metrics/(?:single-value|list-values)(?:[/?].*)?)"
MAX_BYTES = 64 * 1024  # of a body without authentication
PAGE_SIZE = 5000
MAX_PAGE = 2**31 - 1

blp = Blueprint("craft", __name__, url_prefix="/api/v1", description="Craft AI's platform")


# --- errors -------------------------------------------------------------------------------


def craft_error(problem: Problem) -> Response:
    """`{message, name, request_id}`, which the SDK raises as its own exception."""
    body = {
        "message": problem.detail or problem.title,
        "name": problem.kind or problem.title.replace(" ", ""),
        "request_id": request_id.get(),
    }
    response = jsonify(body)
    response.status_code = problem.status
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["message", "name", "request_id"],
    "properties": {name: {"type": "string"} for name in ("message", "name", "request_id")},
}
use_error_form_where(PATHS, ErrorForm(craft_error, "CraftError", ERROR_SCHEMA))


# --- the exchange -------------------------------------------------------------------------


class RefreshRequest(msgspec.Struct):
    """The SDK token, which is an API key."""

    refresh_token: str


class AccessTokenSchema(Schema):
    """A JWT."""

    access_token = fields.String(metadata={"description": "Send it as 'Authorization: Bearer'"})


@blp.route("/auth/refresh", methods=["POST"])
@takes_body(blp, RefreshRequest, security=[])
@blp.response(200, AccessTokenSchema)
def post_refresh() -> tuple[dict[str, str], dict[str, str]]:
    """Exchange an API key for an access token"""
    presented = read_message(RefreshRequest, MAX_BYTES).refresh_token
    with database().reading() as conn:
        key_id = live_key(driver(conn), presented).id if settings().auth else tokens.NO_KEY
        token = tokens.issue(conn, key_id=key_id, seconds=settings().access_token_seconds)
    return {"access_token": token}, {"Cache-Control": "no-store"}


# --- in -----------------------------------------------------------------------------------


class SingleValue(msgspec.Struct):
    """A value of a metric."""

    value: float
    execution_id: RequiredName


class ListValues(msgspec.Struct):
    """Values to append to a list."""

    values: list[float]
    execution_id: RequiredName


@blp.route("/metrics/single-value/<name:name>", methods=["PUT"])
@needs(Role.INGEST)
@takes_body(blp, SingleValue, parameters=[IDEMPOTENCY_KEY])
@blp.response(204)
def put_single_value(workspace_id: int, name: str) -> None:
    """Record the value of a metric; the last one counts"""
    recording = read_message(SingleValue)
    check_name("a metric's name", name)
    record_value(
        database(),
        workspace_id,
        execution=recording.execution_id,
        name=name,
        value=recording.value,
        batch=_batch_key("single-value", name, recording),
    )


@blp.route("/metrics/list-values/<name:name>", methods=["POST"])
@needs(Role.INGEST)
@takes_body(blp, ListValues, parameters=[IDEMPOTENCY_KEY])
@blp.response(204)
def post_list_values(workspace_id: int, name: str) -> None:
    """Append values to the list of a metric, all of them or none

    A list contains at most 50,000 values per execution.
    """
    recording = read_message(ListValues)
    check_name("a metric's name", name)
    append_values(
        database(),
        workspace_id,
        execution=recording.execution_id,
        name=name,
        values=recording.values,
        batch=_batch_key("list-values", name, recording),
    )


def _batch_key(endpoint: str, name: str, recording: SingleValue | ListValues) -> BatchKey | None:
    return batch_key(endpoint, lambda: msgspec.json.encode((name, recording)))


# --- out ----------------------------------------------------------------------------------


class MetricPageArgs(StrictArgs):
    """Filters of metrics, and the page of the result."""

    name = Text(data_key="filters[name]")
    pipeline = Text(data_key="filters[pipeline_name]")
    deployment = Text(data_key="filters[deployment_name]")
    execution = Text(data_key="filters[execution_id]")
    size = fields.Integer(
        data_key="items_per_page", load_default=PAGE_SIZE, validate=validate.Range(1, PAGE_SIZE)
    )
    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE))


METRIC_PAGE = MetricPageArgs()  # for a class, one would be created for each request


class ExecutionMetricSchema(Schema):
    """The execution of a metric; `deployment_name` is null if it ran for none."""

    name = fields.String()
    created_at = UtcTime()
    execution_id = fields.String()
    deployment_name = fields.String(allow_none=True)
    pipeline_name = fields.String()


class SingleMetricSchema(ExecutionMetricSchema):
    """A metric of an execution."""

    value = fields.Float()


class SingleMetricsSchema(Schema):
    """A page of metrics; `total_count` is the number on all pages."""

    metrics = fields.List(fields.Nested(SingleMetricSchema))
    total_count = fields.Integer()


class ListMetricSchema(ExecutionMetricSchema):
    """A list of an execution."""

    values = fields.List(fields.Float())


class ListMetricsSchema(Schema):
    """A page of lists; `total_count` is the number on all pages."""

    metrics = fields.List(fields.Nested(ListMetricSchema))
    total_count = fields.Integer()


class SingleRow(msgspec.Struct, gc=False):
    """A row of `SingleMetricSchema` as it is sent; no schema validates the 5000 of a page."""

    name: str
    value: float
    created_at: datetime
    execution_id: str
    deployment_name: str | None
    pipeline_name: str


class ListRow(msgspec.Struct, gc=False):
    """A row of `ListMetricSchema`; the database has formatted its values."""

    name: str
    values: msgspec.Raw
    created_at: datetime
    execution_id: str
    deployment_name: str | None
    pipeline_name: str


@blp.route("/metrics/single-value")
@needs(Role.READ)
@blp.arguments(METRIC_PAGE, location="query", unknown=RAISE)
@blp.response(200, SingleMetricsSchema)
def get_single_values(args: dict[str, Any], workspace_id: int) -> Response:
    """The values of metrics, in the order in which they were first recorded"""
    page = _page(args, workspace_id, is_list=False)
    return _answer(
        page, [SingleRow(m.name, m.value, m.recorded_at, *_run(m)) for m in page.metrics]
    )


@blp.route("/metrics/list-values")
@needs(Role.READ)
@blp.arguments(METRIC_PAGE, location="query", unknown=RAISE)
@blp.response(200, ListMetricsSchema)
def get_list_values(args: dict[str, Any], workspace_id: int) -> Response:
    """The lists of metrics, in the order in which they were first recorded"""
    page = _page(args, workspace_id, is_list=True)
    rows = _list_rows(database(), page)
    first = next(rows, [])  # an outage before the first portion becomes an error response
    if len(first) == len(page.metrics):
        return _answer(page, first)
    return Response(_in_pieces(chain([first], rows), page.total), mimetype="application/json")


def _list_rows(database: Database, page: StepMetricPage) -> Iterator[list[ListRow]]:
    """The rows of a page, in portions: 5000 lists of 50,000 values fit into no memory."""
    for portion in portions(page.metrics):
        with database.glancing() as conn:
            lists = [msgspec.Raw(f"[{values}]".encode()) for values in list_values(conn, portion)]
        yield [
            ListRow(
                metric.name,
                values,
                metric.created_at,
                *_run(metric),
            )
            for metric, values in zip(portion, lists, strict=True)
        ]


def _in_pieces(portions_of_rows: Iterable[list[ListRow]], total: int) -> Iterator[bytes]:
    """Stream a response; if the database fails, it breaks off and is invalid JSON."""
    yield b'{"metrics":['
    for place, rows in enumerate(portions_of_rows):
        yield (b"," if place else b"") + msgspec.json.encode(rows)[1:-1]
    yield b'],"total_count":%d}' % total


def _page(args: dict[str, Any], workspace_id: int, *, is_list: bool) -> StepMetricPage:
    """The page that the parameters name.

    Raises:
        InvalidInput: filters that don't go together.
    """
    which = StepMetricFilter(
        *(args.get(name) for name in ("name", "pipeline", "deployment", "execution"))
    )
    if len(which.conditions().keys() - {"name"}) > 1:
        raise InvalidInput("only one of pipeline_name, deployment_name and execution_id can be set")
    size, place = args["size"], args["page"] - 1
    with database().glancing() as conn:
        return step_metrics(
            conn,
            workspace_id=workspace_id,
            is_list=is_list,
            which=which,
            size=size,
            offset=place * size,
        )


def _run(metric: StepMetric) -> tuple[str, str | None, str]:
    return metric.execution, metric.deployment or None, metric.pipeline


def _answer(page: StepMetricPage, rows: Sequence[SingleRow | ListRow]) -> Response:
    """As in the schemas; half a million numbers are too many to serialize one by one."""
    body = msgspec.json.encode({"metrics": rows, "total_count": page.total})
    return Response(body, mimetype="application/json")
