"""A body of any size: each chunk is a transaction of its own, and bad rows cost no good ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.errors import MAX_ROW_ERRORS, InvalidRows, RowError
from app.ingest.batch import BatchKey, Verdict, reject_reused_key
from app.ingest.bulk.checked import PREDICTIONS, TRUTHS, Chunk, Kind
from app.ingest.bulk.columns import PredictionColumns, TruthColumns
from app.ingest.bulk.feedback import store_truths
from app.ingest.bulk.predictions import Hints, store_predictions
from app.ingest.bulk.resolved import resolve_predictions, resolve_truths
from app.ingest.inferences import Prediction
from app.ingest.partial_batches import ingest_valid_rows, with_retries
from app.ingest.predictions import ingest_predictions
from app.store.database import Database

Stored = tuple[Verdict, list[RowError]]


@dataclass(slots=True)
class BulkVerdict:
    """What was done with the rows of a body so far, and the errors of the first refused ones.

    `accepted` + `duplicates` + `refused` is their number; `pending` ones are accepted too.
    """

    accepted: int = 0
    duplicates: int = 0
    pending: int = 0
    refused: int = 0
    errors: list[RowError] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows that were read."""
        return self.accepted + self.duplicates + self.refused

    def add(self, verdict: Verdict, errors: list[RowError]) -> None:
        """Count a chunk."""
        self.accepted += verdict.accepted
        self.duplicates += verdict.duplicates
        self.pending += verdict.pending
        self.refused += len(errors)
        room = MAX_ROW_ERRORS - len(self.errors)
        self.errors += sorted(errors, key=lambda error: error.index)[:room]


class BulkIngest:
    """Stores the chunks of one body, in order.

    `key` makes a repeated body change nothing, even where rows have no request id. With `whole`,
    a chunk with an invalid row is not stored at all.
    """

    def __init__(
        self,
        database: Database,
        workspace_id: int,
        kind: Kind[Any, Any],
        key: Callable[[int, Chunk], BatchKey | None] = lambda _number, _chunk: None,
        *,
        whole: bool = False,
    ) -> None:
        self.verdict = BulkVerdict()
        self._database = database
        self._workspace_id = workspace_id
        self._kind = kind
        self._key = key
        self._whole = whole
        self._chunks = 0
        self._hints = Hints()

    def store(self, chunk: Chunk) -> tuple[Verdict, list[RowError]]:
        """Store the valid rows of the next chunk; the others are counted as refused.

        Raises:
            InvalidRows: the chunk is stored whole or not at all, and has invalid rows.
            IdempotencyKeyReused: the key was used for a different body.
            Unavailable: the database can't be reached. What was stored before stays.
        """
        batch = self._key(self._chunks, chunk)
        reject_reused_key(self._database, self._workspace_id, batch)
        verdict, errors = self._stored(chunk, batch)
        self._chunks += 1
        self.verdict.add(verdict, errors)
        return verdict, errors

    def _stored(self, chunk: Chunk, batch: BatchKey | None) -> Stored:
        if self._kind is TRUTHS:
            return self._truths(chunk, batch)
        rows, errors = chunk.checked(PREDICTIONS)
        self._require_valid(errors)
        if not len(rows):
            return Verdict(0, 0), errors
        if isinstance(rows, list):
            return self._singly(rows, errors, batch)
        return with_retries(lambda: self._predictions(rows, errors, batch))

    def _require_valid(self, errors: list[RowError]) -> None:
        if self._whole and errors:
            raise InvalidRows(sorted(errors, key=lambda error: error.index)[:MAX_ROW_ERRORS])

    def _predictions(
        self, columns: PredictionColumns, errors: list[RowError], batch: BatchKey | None
    ) -> Stored:
        resolved, more = resolve_predictions(self._database, self._workspace_id, columns)
        self._require_valid(more)
        if not len(resolved.columns):
            return Verdict(0, 0), errors + more
        verdict = store_predictions(
            self._database, self._workspace_id, resolved, batch, self._hints
        )
        return verdict, errors + more

    def _truths(self, chunk: Chunk, batch: BatchKey | None) -> Stored:
        columns, errors = chunk.checked(TRUTHS)
        self._require_valid(errors)
        if isinstance(columns, list) or not len(columns):
            return Verdict(0, 0), errors
        return with_retries(lambda: self._resolved_truths(columns, errors, batch))

    def _resolved_truths(
        self, columns: TruthColumns, errors: list[RowError], batch: BatchKey | None
    ) -> Stored:
        resolved, more = resolve_truths(self._database, self._workspace_id, columns)
        self._require_valid(more)
        if not len(resolved.columns):
            return Verdict(0, 0), errors + more
        return store_truths(self._database, self._workspace_id, resolved, batch), errors + more

    def _singly(
        self,
        rows: list[tuple[int, Prediction]],
        errors: list[RowError],
        batch: BatchKey | None,
    ) -> Stored:
        """Predictions with detections: each may become several rows."""
        predictions = [row for _, row in rows]
        if self._whole:
            whole = ingest_predictions(self._database, self._workspace_id, predictions, batch=batch)
            return whole, []
        verdict, more = ingest_valid_rows(
            self._database, self._workspace_id, predictions, batch=batch
        )
        more = [RowError(rows[e.index][0], e.field, e.reason) for e in more]
        return verdict, errors + more
