"""A database as it is after a day of use: two models, runs of training, and a neighbour.

The workspace `default` has a fifth of the six hours of tests/replayed.py as if they had just
passed, half of that a day before, and executions with step metrics. The workspace NEIGHBOUR has
rows of every kind, whose texts begin with SECRET and whose numbers are SECRET_NUMBER. On
TimescaleDB Community all of it is in the columnstore.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace as replaced
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import DEFAULT_WORKSPACE, default_workspace, find_or_create_workspace
from app.config import Settings
from app.demo.lesson import DIABETES, DIGITS
from app.demo.timeline import Event
from app.ingest.executions import ExecutionUpdate, update_execution
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.metadata import ingest_metadata
from app.ingest.positive_class import declare_positive_class
from app.ingest.predictions import ingest_predictions
from app.ingest.steps import append_values, record_value
from app.monitors.definition import Compare, MonitorDefinition, Rule
from app.monitors.stored_monitors import put_monitor
from app.rollup.columnstore import enable_columnstore
from app.rollup.refresh import refresh
from app.store.database import Database
from app.store.edition import Edition, server_info
from app.store.registry import ModelName
from app.upkeep.erasure import Target, erase
from tests.replayed import LENGTH, Answer, Replayed, new_start, replay, timeline

DAY = timedelta(days=1)
NEIGHBOUR, SECRET, SECRET_NUMBER = "hushed-team", "hushed", 4242.4242
EXECUTIONS = 3


@dataclass(frozen=True)
class Demo:
    """A database in use; `start` and `end` bound those six hours, `key` reads `default`."""

    settings: Settings
    database: Database
    key: str
    start: datetime
    end: datetime


def fill(url: str) -> Demo:
    """Fill a migrated database."""
    settings = Settings(database_url=url, pool_size=8)
    database = Database.from_settings(settings)
    ours = default_workspace(database)
    with database.writing() as conn:
        theirs = find_or_create_workspace(conn, NEIGHBOUR)
        key = create_key(conn, ours, Role.READ)
    start = new_start(datetime.now(UTC))
    declare_positive_class(database, ours, DIGITS, "8")
    replayed = list(replay(database, ours, list(_events(start))))
    assert replayed
    _train(database, ours)
    keep_secrets(database, theirs)
    for one in (DIGITS, DIABETES):
        _watch(database, ours, one, 0.5)
    _watch(database, theirs, ModelName(SECRET, SECRET, f"{SECRET}-classes"), SECRET_NUMBER)
    _settle(database)
    for workspace, by in ((DEFAULT_WORKSPACE, "ann"), (NEIGHBOUR, SECRET)):
        erase(database, Target(workspace=workspace, request_ids=["unknown"]), by=by)
    return Demo(settings, database, key, start, start + LENGTH)


def _events(start: datetime) -> Iterator[Event]:
    """Of yesterday, under other request ids, and then of today."""
    today = [_scored(event) for event in timeline(MODELS, start) if event.request_id[-1] in "05"]
    for event in today:
        if event.request_id[-1] == "0":
            yield _a_day_before(event)
    yield from today


def _scored(event: Event) -> Event:
    """The same with a score for each class instead of a confidence."""
    row = event.row
    if not isinstance(row, Prediction) or row.label is None or row.confidence is None:
        return event
    rest = (1 - row.confidence) / (len(CLASSES) - 1)
    scores = dict.fromkeys(CLASSES, rest) | {row.label: row.confidence}
    return replace(event, row=replaced(row, label=None, confidence=None, scores=scores))


def _digits(version: str, samples: Sequence[int], noise: Sequence[float]) -> list[Answer]:
    chance = random.Random(version)
    answers: list[Answer] = []
    for sample, disturbance in zip(samples, noise, strict=True):
        missed = chance.random() < 0.05 + disturbance / 8
        confidence = round(chance.uniform(0.5, 1), 3)
        shown = CLASSES[(sample + missed) % len(CLASSES)]
        answers.append((shown, confidence))
    return answers


def _diabetes(version: str, samples: Sequence[int], noise: Sequence[float]) -> list[Answer]:
    chance = random.Random(version)
    pairs = zip(samples, noise, strict=True)
    return [round(PROGRESS[sample] + chance.gauss(0, 20 * (1 + far)), 2) for sample, far in pairs]


# Replaces the demo's own models, which take seconds to train.
CLASSES = list("0123456789")
PROGRESS = [float(value) for value in range(40, 340, 5)]
MODELS = [Replayed(DIGITS, CLASSES, _digits), Replayed(DIABETES, PROGRESS, _diabetes)]


def _a_day_before(event: Event) -> Event:
    renamed = f"yesterday-{event.request_id}"
    row = replaced(event.row, request_id=renamed)
    if isinstance(row, Prediction) and row.time:
        row = replaced(row, time=row.time - DAY)
    return replace(event, request_id=renamed, row=row)


def _train(database: Database, workspace_id: int) -> None:
    for number in range(1, EXECUTIONS + 1):
        name = f"train-{number}"
        told = ExecutionUpdate(pipeline="digits-training")
        update_execution(database, workspace_id, name, told)
        for epoch in range(1, 4):
            accuracy = 0.8 + 0.02 * number + 0.01 * epoch
            record_value(database, workspace_id, execution=name, name="accuracy", value=accuracy)
            losses = [1 / (number + epoch + part) for part in range(3)]
            append_values(database, workspace_id, execution=name, name="loss", values=losses)


def keep_secrets(database: Database, workspace_id: int) -> None:
    now = datetime.now(UTC) - timedelta(minutes=5)
    said: dict[str, Any] = {
        "namespace": SECRET,
        "pipeline": SECRET,
        "time": now,
        "latency_seconds": SECRET_NUMBER,
    }
    of_class: dict[str, Any] = {"model": f"{SECRET}-classes", "request_id": f"{SECRET}-1"}
    of_value: dict[str, Any] = {"model": f"{SECRET}-values", "request_id": f"{SECRET}-2"}
    named = {name: f"{SECRET}-{name}" for name in ("version", "deployment", "server_version")}
    predictions = [
        Prediction(**said | of_class | named, label=f"{SECRET}-yes", confidence=0.42),
        Prediction(**said | of_value | named, value=SECRET_NUMBER),
    ]
    truths = [
        Feedback(**of_class, namespace=SECRET, pipeline=SECRET, label=f"{SECRET}-no"),
        Feedback(**of_value, namespace=SECRET, pipeline=SECRET, value=SECRET_NUMBER),
    ]
    ingest_predictions(database, workspace_id, predictions)
    ingest_feedback(database, workspace_id, truths)
    ingest_metadata(database, workspace_id, {(SECRET, f"{SECRET}-1"): SECRET})
    execution: dict[str, Any] = {"execution": f"{SECRET}-run", "name": f"{SECRET}-metric"}
    record_value(database, workspace_id, **execution, value=SECRET_NUMBER)
    append_values(database, workspace_id, **execution, values=[SECRET_NUMBER] * 3)


def _watch(database: Database, workspace_id: int, of: ModelName, number: float) -> None:
    """A monitor that fires after late truths, as tests/monitors lets one do."""
    body = MonitorDefinition(
        model=of.name,
        namespace=of.namespace,
        pipeline=of.pipeline,
        metric="errorRate",
        window="1h",
        compare=Compare(with_="value", value=0.9),
        rule=Rule(is_="above"),
    )
    prefix = f"{SECRET}-" if number == SECRET_NUMBER else ""
    with database.writing() as conn:
        monitor = put_monitor(conn, workspace_id, f"{prefix}watched-{of.name}", body)
        numbers = {"id": monitor.id, "number": number, "reason": f"{prefix}because"}
        conn.execute(_VERDICT, numbers)


_VERDICT = text("""
    WITH found AS (
        INSERT INTO verdict (monitor_id, part, window_start, window_end, as_of, value, low, high,
                             baseline, n, revision, state, reason, revised_as_of, revised_state,
                             revised_value, learned)
        SELECT :id, '', at - INTERVAL '1 hour', at, at + INTERVAL '1 hour', :number, :number,
               :number, :number, 50, 1, 'critical', :reason, at, 'ok', :number, 7
        FROM (SELECT date_trunc('hour', now() - INTERVAL '2 hours')) AS moment (at)
        RETURNING monitor_id, part, window_end, as_of, state
    )
    INSERT INTO monitor_part (monitor_id, part, window_end, as_of, state, since, told)
    SELECT monitor_id, part, window_end, as_of, state, window_end, state FROM found
