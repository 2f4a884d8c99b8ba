"""Many concurrent writers, and what they stored."""

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import text

from app.config import Settings
from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction
from app.store.database import Database
from app.store.registry import ModelName
from tests.conftest import Workspace

T = TypeVar("T")
BASE = datetime(2024, 3, 10, 1, tzinfo=UTC)
PATIENCE_S = 60

_numbers = itertools.count()


def new_model() -> str:
    """A model that no other test has."""
    return f"crowd-{next(_numbers)}"


def prediction(model: str, number: int, label: str = "yes", **more: Any) -> Prediction:
    """A classified request, named by its number."""
    time = BASE + timedelta(milliseconds=number)
    said: dict[str, Any] = {"request_id": f"r{number}", "time": time, "label": label} | more
    return Prediction(model=model, **said)


def truth(model: str, number: int, label: str = "yes") -> Feedback:
    """What turned out true for that request."""
    return Feedback(model=model, request_id=f"r{number}", label=label)


def shuffled(rows: Iterable[T], seed: int) -> list[T]:
    """The rows in another order, the same for the same seed."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def chunks(rows: Sequence[T], size: int) -> list[Sequence[T]]:
    """Consecutive batches."""
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Results of calls that start together, each in a thread of its own; the first error raises."""
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        barrier.wait(PATIENCE_S)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        started = [pool.submit(start, call) for call in calls]
        return [call.result(PATIENCE_S) for call in started]


@contextmanager
def databases(url: str, count: int) -> Iterator[list[Database]]:
    """As many processes have them: each with connections and a registry of its own."""
    opened = [Database.from_settings(Settings(database_url=url, pool_size=2)) for _ in range(count)]
    try:
        yield opened
    finally:
        for database in opened:
            database.dispose()


def model_id(database: Database, workspace: Workspace, model: str) -> int:
    name = ModelName("", "", model)
    return database.registry.register_models(workspace.id, {name: None})[name].id


def select(
    database: Database, workspace: Workspace, model: str, statement: str
) -> list[tuple[Any, ...]]:
    """Rows of a statement about one model."""
    with database.reading() as conn:
        parameters = {"model_id": model_id(database, workspace, model)}
        return [tuple(row) for row in conn.execute(text(statement), parameters)]


def stored(database: Database, workspace: Workspace, model: str) -> list[str]:
    """Request ids of stored predictions, in order."""
    statement = """
        SELECT request_id FROM prediction JOIN series ON series.id = series_id
        WHERE model_id = :model_id ORDER BY 1
    """
    return [row[0] for row in select(database, workspace, model, statement)]


def joined(database: Database, workspace: Workspace, model: str) -> dict[tuple[Any, ...], int]:
    """(request id, version, predicted, actual) of the pairs that stand, with their weight."""
    statement = """
        SELECT o.request_id, s.version, p.name, a.name, sum(o.weight)
        FROM outcome AS o JOIN series AS s ON s.id = o.series_id
        JOIN label AS p ON p.id = o.predicted_label JOIN label AS a ON a.id = o.actual_label
        WHERE s.model_id = :model_id
        GROUP BY 1, 2, 3, 4 HAVING sum(o.weight) <> 0
    """
    return {row[:-1]: row[-1] for row in select(database, workspace, model, statement)}


def known_truths(database: Database, workspace: Workspace, model: str) -> list[tuple[Any, ...]]:
    """(version, truth) of each prediction key."""
    statement = """
        SELECT s.version, a.name
        FROM prediction_key AS k JOIN series AS s ON s.id = k.series_id
        LEFT JOIN label AS a ON a.id = k.actual_label WHERE k.model_id = :model_id
    """
    return select(database, workspace, model, statement)


def waiting(database: Database, workspace: Workspace, model: str) -> list[str]:
    """Request ids of truths that wait for their prediction."""
    statement = "SELECT request_id FROM pending_feedback WHERE model_id = :model_id ORDER BY 1"
    return [row[0] for row in select(database, workspace, model, statement)]
