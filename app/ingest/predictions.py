"""Predictions: the outputs of models, one row per output."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from app.errors import RowError
from app.ingest.batch import BatchKey, Verdict, reject_if_any, reject_reused_key, reserve_key
from app.ingest.inferences import (
    Output,
    Prediction,
    UnreadAnswer,
    check,
    declared_kind_of,
    outputs_of,
)
from app.ingest.joins import Key, Requests, join, join_late
from app.ingest.keys import lock_requests
from app.ingest.models import register_kinds
from app.ingest.scores import MAX_CLASSES, Scores
from app.store.copy import PACKED, copy_rows, packed, stage_rows
from app.store.database import Database
from app.store.registry import Model, Registry
from app.store.request_keys import failure_key, request_key, unread_key
from app.store.series import Crowded, SeriesName, SeriesRegistry

# The model and the classes of scores, in the order in which they were sent.
Classes = tuple[int, tuple[str, ...]]
# Where scores of these classes are stored in the arrays of their model.
Places = Mapping[Classes, Sequence[int]]
# Model, key, batch index and series without tags: predictions are the same if these are equal.
Identity = tuple[int, UUID | None, int, int]


class PreparedRow(NamedTuple):
    """A prediction with the ids under which it is stored.

    `key` is None without a request id, `scores` if there are none to keep until the truth is known.
    """

    prediction: Prediction
    time: datetime
    outputs: Sequence[Output]
    scores: Scores | None
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
    database: Database, workspace_id: int, prepared: "PreparedPredictions", batch: BatchKey | None
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
class PreparedPredictions:
    """Predictions with all their ids, in the order of their arrival."""

    rows: Sequence[PreparedRow]
    labels: Mapping[str, int]
    places: "Places"

    @property
    def requests(self) -> Requests:
        """The requests that may get a truth."""
        return requests_of(self.rows)


@dataclass(frozen=True, slots=True)
class Stored:
    """The verdict on predictions, and requests that now have something to join."""

    verdict: Verdict
    to_join: Requests


def requests_of(rows: Iterable[PreparedRow]) -> Requests:
    """Request ids by model and key, of rows that can have a truth."""
    return {
        (row.identity[0], row.key): row.prediction.request_id
        for row in rows
        if row.key and row.prediction.request_id and _has_single_output(row.prediction)
    }


def prepare_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> PreparedPredictions:
    """Register the models, series and labels of valid predictions.

    Raises:
        InvalidRows: a prediction has a different kind than its model, or a series for which its
            model has no room.
    """
    rows = _with_all_ids(database, workspace_id, predictions, now=datetime.now(UTC))
    names = {o.label for row in rows for o in row.outputs if o.label is not None}
    scored = {classes for row in rows if (classes := _scored_classes(row))}
    labels = database.registry.register_labels(
        workspace_id, names.union(*(labels for _, labels in scored))
    )
    return PreparedPredictions(rows, labels, _places(database.registry, rows, scored, labels))


def store_predictions(conn: Connection, prepared: PreparedPredictions) -> Stored:
    """Store new predictions in the caller's transaction, which holds no request's lock yet.

    The caller then locks the requests of `to_join`, and joins them with their truths.
    """
    new, joinable = new_rows(conn, prepared)
    copy_rows(conn, "prediction", PREDICTION_COLUMNS, prediction_rows(new, prepared.labels))
    verdict = Verdict(accepted=len(new), duplicates=len(prepared.rows) - len(new))
    return Stored(verdict, {key: id_ for key, id_ in requests_of(new).items() if key in joinable})


def _scored_classes(row: PreparedRow) -> Classes | None:
    """The model and the classes of its scores."""
    return (row.identity[0], row.scores.labels) if row.scores else None


def _places(
    registry: Registry,
    rows: Iterable[PreparedRow],
    scored: Iterable[Classes],
    labels: Mapping[str, int],
) -> Places:
    """Register the classes of classifiers, and look up the places of their scores.

    Scores of a model with too many classes have none.
    """
    classes = {
        (row.identity[0], labels[row.outputs[0].label])
        for row in rows
        if _has_single_output(row.prediction) and row.outputs[0].label is not None
    }
    classes |= {(model_id, labels[name]) for model_id, names in scored for name in names}
    known = registry.register_classes(classes)
    places = {
        (model_id, names): [known[model_id, labels[name]] for name in names]
        for model_id, names in scored
    }
    return {of: found for of, found in places.items() if max(found) <= MAX_CLASSES}


def _with_all_ids(
    database: Database, workspace_id: int, predictions: Sequence[Prediction], *, now: datetime
) -> list[PreparedRow]:
    names = _series_names(database, workspace_id, predictions)
    ids = _register_series(database.registry.series, names)
    reject_if_any(_crowded(database.registry.series, names, ids))
    return [
        _with_ids(row, name, ids, row.time or now)
        for row, name in zip(predictions, names, strict=True)
    ]


def crowded_rows(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[RowError]:
    """One error for each valid prediction whose model has no room for its series.

    The series of the others are registered.

    Raises:
        InvalidRows: a prediction has a different kind than its model.
    """
    names = _series_names(database, workspace_id, predictions)
    series = database.registry.series
    return list(_crowded(series, names, _register_series(series, names)))


def _series_names(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[SeriesName]:
    declared_kinds = [declared_kind_of(row) for row in predictions]
    models = register_kinds(database.registry, workspace_id, declared_kinds)
    return [
        _series_name(models[c.model], row)
        for c, row in zip(declared_kinds, predictions, strict=True)
    ]


def _register_series(
    series: SeriesRegistry, names: Iterable[SeriesName]
) -> Mapping[SeriesName, int]:
    """Ids of these series, and of the same without tags."""
    distinct = set(names)
    return series.register(distinct | {name.untagged for name in distinct})


def _crowded(
    series: SeriesRegistry, names: Sequence[SeriesName], ids: Mapping[SeriesName, int]
) -> Iterator[RowError]:
    refused = {name for name in names if name not in ids or name.untagged not in ids}
    why: dict[int, Crowded] = {}
    for index, name in enumerate(names):
        if name in refused:
            if name.model_id not in why:
                of_model = sorted(one for one in refused if one.model_id == name.model_id)
                why[name.model_id] = series.crowded(of_model)
            yield RowError(index, why[name.model_id].field, why[name.model_id].reason)


def _with_ids(
    row: Prediction, name: SeriesName, ids: Mapping[SeriesName, int], time: datetime
) -> PreparedRow:
    outputs = outputs_of(row)
    key = _key_of(row)
    identity = (name.model_id, key, row.batch_index, ids[name.untagged])
    return PreparedRow(row, time, outputs, _scores_of(row), ids[name], key, identity)


def _scores_of(row: Prediction) -> Scores | None:
    """Scores that a truth can be compared with."""
    if row.scores and len(row.scores) <= MAX_CLASSES and _has_single_output(row):
        return Scores.of(row.scores)
    return None


def _series_name(model: Model, row: Prediction) -> SeriesName:
    return SeriesName(
        model.id,
        row.deployment,
        row.version,
        row.deployment_type,
        row.server_version,
        tuple(sorted(row.tags.items())) if row.tags else (),
    )


def _key_of(row: Prediction) -> UUID | None:
    """A failed attempt has a different key, so that a retry that succeeds is no duplicate of it.

    So does an unread answer: the same answer may be sent again in a form that can be read.
    """
    if not row.request_id:
        return None
    if row.error:
        return failure_key(row.request_id)
    return (unread_key if isinstance(row, UnreadAnswer) else request_key)(row.request_id)


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
        for row in conn.execute(_RESERVE_KEYS)
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
    if not row.scores or not (order := places.get((row.identity[0], row.scores.labels))):
        return None
    return packed(row.scores.at(order))


def _has_single_output(prediction: Prediction) -> bool:
    unread = isinstance(prediction, UnreadAnswer)
    return not prediction.error and not unread and prediction.detections is None


def _single_output(row: PreparedRow) -> Output:
    """What a truth is compared with: nothing for a failed attempt, even if it has an output.

    Detections can't be compared yet: a truth needs a box to match.
    """
    return row.outputs[0] if _has_single_output(row.prediction) else Output()


# In key order, so that two batches with common keys can't deadlock. A request is joinable if a
# truth is pending for it, or another series has answered it (a challenger next to its champion):
# that answer may have a truth, or be about to get one.
_RESERVE_KEYS = text("""
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
