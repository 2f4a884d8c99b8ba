"""Helpers: monitors that judge windows of the past, and rows with a given moment of arrival."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import TextClause, text

from app.monitors.history import PastVerdict, history_of
from app.monitors.rounds import judge_due
from app.store.database import Database
from app.store.registry import Kind

# A Monday, so that all windows used here end at it.
START = datetime(2025, 3, 3, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MODEL = "fraud"


def definition(**members: Any) -> dict[str, Any]:
    """The body of a monitor: accuracy below 0.8, per hour, by its value alone."""
    return {
        "model": MODEL,
        "metric": "accuracy",
        "window": "1h",
        "compare": {"with": "value", "value": 0.8},
        "rule": {"is": "below"},
        "confidence": None,
    } | members


def put(client: FlaskClient, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.put(f"/api/v1/monitors/{name}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def rewind(database: Database, start: datetime = START) -> None:
    """Let all monitors judge windows that end after `start`, and no round have been yet."""
    with database.writing() as conn:
        conn.execute(
            text("UPDATE monitor SET judged_from = :start, judged_until = :start"), {"start": start}
        )
        conn.execute(text("UPDATE monitor_round SET as_of = :start"), {"start": start})


def series_of(
    database: Database,
    workspace: int,
    version: str = "",
    kind: Kind = Kind.CLASSIFICATION,
    tags: Mapping[str, str] | None = None,
) -> int:
    """A series of the model."""
    with database.writing() as conn:
        model = conn.execute(
            text("""
                INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
                VALUES (:workspace, '', '', :name, :kind)
                ON CONFLICT (workspace_id, namespace, pipeline, name)
                DO UPDATE SET kind = EXCLUDED.kind RETURNING id
            """),
            {"workspace": workspace, "name": MODEL, "kind": kind},
        ).scalar_one()
        found: int = conn.execute(
            text("""
                INSERT INTO series (model_id, deployment, version, deployment_type, server_version,
                                    tags)
                VALUES (:model, '', :version, '', '', CAST(:tags AS jsonb)) RETURNING id
            """),
            {"model": model, "version": version, "tags": json.dumps(dict(tags or {}))},
        ).scalar_one()
    return found


def labels_of(database: Database, workspace: int, names: Iterable[str]) -> dict[str, int]:
    with database.writing() as conn:
        return {
            name: conn.execute(
                text("INSERT INTO label (workspace_id, name) VALUES (:w, :n) RETURNING id"),
                {"w": workspace, "n": name},
            ).scalar_one()
            for name in names
        }


def given_truths(
    series: int,
    labels: Mapping[str, int],
    *,
    hits: int = 0,
    misses: int = 0,
    time: datetime,
    received_at: datetime,
) -> list[dict[str, Any]]:
    """Outcomes of predictions of `cat`, of which so many are right."""
    cat, dog = labels["cat"], labels["dog"]
    row = {"series_id": series, "time": time, "received_at": received_at, "predicted": cat}
    return [row | {"actual": cat}] * hits + [row | {"actual": dog}] * misses


def store_truths(database: Database, rows: Iterable[Mapping[str, Any]]) -> None:
    """Outcomes with their moments of arrival: series_id, time, received_at, predicted, actual."""
    _store(database, _TRUTHS, [{"weight": 1} | dict(row) for row in rows])


def store_predictions(database: Database, rows: Iterable[Mapping[str, Any]]) -> None:
    """Predictions: series_id, time, received_at, failed, latency."""
    _store(database, _PREDICTIONS, [{"failed": False, "latency": None} | dict(row) for row in rows])


def _store(database: Database, statement: TextClause, rows: list[dict[str, Any]]) -> None:
    """In one statement: each that stores rows of the past takes a while."""
    with database.writing() as conn:
        conn.execute(statement, {"rows": json.dumps(rows, default=datetime.isoformat)})


def judge(database: Database, until: datetime) -> datetime | None:
    return judge_due(database, until)


def history(
    database: Database, workspace: int, name: str, as_of: datetime | None = None
) -> list[PastVerdict]:
    """The verdicts, oldest window first."""
    with database.reading() as conn:
        found = history_of(conn, workspace, name, as_of=as_of, size=1000)
    return list(found.verdicts)[::-1]


_TRUTHS = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index,
                         weight)
    SELECT received_at, time, series_id, predicted, actual, 0, weight
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
        received_at timestamptz, time timestamptz, series_id integer, predicted integer,
        actual integer, weight smallint)
""")
_PREDICTIONS = text("""
    INSERT INTO prediction (received_at, time, series_id, label_id, batch_index, starts_request,
                            starts_label, failed, latency_seconds)
    SELECT received_at, time, series_id, NULL, 0, true, true, failed, latency
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
        received_at timestamptz, time timestamptz, series_id integer, failed boolean,
        latency float8)
""")
