"""Predictions: what a model answered, one row per output."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from app.ingest.batch import BatchKey, Verdict, claim, refuse_if_any, refuse_reused
from app.ingest.inferences import Output, Prediction, check, claim_of, outputs_of
from app.ingest.keys import own_keys, request_key
from app.ingest.meetings import Key, Requests, meet, meet_late
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

    Truths that were waiting for one of them are joined in the same transaction; those that came
    at the same moment, before this returns.

    Raises:
        InvalidRows: some rows can't be stored; none was.
        IdempotencyKeyReused: `batch` was used for other content.
    """
    refuse_if_any(check(index, row) for index, row in enumerate(predictions))
    refuse_reused(database, workspace_id, batch)
    prepared = prepare_predictions(database, workspace_id, predictions)
    verdict, met = _store_batch(database, workspace_id, prepared, batch)
    late = {key: id_ for key, id_ in prepared.requests.items() if key not in met}
    meet_late(database, late)
    return verdict


def _store_batch(
    database: Database, workspace_id: int, prepared: "Prepared", batch: BatchKey | None
) -> tuple[Verdict, Collection[Key]]:
    """The verdict on a batch, and the requests that were owned and joined as it was stored."""
    size = len(prepared.placed)
    with database.writing() as conn:
        if batch and (verdict := claim(conn, workspace_id, batch, size)):
            return verdict, ()  # the first attempt may have ended before it looked again
        stored = store_predictions(conn, prepared)
        own_keys(conn, stored.to_meet)
        meet(conn, stored.to_meet)
        return stored.verdict, stored.to_meet


@dataclass(frozen=True, slots=True)
class Prepared:
    """Predictions with all ids they need, in the order they came."""

    placed: Sequence[Placed]
    labels: Mapping[str, int]

    @property
    def requests(self) -> Requests:
        """Requests that may get a truth."""
        return requests_of(self.placed)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of predictions, and requests that now have something to be joined with."""

    verdict: Verdict
    to_meet: Requests


def requests_of(placed: Iterable[Placed]) -> Requests:
    """Requests by model and key, of rows that a truth can be about."""
    return {
        (row.identity[0], row.key): row.prediction.request_id
        for row in placed
        if row.key and row.prediction.request_id and _has_single_output(row.prediction)
    }


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


def store_predictions(conn: Connection, prepared: Prepared) -> Stored:
    """Store those that are new in the caller's transaction, which owns no request yet.

    The caller then owns the requests of `to_meet`, and joins them with their truths.
    """
    fresh, met = _without_known(conn, prepared.placed, prepared.labels)
    copy_rows(conn, "prediction", PREDICTION_COLUMNS, _prediction_rows(fresh, prepared.labels))
    verdict = Verdict(accepted=len(fresh), duplicates=len(prepared.placed) - len(fresh))
    return Stored(verdict, {key: id_ for key, id_ in requests_of(fresh).items() if key in met})


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
) -> tuple[list[Placed], Collection[Key]]:
    """Those that weren't stored before, now with their keys taken; and keys with company.

    Rows without a request id are always new.
    """
    first = {row.identity: row for row in reversed(placed) if row.key}
    taken = _take_keys(conn, first, labels) if first else {}
    fresh = [
        row
        for row in placed
        if row.key is None or (row.identity in taken and first[row.identity] is row)
    ]
    return fresh, {(model, key) for (model, key, *_), company in taken.items() if company and key}


def _take_keys(
    conn: Connection, first: Mapping[Identity, Placed], labels: Mapping[str, int]
) -> Mapping[Identity, bool]:
    """Identities that are new, and whether a truth or another answer to the request is there.

    Of two writers with the same identity, the second waits for the first.
    """
    stage_rows(conn, "staged_prediction", STAGED_COLUMNS, _staged_rows(first.values(), labels))
    return {
        (row.model_id, row.key, row.batch_index, row.series_id): row.has_company
        for row in conn.execute(_TAKE_KEYS)
    }


STAGED_COLUMNS = {
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "series_id": "integer",
    "time": "timestamptz",
    "predicted_label": "integer",
    "predicted_value": "double precision",
}


def _staged_rows(rows: Iterable[Placed], labels: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        label, value = _single_output(row, labels)
        yield (*row.identity, row.time, label, value)


def _has_single_output(prediction: Prediction) -> bool:
    return not prediction.error and prediction.detections is None


def _single_output(row: Placed, labels: Mapping[str, int]) -> tuple[int | None, float | None]:
    """What a truth is compared with: nothing for a failed attempt, whatever it answered.

    Detections have none yet: a truth needs a box to match.
    """
    if not _has_single_output(row.prediction):
        return None, None
    output = row.outputs[0]
    return (None if output.label is None else labels[output.label]), output.value


# In key order, so that two batches with common keys wait for each other one way only. A request has
# company if a truth waits for it, or another series has answered it (a challenger beside its
# champion): that answer may have a truth, or be about to get one.
_TAKE_KEYS = text("""
    INSERT INTO prediction_key AS mine (model_id, key, batch_index, series_id, time,
                                        predicted_label, predicted_value)
    SELECT model_id, key, batch_index, series_id, time, predicted_label, predicted_value
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
                         OFFSET 0) AS has_company
""")
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
