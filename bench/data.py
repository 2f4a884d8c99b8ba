"""The rows that all cases share: predictions of some models, each with its truth, from a seed.

They are spread evenly over a week, in ten classes; a truth is the predicted class in six of seven
cases. Request ids are random UUIDs, as clients make them.
"""

import io
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

SEED = 20260105
START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
MODELS = 5
CLASSES = [f"class-{number}" for number in range(10)]
RIGHT = 0.85
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Data:
    """The same rows as columns of numbers: of each a model, an instant, two classes, a score."""

    ids: list[str]
    model: np.ndarray
    time: np.ndarray
    label: np.ndarray
    actual: np.ndarray
    confidence: np.ndarray
    latency: np.ndarray

    def __len__(self) -> int:
        """How many predictions."""
        return len(self.ids)


def generate(rows: int, *, models: int = MODELS, seed: int = SEED) -> Data:
    """Rows in the order of their time; times are microseconds since 1970."""
    random = np.random.default_rng(seed)
    first, step = int(START.timestamp()) * MICROSECONDS, int(WEEK.total_seconds()) * MICROSECONDS
    label = random.integers(0, len(CLASSES), rows)
    other = random.integers(0, len(CLASSES), rows)
    return Data(
        ids=[str(uuid.UUID(bytes=random.bytes(16), version=4)) for _ in range(rows)],
        model=random.integers(0, models, rows),
        time=first + np.arange(rows) * step // rows,
        label=label,
        actual=np.where(random.random(rows) < RIGHT, label, other),
        confidence=1 - random.random(rows) * random.random(rows),
        latency=np.round(random.random(rows) / 10, 6),
    )


def model_name(number: int) -> str:
    """The name of a model."""
    return f"model-{number}"


def predictions(data: Data) -> pa.Table:
    """Predictions, as the bulk endpoints take them."""
    return pa.table(
        {
            "model": _names([model_name(n) for n in range(MODELS)], data.model),
            "version": _names(["v1"], 0 * data.model),
            "request_id": data.ids,
            "time": pa.array(data.time, pa.timestamp("us", "UTC")),
            "label": _names(CLASSES, data.label),
            "confidence": data.confidence,
            "latency_seconds": data.latency,
        }
    )


def truths(data: Data) -> pa.Table:
    """Their truths, as the bulk endpoints take them."""
    return pa.table(
        {
            "model": _names([model_name(n) for n in range(MODELS)], data.model),
            "request_id": data.ids,
            "label": _names(CLASSES, data.actual),
        }
    )


def joined(data: Data) -> pa.Table:
    """What engines and reports get, which join nothing: a row has its truth, all as numbers."""
    return pa.table(
        {
            "model": data.model.astype(np.int16),
            "time": data.time,
            "label": data.label.astype(np.int8),
            "actual": data.actual.astype(np.int8),
        }
    )


def _names(names: list[str], places: np.ndarray) -> pa.Array:
    return pa.array(names).take(pa.array(places))


def arrow(table: pa.Table) -> bytes:
    """A table as an Arrow stream."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()
