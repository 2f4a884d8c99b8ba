"""How fast is ingest? Whole batches from JSON bytes to commit, compared with a bare COPY.

The floor is psycopg's binary COPY of the same prediction rows into the same table, with nothing
checked, deduplicated or joined. Run it with `python -m bench.ingest [rows per batch] [batches]`.
"""

import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from app.cli.serve import relax_garbage_collection
from app.ingest import feedback, inferences
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import PREDICTION_COLUMNS, ingest_predictions
from app.ingest.rows import read_json
from app.store.copy import copy_rows
from app.store.database import Database
from bench.database import fresh_database

WORKSPACE = 1
CLASSES = [f"class-{number}" for number in range(10)]
MODEL = {"namespace": "bench", "pipeline": "bench", "model": "bench"}


def main(rows: int = 20_000, batches: int = 5) -> None:
    """Print rows per second, and the ratio to the floor."""
    relax_garbage_collection()
    with fresh_database() as database:
        ids = [[str(uuid.uuid4()) for _ in range(rows)] for _ in range(batches)]
        kinds = {
            "predictions": timed(ids, lambda batch: send_predictions(database, batch)),
            "feedback": timed(ids, lambda batch: send_feedback(database, batch)),
            "floor: bare COPY": timed(ids, lambda batch: bare_copy(database, batch)),
        }
    floor = kinds["floor: bare COPY"]
    for name, seconds in kinds.items():
        print(
            f"{name:18} {rows / seconds:10,.0f} rows/s  {seconds / floor:5.1f} x the floor's time"
        )


def timed(ids: list[list[str]], send: Callable[[list[str]], float]) -> float:
    """Seconds of the fastest batch: what the machine can do when nothing disturbs it."""
    return min(send(batch) for batch in ids)


def send_predictions(database: Database, ids: list[str]) -> float:
    """Seconds from the body's bytes to the commit."""
    rows = [
        MODEL
        | {"requestId": id_, "time": "2026-01-01T00:00:00Z", "version": "v1"}
        | {"label": random.choice(CLASSES), "confidence": 0.5, "latencySeconds": 0.01}
        for id_ in ids
    ]
    body = json.dumps({"predictions": rows}).encode()
    began = time.perf_counter()
    read = read_json(body, "predictions", Prediction, inferences.check, len(ids))
    ingest_predictions(database, WORKSPACE, read)
    return time.perf_counter() - began


def send_feedback(database: Database, ids: list[str]) -> float:
    """The same for truths, each joined with its prediction."""
    rows = [MODEL | {"requestId": id_, "label": random.choice(CLASSES)} for id_ in ids]
    body = json.dumps({"feedback": rows}).encode()
    began = time.perf_counter()
    read = read_json(body, "feedback", Feedback, feedback.check, len(ids))
    ingest_feedback(database, WORKSPACE, read)
    return time.perf_counter() - began


def bare_copy(database: Database, ids: list[str]) -> float:
    """Seconds to append ready rows."""
    rows = list(ready_rows(ids))
    began = time.perf_counter()
    with database.writing() as conn:
        copy_rows(conn, "prediction", PREDICTION_COLUMNS, rows)
    return time.perf_counter() - began


def ready_rows(ids: list[str]) -> Iterator[tuple[object, ...]]:
    """What PREDICTION_COLUMNS asks for."""
    now = datetime.now(UTC)
    for id_ in ids:
        yield (now, 1, 1, None, 0.5, 0.01, True, True, False, id_, 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
