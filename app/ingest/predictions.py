"""Predictions: what a model answered, one row per output."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from app.ingest.batch import BatchKey, Verdict, claim, refuse_if_any, refuse_reused
from app.ingest.inferences import Output, Prediction, check, claim_of, outputs_of
from app.ingest.keys import request_key, share_keys
from app.ingest.models import settle_kinds
from app.store.copy import copy_rows, stage_rows
from app.store.database import Database
from app.store.registry import Model, SeriesName

# Model, key, batch index and series: what makes a prediction the same as another.
Identity = tuple[int, UUID | None, int, int]


class Placed(NamedTuple):
    """A prediction with the ids it is stored under. `key` is None without a request id."""

    prediction: Prediction
    time: datetime
    outputs: Sequence[Output]
    series_id: int
    key: UUID | None
    identity: Identity


def ingest_predictions(
    database: Database,
    workspace_id: int,
    predictions: Sequence[Prediction],
    *,
    batch: BatchKey | None = None,
) -> Verdict:
    """Store a batch of predictions, all or none; those already stored are left alone.

    Truths that were waiting for one of them are joined in the same transaction.

    Raises:
        InvalidRows: some rows can't be stored; none was.
        IdempotencyKeyReused: `batch` was used for other content.
    """
    refuse_if_any(check(index, row) for index, row in enumerate(predictions))
    refuse_reused(database, workspace_id, batch)
    prepared = prepare_predictions(database, workspace_id, predictions)
    with database.writing() as conn:
        if batch and (verdict := claim(conn, workspace_id, batch, len(predictions))):
            return verdict
        share_keys(conn, prepared.keys)
        return store_predictions(conn, prepared)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Predictions with all ids they need, in the order they came."""

    placed: Sequence[Placed]
    labels: Mapping[str, int]

    @property
    def keys(self) -> Iterator[tuple[int, UUID]]:
        """Keys of their requests, each with the id of its model."""
        return ((row.identity[0], row.key) for row in self.placed if row.key)


def prepare_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> Prepared:
    """Register what checked predictions name.

    Raises:
        InvalidRows: one is of another kind than its model.
    """
    placed = _place(database, workspace_id, predictions, now=datetime.now(UTC))
    names = {o.label for row in placed for o in row.outputs if o.label is not None}
    return Prepared(placed, database.registry.register_labels(workspace_id, names))


def store_predictions(conn: Connection, prepared: Prepared) -> Verdict:
    """Store those that are new, with the truths that wait for them, in the caller's transaction.

    The caller shares or owns their keys.
    """
    fresh = _without_known(conn, prepared.placed, prepared.labels)
    copy_rows(conn, "prediction", PREDICTION_COLUMNS, _prediction_rows(fresh, prepared.labels))
    return Verdict(accepted=len(fresh), duplicates=len(prepared.placed) - len(fresh))


def _place(
    database: Database, workspace_id: int, predictions: Sequence[Prediction], *, now: datetime
) -> list[Placed]:
    claims = [claim_of(row) for row in predictions]
    models = settle_kinds(database.registry, workspace_id, claims)
    names = [_series_name(models[c.model], row) for c, row in zip(claims, predictions, strict=True)]
    series = database.registry.register_series(names)
    return [
        _placed(row, name.model_id, series[name], row.time or now)
        for row, name in zip(predictions, names, strict=True)
    ]


def _placed(row: Prediction, model_id: int, series_id: int, time: datetime) -> Placed:
    outputs = outputs_of(row)
    key = _key_of(row)
    identity = (model_id, key, row.batch_index, series_id)
    return Placed(row, time, outputs, series_id, key, identity)


def _series_name(model: Model, row: Prediction) -> SeriesName:
    return SeriesName(
        model.id, row.deployment, row.version, row.deployment_type, row.server_version
    )


def _key_of(row: Prediction) -> UUID | None:
    """A failed attempt has a key of its own: the retry that succeeds is no repetition of it."""
    if not row.request_id:
        return None
    return request_key(f"{row.request_id}\0failed" if row.error else row.request_id)


def _without_known(
    conn: Connection, placed: Sequence[Placed], labels: Mapping[str, int]
) -> list[Placed]:
    """Those that weren't stored before, now with their keys taken and waiting truths joined.

    Rows without a request id are always new.
    """
    first = {row.identity: row for row in reversed(placed) if row.key}
    taken = _take_keys(conn, first, labels) if first else set()
    return [
        row
        for row in placed
        if row.key is None or (row.identity in taken and first[row.identity] is row)
    ]


