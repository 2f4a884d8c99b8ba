"""Store the valid part of a message that its sender never repeats, and report what is invalid.

A batch of the native API is stored whole or not at all: its client corrects it and sends it again.
Roboflow's servers and event brokers don't, so there an invalid row must not affect the others.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from app.errors import InvalidRows, RowError
from app.ingest import inferences
from app.ingest.batch import BatchKey, Verdict
from app.ingest.inferences import Prediction
from app.ingest.models import DeclaredKind, kind_conflicts
from app.ingest.predictions import ingest_predictions
from app.ingest.prepared import crowded_rows
from app.ingest.strict_json import decode
from app.ingest.validation_errors import UNREADABLE, Rejection, rejection_of
from app.store.database import Database

Item = TypeVar("Item", bound=msgspec.Struct)
Row = TypeVar("Row")
Stored = tuple[Verdict, list[RowError]]
# Before each attempt, another writer may have registered the kind of one more model.
ATTEMPTS = 4


def read_item(text: msgspec.Raw, kind: type[Item]) -> Item | Rejection:
    """One item of a message, or why it is rejected.

    Raises:
        TooLarge: it has too many values for its size.
    """
    try:
        return decode(bytes(text), kind)
    except UNREADABLE as error:
        return rejection_of(error)


def ingest_valid_rows(
    database: Database,
    workspace_id: int,
    predictions: Sequence[Prediction],
    *,
    batch: BatchKey | None = None,
) -> Stored:
    """Store the valid predictions, and return the errors of the others."""

    def attempt() -> Stored:
        errors = invalid_predictions(database, workspace_id, predictions)
        valid = excluding(errors, predictions)
        if not valid:
            return Verdict(0, 0), errors
        return ingest_predictions(database, workspace_id, valid, batch=batch), errors

    return with_retries(attempt)


def with_retries(attempt: Callable[[], Stored]) -> Stored:
    """Retry if another writer registered the kind of a model in the meantime."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except InvalidRows:  # the next attempt knows that kind
            pass
    return attempt()


def excluding(errors: Sequence[RowError], rows: Sequence[Row]) -> list[Row]:
    """The rows without an error."""
    indices = {error.index for error in errors}
    return [row for index, row in enumerate(rows) if index not in indices]


def invalid_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[RowError]:
    """One error for each prediction that can't be stored."""
    declared_kinds = [
        (index, [inferences.declared_kind_of(row)]) for index, row in enumerate(predictions)
    ]
    errors = map(inferences.check, range(len(predictions)), predictions)
    return with_crowded(
        with_conflicts([e for e in errors if e], declared_kinds, database, workspace_id),
        list(enumerate(predictions)),
        database,
        workspace_id,
    )


def with_conflicts(
    errors: Sequence[RowError],
    declared_kinds: Sequence[tuple[int, Sequence[DeclaredKind]]],
    database: Database,
    workspace_id: int,
) -> list[RowError]:
    """These errors, and one for each other row with a different kind than its model."""
    errors_by_index = {error.index: error for error in errors}
    indexed = [
        (index, kind)
        for index, declared in declared_kinds
        if index not in errors_by_index
        for kind in declared
    ]
    flat = [kind for _, kind in indexed]
    for conflict in kind_conflicts(database.registry, workspace_id, flat):
        index = indexed[conflict.index][0]
        errors_by_index.setdefault(index, RowError(index, conflict.field, conflict.reason))
    return [errors_by_index[index] for index in sorted(errors_by_index)]


def with_crowded(
    errors: Sequence[RowError],
    predictions: Sequence[tuple[int, Prediction]],
    database: Database,
    workspace_id: int,
) -> list[RowError]:
    """These errors, and one for each other item whose model has no room for its series.

    Each prediction comes with the index of its item.

    Raises:
        InvalidRows: another writer registered the kind of a model in the meantime.
    """
    errors_by_index = {error.index: error for error in errors}
    valid = [(index, row) for index, row in predictions if index not in errors_by_index]
    for error in crowded_rows(database, workspace_id, [row for _, row in valid]):
        index = valid[error.index][0]
        errors_by_index.setdefault(index, RowError(index, error.field, error.reason))
    return [errors_by_index[index] for index in sorted(errors_by_index)]
