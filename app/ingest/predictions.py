"""Predictions: the outputs of models, one row per output."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.ingest.batch import BatchKey, Verdict, reject_if_any, reject_reused_key, reserve_key
from app.ingest.inferences import (
    Output,
    Prediction,
    check,
)
from app.ingest.joins import Key, Requests, join, join_late
from app.ingest.keys import lock_requests
from app.ingest.prepared import (
    Identity,
    Places,
    PreparedPredictions,
    PreparedRow,
    has_single_output,
    prepare_predictions,
    requests_of,
)
from app.store.copy import PACKED, copy_rows, packed, stage_rows
from app.store.database import Database


def ingest_predictions(
    database: Database,
    workspace_id: int,
    predictions: Sequence[Prediction],
    *,
    batch: BatchKey | None = None,
) -> Verdict:
    """Store a batch of predictions, all or none; those already stored are left unchanged.

    Pending truths of theirs are joined in the same transaction; truths that arrive at the same
    moment are joined before this returns.

    Raises:
        InvalidRows: some rows can't be stored; none was stored.
        IdempotencyKeyReused: `batch` was used for different content.
    """
    reject_if_any(check(index, row) for index, row in enumerate(predictions))
    reject_reused_key(database, workspace_id, batch)
    prepared = prepare_predictions(database, workspace_id, predictions)
    verdict, joined = _store_batch(database, workspace_id, prepared, batch)
    late = {key: id_ for key, id_ in prepared.requests.items() if key not in joined}
    join_late(database, late)
    return verdict


def _store_batch(
    database: Database, workspace_id: int, prepared: PreparedPredictions, batch: BatchKey | None
) -> tuple[Verdict, Collection[Key]]:
    """The verdict on a batch, and the requests that were locked and joined as it was stored."""
    size = len(prepared.rows)
    with database.writing() as conn:
        if batch and (verdict := reserve_key(conn, workspace_id, batch, size)):
            return verdict, ()  # the first attempt may have died before its second look
        stored = store_predictions(conn, prepared)
        lock_requests(conn, stored.to_join)
        join(conn, stored.to_join)
        return stored.verdict, stored.to_join


@dataclass(frozen=True, slots=True)
class Stored:
    """The verdict on predictions, and requests that now have something to join."""

    verdict: Verdict
    to_join: Requests


def store_predictions(conn: Connection, prepared: PreparedPredictions) -> Stored:
    """Store new predictions in the caller's transaction, which holds no request's lock yet.

    The caller then locks the requests of `to_join`, and joins them with their truths.
    """
    new, joinable = new_rows(conn, prepared)
    copy_rows(conn, "prediction", PREDICTION_COLUMNS, prediction_rows(new, prepared.labels))
    verdict = Verdict(accepted=len(new), duplicates=len(prepared.rows) - len(new))
    return Stored(verdict, {key: id_ for key, id_ in requests_of(new).items() if key in joinable})


def new_rows(
    conn: Connection, prepared: PreparedPredictions
) -> tuple[list[PreparedRow], Collection[Key]]:
    """Rows that weren't stored before, their keys now reserved; and their joinable requests.

    Rows without a request id are always new.
    """
    first = {row.identity: row for row in reversed(prepared.rows) if row.key}
    reserved = _reserve_keys(conn, first.values(), prepared) if first else {}
    new = [
        row
        for row in prepared.rows
        if row.key is None or (row.identity in reserved and first[row.identity] is row)
    ]
    joinable = {(m, k) for (m, k, *_), is_joinable in reserved.items() if is_joinable and k}
    return new, joinable


def _reserve_keys(
    conn: Connection, rows: Iterable[PreparedRow], prepared: PreparedPredictions
) -> Mapping[Identity, bool]:
    """New identities, and whether a truth or another answer to the request is stored.

    Of two writers with the same identity, the second waits for the first.
    """
    stage_rows(conn, "staged_prediction", STAGED_COLUMNS, _staged_rows(rows, prepared))
    return {
        (row.model_id, row.key, row.batch_index, row.series_id): row.is_joinable
        for row in conn.execute(text(RESERVE_KEYS))
    }


STAGED_COLUMNS = {
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "series_id": "integer",
    "time": "timestamptz",
    "predicted_label": "integer",
    "predicted_value": "double precision",
    "confidence": "double precision",
    "scores": PACKED,
    "tagged_series_id": "integer",
}


def _staged_rows(
    rows: Iterable[PreparedRow], prepared: PreparedPredictions
) -> Iterator[tuple[object, ...]]:
    for row in rows:
        output = _single_output(row)
        yield (
            *row.identity,
            row.time,
            None if output.label is None else prepared.labels[output.label],
            output.value,
            output.confidence,
            _packed_scores(row, prepared.places),
            row.series_id if row.prediction.tags else None,
        )


def _packed_scores(row: PreparedRow, places: Places) -> bytes | None:
    """Its scores as they are stored."""
    if row.scores is None or not (lay_out := places.get((row.identity[0], row.scores.labels))):
        return None
    return packed(lay_out(row.scores.numbers))


def _single_output(row: PreparedRow) -> Output:
    """What a truth is compared with: nothing for a failed attempt, even if it has an output.

    Detections can't be compared yet: a truth needs a box to match.
    """
    return row.outputs[0] if has_single_output(row.prediction) else Output()


# In key order, so that two batches with common keys can't deadlock. A request is joinable if a
# truth is pending for it, or another series has answered it (a challenger next to its champion):
# that answer may have a truth, or be about to get one.
RESERVE_KEYS = """
    INSERT INTO prediction_key AS mine (model_id, key, batch_index, series_id, time,
                                        predicted_label, predicted_value, confidence, scores,
                                        tagged_series_id)
    SELECT model_id, key, batch_index, series_id, time, predicted_label, predicted_value,
           confidence, scores, tagged_series_id
    FROM staged_prediction
    ORDER BY model_id, key, batch_index, series_id
    ON CONFLICT DO NOTHING
    RETURNING model_id, key, batch_index, series_id,
              EXISTS (SELECT FROM pending_feedback AS f
                      WHERE (f.model_id, f.key, f.batch_index)
                          = (mine.model_id, mine.key, mine.batch_index)
                      OFFSET 0)
              OR EXISTS (SELECT FROM prediction_key AS k
                         WHERE (k.model_id, k.key, k.batch_index)
                             = (mine.model_id, mine.key, mine.batch_index)
                         OFFSET 0) AS is_joinable
"""
PREDICTION_COLUMNS = {
    "time": "timestamptz",
    "series_id": "integer",
    "label_id": "integer",
    "value": "double precision",
    "confidence": "double precision",
    "latency_seconds": "double precision",
    "starts_request": "boolean",
    "starts_label": "boolean",
    "failed": "boolean",
    "request_id": "text",
    "batch_index": "integer",
}


def prediction_rows(
    rows: Iterable[PreparedRow], labels: Mapping[str, int]
) -> Iterator[tuple[object, ...]]:
    """The rows that predictions are stored as, with the values of PREDICTION_COLUMNS."""
    for row in rows:
        prediction, seen = row.prediction, set()
        for position, output in enumerate(row.outputs):
            yield (
                row.time,
                row.series_id,
                None if output.label is None else labels[output.label],
                output.value,
                output.confidence,
                prediction.latency_seconds,
                position == 0,
                output.label not in seen,
                prediction.error,
                prediction.request_id,
                prediction.batch_index,
            )
            seen.add(output.label)
