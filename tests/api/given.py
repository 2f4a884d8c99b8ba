"""Helpers of the HTTP tests: requests to start from, and queries of what was stored."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.store.database import Database

SELDON = "/metrics-server/api/v1"
START = datetime(2025, 2, 25, 11, 51, 22, tzinfo=UTC)
MINUTE = {"startTime": "2025-02-25T11:51:22Z", "endTime": "2025-02-25T11:52:22Z"}
MODEL = {"namespace": "shop", "pipeline": "checkout", "model": "fraud"}
SELDON_MODEL = {"namespace": "shop", "pipelineName": "checkout", "modelName": "fraud"}

TABLES = [
    *("model", "label", "subscription", "prediction", "outcome", "prediction_key"),
    *("pending_feedback", "ingest_batch", "execution", "step_name", "step_metric", "step_batch"),
]
NOTHING = dict.fromkeys(TABLES, 0)


def keyed_client(app: Flask, key: str) -> FlaskClient:
    """A client that sends this key."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


# --- native ---------------------------------------------------------------------------------


def prediction(**fields: Any) -> dict[str, Any]:
    """A prediction at START; its output is in `fields`."""
    return MODEL | {"time": START.isoformat()} | fields


def truth(request_id: str, **fields: Any) -> dict[str, Any]:
    """A feedback with the members `fields`."""
    return MODEL | {"requestId": request_id} | fields


def predict(client: FlaskClient, *rows: Mapping[str, Any], **headers: str) -> TestResponse:
    return client.post("/api/v1/predictions", json={"predictions": rows}, headers=headers)


def tell(client: FlaskClient, *rows: Mapping[str, Any], **headers: str) -> TestResponse:
    return client.post("/api/v1/feedback", json={"feedback": rows}, headers=headers)


def send(
    client: FlaskClient,
    body: bytes | str,
    *,
    to: str = "predictions",
    content_type: str = "application/json",
    **headers: str,
) -> TestResponse:
    """Post bytes or text as they are; `headers` with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/api/v1/{to}", data=body, content_type=content_type, headers=named)


def ndjson(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def verdict(answer: TestResponse) -> tuple[int, ...]:
    """(accepted, duplicates, pending) of an accepted batch."""
    assert answer.status_code == 200, answer.text
    return tuple(answer.get_json()[name] for name in ("accepted", "duplicates", "pending"))


def given_pairs(
    client: FlaskClient,
    pairs: Sequence[tuple[Any, Any]],
    *,
    time: datetime = START,
    output: str = "label",
    part: Mapping[str, str] | None = None,
    **fields: Any,
) -> None:
    """Predictions of `time` with their truths, from (predicted, actual) pairs.

    `part` is what only predictions have: their version, or deployment.
    """
    ids = [f"{time.isoformat()}-{number}" for number in range(len(pairs))]
    names = list(zip(ids, pairs, strict=True))
    rows = [
        prediction(requestId=id_, time=time.isoformat(), **{output: predicted}, **(part or {}))
        | fields
        for id_, (predicted, _) in names
    ]
    verdict(predict(client, *rows))
    verdict(tell(client, *(truth(id_, **{output: actual}) | fields for id_, (_, actual) in names)))


def pairs_of(matrix: Sequence[int], categories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(predicted, actual) pairs that a flattened confusion matrix counts."""
    for place, count in enumerate(matrix):
        actual, predicted = divmod(place, len(categories))
        yield from [(categories[predicted], categories[actual])] * count


def native_metrics(
    client: FlaskClient, kind: str = "classification", **parameters: Any
) -> TestResponse:
    """The answer about the model in the minute from START; None leaves a parameter out."""
    query = {k: v for k, v in (MODEL | MINUTE | parameters).items() if v is not None}
    return client.get(f"/api/v1/metrics/{kind}", query_string=query)


def now_of(database: Database) -> datetime:
    """The database's clock, by which rows are stamped."""
    with database.reading() as conn:
        now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now


# --- Seldon's -------------------------------------------------------------------------------


def metrics(client: FlaskClient, kind: str = "classification", **parameters: Any) -> TestResponse:
    """Ask for metrics of the model in the minute from START; None leaves a parameter out."""
    query = {k: v for k, v in (SELDON_MODEL | MINUTE | parameters).items() if v is not None}
    return client.get(f"{SELDON}/metrics/pipeline/{kind}", query_string=query)