def _take_keys(
    conn: Connection, first: Mapping[Identity, Placed], labels: Mapping[str, int]
) -> set[Identity]:
    """Identities that are new. Of two writers with the same one, the second waits for the first."""
    stage_rows(conn, "staged_prediction", STAGED_COLUMNS, _staged_rows(first.values(), labels))
    taken = conn.execute(_TAKE_KEYS).all()
    _join(conn, [row for row in taken if row.actual_label or row.actual_value is not None], first)
    return {_identity(row) for row in taken}


def _identity(row: Row[Any]) -> Identity:
    return (row.model_id, row.key, row.batch_index, row.series_id)


def _join(conn: Connection, known: Sequence[Row[Any]], first: Mapping[Identity, Placed]) -> None:
    """Append the outcomes of new predictions whose truth was there before them."""
    if not known:
        return
    outcomes = (
        (
            row.time,
            row.series_id,
            row.predicted_label,
            row.actual_label,
            row.predicted_value,
            row.actual_value,
            row.batch_index,
            first[_identity(row)].prediction.request_id,
        )
        for row in known
    )
    copy_rows(conn, "outcome", OUTCOME_COLUMNS, outcomes)
    names = ("model_id", "key", "batch_index")
    conn.execute(_FORGET_JOINED, {n: [getattr(row, n) for row in known] for n in names})


STAGED_COLUMNS = {
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "series_id": "integer",
    "time": "timestamptz",
    "predicted_label": "integer",
    "predicted_value": "double precision",
    "request_id": "text",
}


def _staged_rows(rows: Iterable[Placed], labels: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        label, value = _single_output(row, labels)
        yield (*row.identity, row.time, label, value, row.prediction.request_id)


def _single_output(row: Placed, labels: Mapping[str, int]) -> tuple[int | None, float | None]:
    """What a truth is compared with: nothing for a failed attempt, whatever it answered.

    Detections have none yet: a truth needs a box to match.
    """
    if row.prediction.error or row.prediction.detections is not None:
        return None, None
    output = row.outputs[0]
    return (None if output.label is None else labels[output.label]), output.value


# In key order, so that two batches with common keys wait for each other one way only. A truth may
# be there already: it waits in pending_feedback, or stands on another series' prediction of the
# same request (a challenger beside its champion).
_TAKE_KEYS = text("""
    INSERT INTO prediction_key (model_id, key, batch_index, series_id, time,
                                predicted_label, predicted_value, actual_label, actual_value)
    SELECT s.model_id, s.key, s.batch_index, s.series_id, s.time,
           s.predicted_label, s.predicted_value, truth.actual_label, truth.actual_value
    FROM staged_prediction AS s
    LEFT JOIN LATERAL (
        SELECT f.actual_label, f.actual_value FROM pending_feedback AS f
        WHERE (f.model_id, f.key, f.batch_index) = (s.model_id, s.key, s.batch_index)
          AND (f.actual_label IS NULL) = (s.predicted_label IS NULL)
          AND (f.actual_value IS NULL) = (s.predicted_value IS NULL)
        UNION ALL
        SELECT k.actual_label, k.actual_value FROM prediction_key AS k
        WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
          AND (k.actual_label IS NULL) = (s.predicted_label IS NULL)
          AND (k.actual_value IS NULL) = (s.predicted_value IS NULL)
        LIMIT 1
    ) AS truth ON true
    ORDER BY s.model_id, s.key, s.batch_index, s.series_id
    ON CONFLICT DO NOTHING
    RETURNING *
""")
# Of champion and challenger, both may want to forget the same truths: in key order, as above.
_FORGET_JOINED = text("""
    WITH joined AS (
        SELECT model_id, key, batch_index
        FROM pending_feedback
        JOIN unnest(CAST(:model_id AS integer[]), CAST(:key AS uuid[]),
                    CAST(:batch_index AS integer[])) AS known (model_id, key, batch_index)
             USING (model_id, key, batch_index)
        ORDER BY model_id, key, batch_index
        FOR UPDATE OF pending_feedback
    )
    DELETE FROM pending_feedback AS f
    USING joined
    WHERE (f.model_id, f.key, f.batch_index)
        = (joined.model_id, joined.key, joined.batch_index)
""")
OUTCOME_COLUMNS = {
    "time": "timestamptz",
    "series_id": "integer",
    "predicted_label": "integer",
    "actual_label": "integer",
    "predicted_value": "double precision",
    "actual_value": "double precision",
    "batch_index": "integer",
    "request_id": "text",
}


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


def _prediction_rows(
    rows: Iterable[Placed], labels: Mapping[str, int]
) -> Iterator[tuple[object, ...]]:
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