""")


def _settle(database: Database) -> None:
    """Let rows have been received when they would have been, and bring levels up to date."""
    with database.writing() as conn:
        for table, received in _RECEIVED.items():
            conn.exec_driver_sql(REWRITE.format(table=table, received=received))
        community = server_info(conn).edition is Edition.COMMUNITY
    refresh(database)
    with database.outside_transactions() as conn:
        if community:
            for table in _RECEIVED:
                enable_columnstore(conn, table)
                conn.execute(_COMPRESS, {"table": f"truthline_data.{table}"})
        conn.exec_driver_sql("ANALYZE")


# Truths in ten minutes, their corrections twenty minutes later.
_RECEIVED = {
    "prediction": "time + INTERVAL '1 second'",
    "outcome": """time + INTERVAL '10 minutes' * CASE row_number() OVER (
        PARTITION BY series_id, request_id, batch_index ORDER BY received_at, weight)
        WHEN 1 THEN 1 ELSE 3 END""",
}
REWRITE = """
    CREATE TEMPORARY TABLE settled ON COMMIT DROP AS TABLE truthline_data.{table};
    TRUNCATE truthline_data.{table};
    UPDATE settled SET received_at = least(new.at, received_at)
    FROM (SELECT ctid AS place, {received} AS at FROM settled) AS new
    WHERE settled.ctid = new.place;
    INSERT INTO truthline_data.{table} SELECT * FROM settled ORDER BY received_at;
    DROP TABLE settled;
"""
_COMPRESS = text("""
    SELECT count(public.compress_chunk(chunk))
    FROM public.show_chunks(CAST(:table AS regclass)) AS chunk
""")