def buckets(answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["metrics"]
    return found


def matrices(client: FlaskClient, **parameters: Any) -> list[list[int]]:
    """Flattened confusion matrices, one per bucket."""
    return [b["confusionMatrix"]["values"] for b in buckets(metrics(client, **parameters))]


def matrix(client: FlaskClient, **parameters: Any) -> tuple[list[str], list[int]]:
    """(categories, flattened matrix) of the whole window."""
    (bucket,) = buckets(metrics(client, **parameters))
    return bucket["confusionMatrix"]["categories"], bucket["confusionMatrix"]["values"]


def at(seconds: float = 0, microseconds: float = 0) -> datetime:
    """An instant after START."""
    return START + timedelta(seconds=seconds, microseconds=microseconds)


def categorical(*categories: Sequence[str], member: str = "categorical") -> dict[str, Any]:
    return {"featuresMetadata": [{member: {"name": "output", "categories": list(categories)}}]}


NUMERIC = {"featuresMetadata": [{"numeric": {"name": "output"}}]}


def subscribe(client: FlaskClient, metadata: dict[str, Any], **names: Any) -> TestResponse:
    return client.post(f"{SELDON}/pipeline/model/subscribe", json=SELDON_MODEL | metadata | names)


def subscribed(client: FlaskClient, metadata: dict[str, Any], **names: Any) -> str:
    """Subscribe, and return the id."""
    answer = subscribe(client, metadata, **names)
    assert answer.status_code == 200, answer.text
    id_: str = answer.get_json()["subscriptionId"]
    return id_


def subscriptions(client: FlaskClient, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{SELDON}/pipeline/subscriptions", query_string=filters)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.get_json()["subscriptions"]
    return listed


def unsubscribe(client: FlaskClient, id_: str) -> TestResponse:
    return client.delete(
        f"{SELDON}/pipeline/model/unsubscribe", query_string={"subscriptionId": id_}
    )


def index(value: float) -> dict[str, Any]:
    return {"classificationFeedback": {"value": value}}


def number(value: float) -> dict[str, Any]:
    return {"regressionFeedback": {"value": value}}


def feed_back(
    client: FlaskClient, request_id: str, feedback: Mapping[str, Any], **more: Any
) -> TestResponse:
    body = SELDON_MODEL | {"requestId": request_id, "feedback": feedback} | more
    return client.post(f"{SELDON}/pipeline/model/feedback", json=body)


# --- Craft's --------------------------------------------------------------------------------

SINGLE, LIST = "/api/v1/metrics/single-value", "/api/v1/metrics/list-values"


def record(
    client: FlaskClient,
    name: str,
    value: float,
    execution: str = "x",
    key: str | None = None,
    **more: Any,
) -> TestResponse:
    """Record a scalar; the name goes into the path as it is."""
    body = {"value": value, "execution_id": execution} | more
    return client.put(f"{SINGLE}/{name}", json=body, headers=_named(key))


def append(
    client: FlaskClient,
    name: str,
    values: Sequence[float],
    execution: str = "x",
    key: str | None = None,
    **more: Any,
) -> TestResponse:
    """Append to a list."""
    body = {"values": values, "execution_id": execution} | more
    return client.post(f"{LIST}/{name}", json=body, headers=_named(key))


def _named(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def recorded(answer: TestResponse) -> None:
    assert answer.status_code == 204, answer.text
    assert answer.data == b""


# --- what is stored -------------------------------------------------------------------------

_COUNTS = text("""
    WITH mine AS (SELECT id FROM model WHERE workspace_id = :id),
         my_series AS (SELECT s.id FROM series AS s JOIN mine ON mine.id = s.model_id)
    SELECT (SELECT count(*) FROM mine) AS model,
           (SELECT count(*) FROM label WHERE workspace_id = :id) AS label,
           (SELECT count(*) FROM subscription WHERE model_id IN (TABLE mine)) AS subscription,
           (SELECT count(*) FROM prediction WHERE series_id IN (TABLE my_series)) AS prediction,
           (SELECT count(*) FROM outcome WHERE series_id IN (TABLE my_series)) AS outcome,
           (SELECT count(*) FROM prediction_key WHERE model_id IN (TABLE mine)) AS prediction_key,
           (SELECT count(*) FROM pending_feedback WHERE model_id IN (TABLE mine))
               AS pending_feedback,
           (SELECT count(*) FROM ingest_batch WHERE workspace_id = :id) AS ingest_batch,
           (SELECT count(*) FROM execution WHERE workspace_id = :id) AS execution,
           (SELECT count(*) FROM step_name WHERE workspace_id = :id) AS step_name,
           (SELECT count(*) FROM step_metric WHERE workspace_id = :id) AS step_metric,
           (SELECT count(*) FROM step_batch WHERE metric_id IN (
                SELECT id FROM step_metric WHERE workspace_id = :id)) AS step_batch
""")
_OUTPUTS = text("""
    SELECT label.name, p.value, p.confidence, p.starts_request, p.starts_label, p.failed
    FROM prediction AS p
    JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
    LEFT JOIN label ON label.id = p.label_id
    WHERE model.workspace_id = :id
    ORDER BY p.received_at, NOT p.starts_request, p.confidence DESC
""")


def count_rows(database: Database, workspace_id: int) -> dict[str, int]:
    """Rows of a workspace by table."""
    with database.reading() as conn:
        return dict(conn.execute(_COUNTS, {"id": workspace_id}).one()._mapping)


def stored_outputs(database: Database, workspace_id: int) -> list[tuple[Any, ...]]:
    """(label, value, confidence, starts_request, starts_label, failed) of each output."""
    with database.reading() as conn:
        return [tuple(row) for row in conn.execute(_OUTPUTS, {"id": workspace_id})]
