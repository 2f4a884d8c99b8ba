"""A chunk of a body, checked: the columns of its valid rows, and the errors of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec
import numpy as np

from app.errors import RowError
from app.ingest import feedback, inferences
from app.ingest.bulk import structs
from app.ingest.bulk.batches import predictions_of, truths_of
from app.ingest.bulk.columns import Flags, Integers, PredictionColumns, TruthColumns
from app.ingest.bulk.members import Members
from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction
from app.ingest.rows import Check
from app.ingest.validation_errors import UNREADABLE, rejection_of

Row = TypeVar("Row", bound=msgspec.Struct)


Columns = TypeVar("Columns", PredictionColumns, TruthColumns)
FromStructs = Callable[[Sequence[Row], Integers], tuple[Columns, Flags]]
FromBatch = Callable[[Members, Integers], tuple[Columns, Flags]]


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row, Columns]):
    """One kind of row: its type, its check, and how both forms become columns."""

    name: str
    row_type: type[Row]
    check: Check[Row]
    of_structs: FromStructs[Row, Columns]
    of_batch: FromBatch[Columns]


PREDICTIONS = Kind(
    "predictions", Prediction, inferences.check, structs.prediction_columns, predictions_of
)
TRUTHS = Kind("feedback", Feedback, feedback.check, structs.truth_columns, truths_of)


class Chunk(Protocol):
    """Some consecutive rows of a body."""

    @property
    def size(self) -> int:
        """The number of rows."""
        ...

    def digest(self) -> bytes:
        """Equal for equal content."""
        ...

    def checked(self, kind: Kind[Row, Columns]) -> "Checked[Columns, Row]":
        """The valid rows, and the errors of the others."""
        ...


# Valid rows, and the errors of the others. Rows with detections, which columns can't hold, come
# singly, and all rows of their chunk too; each with its position.
Checked = tuple[Columns | list[tuple[int, Row]], list[RowError]]


def checked_singly(
    kind: Kind[Row, Columns],
    index: Sequence[int],
    read: Sequence[Callable[[], Row]],
    errors: Sequence[RowError],
) -> "Checked[Columns, Row]":
    """Rows as themselves, and these errors and those of others."""
    valid: list[tuple[int, Row]] = []
    refused = list(errors)
    for at, read_one in zip(index, read, strict=True):
        row = _read(kind, at, read_one)
        if isinstance(row, RowError):
            refused.append(row)
        else:
            valid.append((at, row))
    return valid, refused


def examined(
    kind: Kind[Row, Columns],
    columns: Columns,
    doubtful: Flags,
    row_at: Callable[[int], Row],
    errors: list[RowError],
) -> Columns:
    """Columns without the rows that a rule rejects, whose errors are appended to `errors`.

    `row_at` is called for each doubtful row.
    """
    if not doubtful.any():
        return columns
    valid: list[Row] = []
    places: list[int] = []
    for place in np.flatnonzero(doubtful).tolist():
        index = int(columns.index[place])
        row = _read(kind, index, partial(row_at, place))
        if isinstance(row, RowError):
            errors.append(row)
        else:
            valid.append(row)
            places.append(index)
    columns = columns.take(~doubtful)
    if valid:
        columns = columns.followed_by(kind.of_structs(valid, np.array(places, np.int64))[0])
    return columns


def _read(kind: Kind[Row, Columns], index: int, read: Callable[[], Row]) -> Row | RowError:
    """What `read` returns, or why it is rejected."""
    try:
        row = read()
    except UNREADABLE as error:
        return RowError(index, *rejection_of(error))
    return kind.check(index, row) or row
