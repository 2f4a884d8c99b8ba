"""How fast is ingest? Batches and bulk bodies, compared with a bare COPY of the same rows.

The floor of predictions is a binary COPY of the same rows and of their keys into the same tables,
with nothing parsed, checked, deduplicated or joined; that of truths, of the rows of `outcome`.
Bulk bodies are sent to a server, over one connection. Run it with
`python -m bench.ingest [rows] [rounds]`.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import httpx
import numpy as np
from pyarrow import csv, parquet

from app.cli.serve import relax_garbage_collection
from app.ingest import feedback, inferences
from app.ingest.bulk.formats import ARROW, CSV, NDJSON, PARQUET
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.ingest.rows import read_json
from app.store.columns import (
    Column,
    Varying,
    booleans,
    copy_columns,
    doubles,
    instants,
    integers,
    nulls,
    uuids,
)
from app.store.database import Database
from app.store.request_keys import request_digests
from bench.data import Data, arrow, generate, predictions, truths
from bench.database import fresh_database
from bench.load import FEEDBACK, PREDICTIONS, post, served
from bench.report import Sample, heading, note

WORKSPACE = 1
BATCH_ROWS = 20_000
Send = Callable[[Data], float]


def main(rows: int = 100_000, rounds: int = 3) -> None:
    """Note seconds of each way next to its floor.

    Each round measures the floor and all ways in turn, so that what slows down the
    machine slows down all of them.
    """
    relax_garbage_collection()
    with fresh_database() as database, served(database) as client:
        ways = all_ways(database, client)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for seed in range(rounds):
            for place, (name, send) in enumerate(ways.items()):
                seconds[name].append(send(generate(rows, models=1, seed=seed * len(ways) + place)))
    heading()
    for name, taken in seconds.items():
        floor = FLOORS[name.partition(",")[0]]
        if name != floor:
            note(name, Sample("Truthline", taken), Sample("bare COPY", seconds[floor]))


FLOORS = {
    "predictions": "floor of predictions",
    "truths": "floor of truths",
    "floor of predictions": "floor of predictions",
    "floor of truths": "floor of truths",
}


def all_ways(database: Database, client: httpx.Client) -> dict[str, Send]:
    """What sends rows, and says how many seconds it took."""
    return {
        "floor of predictions": partial(copy_predictions, database),
        "predictions, JSON": partial(send_batches, database),
        **{
            f"predictions, {name} over HTTP": partial(post_predictions, client, type_, write)
            for name, type_, write in FORMATS
        },
        "floor of truths": partial(copy_outcomes, database),
        "truths, JSON": partial(send_truths, database, client),
        "truths, Arrow over HTTP": partial(post_truths, client),
    }


# --- ours -----------------------------------------------------------------------------------


def rows_of(data: Data) -> list[Mapping[str, object]]:
    """Predictions as JSON has them."""
    table = predictions(data).rename_columns(WIRE_NAMES)
    return [row | {"time": row["time"].isoformat()} for row in table.to_pylist()]


WIRE_NAMES = ["model", "version", "requestId", "time", "label", "confidence", "latencySeconds"]


def as_parquet(data: Data) -> bytes:
    """Predictions as a Parquet file."""
    out = io.BytesIO()
    parquet.write_table(predictions(data), out)
    return out.getvalue()


def as_csv(data: Data) -> bytes:
    """Predictions as CSV."""
    out = io.BytesIO()
    csv.write_csv(predictions(data), out)
    return out.getvalue()


def as_ndjson(data: Data) -> bytes:
    """Predictions as lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows_of(data)).encode()


FORMATS = (
    ("Arrow", ARROW, lambda data: arrow(predictions(data))),
    ("Parquet", PARQUET, as_parquet),
    ("CSV", CSV, as_csv),
    ("NDJSON", NDJSON, as_ndjson),
)


