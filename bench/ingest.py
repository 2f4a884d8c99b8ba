"""How fast is ingest? Batches and bulk bodies, compared with a bare COPY of the same rows.

The floor of predictions is a binary COPY of the same rows and of their keys into the same tables,
with nothing parsed, checked, deduplicated or joined; that of truths, of the rows of `outcome`.
Bulk bodies are sent to a server, over one connection. Run it with
`python -m bench.ingest [rows] [rounds]`.
"""

import io
import json
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import httpx
import numpy as np
import pyarrow as pa
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
from bench.database import fresh_database

WORKSPACE = 1
BATCH_ROWS = 20_000
CLASSES = [f"class-{number}" for number in range(10)]
START = 1_767_225_600_000_000
PATIENCE_SECONDS = 60
Send = Callable[[list[str]], float]


def main(rows: int = 100_000, rounds: int = 3) -> None:
    """Print rows per second, and the share of the floor's rate: medians of some rounds.

    Each round measures the floor and all ways in turn, so that what slows down the
    machine slows down all of them.
    """
    relax_garbage_collection()
    with fresh_database() as database, served(database) as client:
        ways: dict[str, tuple[Send, str]] = {
            "floor of predictions": (lambda ids: copy_predictions(database, ids), ""),
            "predictions, JSON": (lambda ids: send_batches(database, ids), "predictions"),
            **{
                f"predictions, {name} over HTTP": (
                    partial(post, client, media_type=media_type, write=write),
                    "predictions",
                )
                for name, media_type, write in FORMATS
            },
            "floor of truths": (lambda ids: copy_outcomes(database, ids), ""),
            "truths, JSON": (lambda ids: send_truths(database, client, ids), "truths"),
            "truths, Arrow over HTTP": (lambda ids: post_truths(client, ids), "truths"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (send, _floor) in ways.items():
                ids = [str(uuid.uuid4()) for _ in range(rows)]
                seconds[name].append(send(ids))
    for name, (_, floor) in ways.items():
        print(described(name, seconds[name], seconds.get(f"floor of {floor}"), rows))


def described(name: str, seconds: list[float], floor: list[float] | None, rows: int) -> str:
    """A line of the report."""
    rate = rows / float(np.median(seconds))
    share = ""
    if floor:
        share = f"{float(np.median(np.array(floor) / np.array(seconds))):6.2f} of the floor"
    spread = f"{rows / max(seconds):,.0f} to {rows / min(seconds):,.0f}"
    return f"{name:32} {rate:10,.0f} rows/s  ({spread:>20})  {share}"


@contextmanager
def served(database: Database) -> Iterator[httpx.Client]:
    """A client of a server over this database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "serve", "--no-auth", "--no-worker"]
    environ = {**os.environ, "TRUTHLINE_DATABASE_URL": url}
    with subprocess.Popen(
        [*command, "--port", str(port)], env=environ, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
                await_ready(client)
                yield client
        finally:
            process.terminate()


def await_ready(client: httpx.Client) -> None:
    """Wait until the server answers.

    Raises:
        TimeoutError: it does not.
    """
    for _ in range(PATIENCE_SECONDS * 10):
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError


# --- ours -----------------------------------------------------------------------------------


def table(ids: list[str]) -> pa.Table:
    """Predictions."""
    number = len(ids)
    times = pa.array(START + np.arange(number), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "model": pa.array(["bench"]).take(pa.array(np.zeros(number, int))),
            "version": pa.array(["v1"]).take(pa.array(np.zeros(number, int))),
            "request_id": ids,
            "time": times,
            "label": random.choices(CLASSES, k=number),
            "confidence": np.full(number, 0.5),
            "latency_seconds": np.full(number, 0.01),
        }
    )


def rows_of(ids: list[str]) -> list[Mapping[str, object]]:
    """The same as JSON has them."""
    common = {"model": "bench", "version": "v1", "time": "2026-01-01T00:00:00Z"}
    more = {"confidence": 0.5, "latencySeconds": 0.01}
    return [{**common, "requestId": id_, "label": random.choice(CLASSES), **more} for id_ in ids]


def arrow(rows: pa.Table) -> bytes:
    """A table as an Arrow stream."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


def as_parquet(ids: list[str]) -> bytes:
    """Predictions as a Parquet file."""
    out = io.BytesIO()
    parquet.write_table(table(ids), out)
    return out.getvalue()


def as_csv(ids: list[str]) -> bytes:
    """Predictions as CSV."""
    rows = table(ids)
    texts = pa.array(["2026-01-01T00:00:00Z"]).take(pa.array(np.zeros(len(ids), int)))
    out = io.BytesIO()
    csv.write_csv(rows.set_column(rows.column_names.index("time"), "time", texts), out)
    return out.getvalue()


def as_ndjson(ids: list[str]) -> bytes:
    """Predictions as lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows_of(ids)).encode()


FORMATS = (
    ("Arrow", ARROW, lambda ids: arrow(table(ids))),
    ("Parquet", PARQUET, as_parquet),
    ("CSV", CSV, as_csv),
    ("NDJSON", NDJSON, as_ndjson),
)


def post(
    client: httpx.Client, ids: list[str], *, media_type: str, write: Callable[[list[str]], bytes]
) -> float:
    """Seconds from the first byte sent to the answer."""
    return _post(client, "/api/v1/predictions?bulk=true", media_type, write(ids), len(ids))


def post_truths(client: httpx.Client, ids: list[str]) -> float:
    """The same for truths, whose predictions are there."""
    post(client, ids, media_type=ARROW, write=lambda ids: arrow(table(ids)))
    labels = random.choices(CLASSES, k=len(ids))
    model = pa.array(["bench"]).take(pa.array(np.zeros(len(ids), int)))
    body = arrow(pa.table({"model": model, "request_id": ids, "label": labels}))
    return _post(client, "/api/v1/feedback", ARROW, body, len(ids))


def _post(client: httpx.Client, path: str, media_type: str, body: bytes, number: int) -> float:
    began = time.perf_counter()
    answer = client.post(path, content=body, headers={"Content-Type": media_type})
    seconds = time.perf_counter() - began
    assert answer.json().get("accepted") == number, answer.text  # noqa: S101 - or it measures nothing
    return seconds


def send_batches(database: Database, ids: list[str]) -> float:
    """Seconds from the bytes of JSON batches to the last commit."""
    bodies = [
        json.dumps({"predictions": rows_of(ids[at : at + BATCH_ROWS])}).encode()
        for at in range(0, len(ids), BATCH_ROWS)
    ]
    began = time.perf_counter()
    for body in bodies:
        read = read_json(body, "predictions", Prediction, inferences.check, BATCH_ROWS)
        ingest_predictions(database, WORKSPACE, read)
    return time.perf_counter() - began


def send_truths(database: Database, client: httpx.Client, ids: list[str]) -> float:
    """The same for truths, whose predictions are there."""
    post(client, ids, media_type=ARROW, write=lambda ids: arrow(table(ids)))
    rows = [{"model": "bench", "requestId": id_, "label": random.choice(CLASSES)} for id_ in ids]
    bodies = [
        json.dumps({"feedback": rows[at : at + BATCH_ROWS]}).encode()
        for at in range(0, len(ids), BATCH_ROWS)
    ]
    began = time.perf_counter()
    for body in bodies:
        read = read_json(body, "feedback", Feedback, feedback.check, BATCH_ROWS)
        ingest_feedback(database, WORKSPACE, read)
    return time.perf_counter() - began


# --- the floor ------------------------------------------------------------------------------


def copy_predictions(database: Database, ids: list[str]) -> float:
    """Seconds to append ready rows and their keys, in the order of the keys."""
    encoded = [id_.encode() for id_ in ids]
    number = len(ids)
    digests = np.frombuffer(request_digests(encoded), np.uint8).reshape(-1, 16)
    order = np.lexsort(digests.T[::-1])
    ones, time_ = np.ones(number, np.int64), START + np.arange(number)
    label, confidence = integers(np.arange(number) % 10 + 1), doubles(np.full(number, 0.5))
    rows: dict[str, Column] = {
        "time": instants(time_),
        "series_id": integers(ones),
        "label_id": label,
        "confidence": confidence,
        "latency_seconds": doubles(np.full(number, 0.01)),
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


def copy_outcomes(database: Database, ids: list[str]) -> float:
    """Seconds to append ready pairs of predictions and truths."""
    number = len(ids)
    ones = np.ones(number, np.int64)
    rows: dict[str, Column] = {
        "time": instants(START + np.arange(number)),
        "series_id": integers(ones),
        "predicted_label": integers(np.arange(number) % 10 + 1),
        "actual_label": integers(np.arange(number) % 9 + 1),
        "batch_index": integers(0 * ones),
        "request_id": ids_column([id_.encode() for id_ in ids]),
        "predicted_score": doubles(np.full(number, 0.5)),
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
