"""Training runs of the demo's classifier: real ones, each with a different step size.

A run is an execution that records its loss and accuracy after each pass over the images, and its
final results as scalars. This module needs scikit-learn, the extra `demo`.
"""

# mypy: disable-error-code="no-untyped-call"
# scikit-learn carries no types.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sqlalchemy import Connection

from app.demo.models import SEED
from app.demo.timeline import DIGITS
from app.ingest.executions import ExecutionUpdate, update_execution
from app.ingest.steps import append_values, record_value
from app.query.steps import recorded
from app.store.database import Database

STEP_SIZES = (0.001, 0.003, 0.01, 0.03)
PASSES = 12
DEPLOYMENT = "nightly-training"


@dataclass(frozen=True, slots=True)
class Run:
    """One training: its name, its scalars, and its lists."""

    execution: str
    scalars: Mapping[str, float]
    lists: Mapping[str, Sequence[float]]


def runs() -> Iterator[Run]:
    """Train once per step size."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, digits, random_state=SEED, stratify=digits)
    for number, step_size in enumerate(STEP_SIZES, 1):
        losses, accuracies = _passes(step_size, *parts)
        scalars = {"step_size": step_size, "loss": losses[-1], "accuracy": accuracies[-1]}
        lists = {"loss": losses, "accuracy": accuracies}
        yield Run(f"demo-training-{number}", scalars, lists)


def _passes(
    step_size: float,
    images: Sequence[object],
    held_out: Sequence[object],
    digits: Sequence[int],
    truths: np.ndarray,
) -> tuple[list[float], list[float]]:
    """Loss and accuracy on the test images, after each pass."""
    model = SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=step_size, random_state=SEED
    )
    losses, accuracies = [], []
    for _ in range(PASSES):
        model.partial_fit(images, digits, classes=range(10))
        shares = model.predict_proba(held_out)
        losses.append(float(log_loss(truths, shares)))
        accuracies.append(float((shares.argmax(axis=1) == truths).mean()))
    return losses, accuracies


def record(database: Database, workspace_id: int) -> None:
    """Record the runs that are not stored yet."""
    for run in runs():
        with database.reading() as conn:
            is_stored = _is_stored(conn, workspace_id, run)
        if not is_stored:
            _record(database, workspace_id, run)


def _is_stored(conn: Connection, workspace_id: int, run: Run) -> bool:
    stored = recorded(conn, workspace_id=workspace_id, executions=[run.execution])
    return len(stored.lists) == len(run.lists)


def _record(database: Database, workspace_id: int, run: Run) -> None:
    update = ExecutionUpdate(pipeline=DIGITS.pipeline, deployment=DEPLOYMENT)
    update_execution(database, workspace_id, run.execution, update)
    for name, value in run.scalars.items():
        record_value(database, workspace_id, execution=run.execution, name=name, value=value)
    for name, values in run.lists.items():
        append_values(database, workspace_id, execution=run.execution, name=name, values=values)