def post_predictions(
    client: httpx.Client, media_type: str, write: Callable[[Data], bytes], data: Data
) -> float:
    """Seconds from the first byte sent to the answer."""
    return post(client, PREDICTIONS, media_type, write(data), len(data))


def post_truths(client: httpx.Client, data: Data) -> float:
    """The same for truths, whose predictions are there."""
    post(client, PREDICTIONS, ARROW, arrow(predictions(data)), len(data))
    return post(client, FEEDBACK, ARROW, arrow(truths(data)), len(data))


def batches(name: str, rows: Sequence[object]) -> list[bytes]:
    """Rows in as many bodies as they need."""
    parts = (rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS))
    return [json.dumps({name: part}).encode() for part in parts]


def send_batches(database: Database, data: Data) -> float:
    """Seconds from the bytes of JSON batches to the last commit."""
    bodies = batches("predictions", rows_of(data))
    began = time.perf_counter()
    for body in bodies:
        read = read_json(body, "predictions", Prediction, inferences.check, BATCH_ROWS)
        ingest_predictions(database, WORKSPACE, read)
    return time.perf_counter() - began


def send_truths(database: Database, client: httpx.Client, data: Data) -> float:
    """The same for truths, whose predictions are there."""
    post(client, PREDICTIONS, ARROW, arrow(predictions(data)), len(data))
    table = truths(data).rename_columns(["model", "requestId", "label"])
    bodies = batches("feedback", table.to_pylist())
    began = time.perf_counter()
    for body in bodies:
        read = read_json(body, "feedback", Feedback, feedback.check, BATCH_ROWS)
        ingest_feedback(database, WORKSPACE, read)
    return time.perf_counter() - began


# --- the floor ------------------------------------------------------------------------------


def copy_predictions(database: Database, data: Data) -> float:
    """Seconds to append ready rows and their keys, in the order of the keys."""
    encoded = [id_.encode() for id_ in data.ids]
    number = len(data)
    digests = np.frombuffer(request_digests(encoded), np.uint8).reshape(-1, 16)
    order = np.lexsort(digests.T[::-1])
    ones, time_ = np.ones(number, np.int64), data.time
    label, confidence = integers(data.label + 1), doubles(data.confidence)
    rows: dict[str, Column] = {
        "time": instants(time_),
        "series_id": integers(ones),
        "label_id": label,
        "confidence": confidence,
        "latency_seconds": doubles(data.latency),
        "starts_request": booleans(ones > 0),
        "starts_label": booleans(ones > 0),
        "failed": booleans(ones < 0),
        "request_id": ids_column(encoded),
        "batch_index": integers(0 * ones),
    }
    keys: dict[str, Column] = {
        "model_id": integers(ones),
        "key": uuids(digests[order]),
        "batch_index": integers(0 * ones),
        "series_id": integers(ones),
        "time": instants(time_[order]),
        "predicted_label": label.take(order),
        "predicted_value": nulls(number),
        "confidence": confidence,
    }
    began = time.perf_counter()
    with database.writing() as conn:
        copy_columns(conn, "prediction_key", keys)
        copy_columns(conn, "prediction", rows)
    return time.perf_counter() - began


def copy_outcomes(database: Database, data: Data) -> float:
    """Seconds to append ready pairs of predictions and truths."""
    ones = np.ones(len(data), np.int64)
    rows: dict[str, Column] = {
        "time": instants(data.time),
        "series_id": integers(ones),
        "predicted_label": integers(data.label + 1),
        "actual_label": integers(data.actual + 1),
        "batch_index": integers(0 * ones),
        "request_id": ids_column([id_.encode() for id_ in data.ids]),
        "predicted_score": doubles(data.confidence),
    }
    began = time.perf_counter()
    with database.writing() as conn:
        copy_columns(conn, "outcome", rows)
    return time.perf_counter() - began


def ids_column(encoded: list[bytes]) -> Varying:
    """Request ids as a column."""
    lengths = [len(id_) for id_ in encoded]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Varying(np.frombuffer(b"".join(encoded), np.uint8), offsets)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
