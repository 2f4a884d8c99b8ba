"""Predictions: what a model answered, one row per output."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from app.errors import RowError
from app.ingest.batch import BatchKey, Verdict, claim, first_problem, refuse_if_any, refuse_reused
from app.ingest.fields import (
    BatchIndex,
    Fraction,
    Instant,
    Name,
    RequiredName,
    Seconds,
    Value,
    number_problem,
    text_problem,
    time_problem,
)
from app.ingest.keys import request_key, share_keys
from app.ingest.models import Claim, settle_kinds
from app.store.copy import copy_rows, stage_rows
from app.store.database import Database
from app.store.registry import Kind, Model, ModelName, SeriesName

# Model, key, batch index and series: what makes a prediction the same as another.
Identity = tuple[int, UUID | None, int, int]
# An inference that found nothing is one output of this label, with confidence 0.
NOTHING_DETECTED = ""


class Detection(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One object that a detector found."""

    label: RequiredName
    confidence: Fraction | None = None


class Prediction(
    msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True
):
    """One inference as it arrives, with one output: a label, scores, a value or detections.

    `scores` gives each class its probability: the largest is the label (the first of equals)
    and its probability the confidence. A failed inference (`error`) may have no output.
    """

    model: RequiredName
    time: Instant | None = None
    namespace: Name = ""
    pipeline: Name = ""
    deployment: Name = ""
    version: Name = ""
    request_id: RequiredName | None = None
    batch_index: BatchIndex = 0
    label: RequiredName | None = None
    confidence: Fraction | None = None
    scores: dict[RequiredName, Fraction] | None = None
    value: Value | None = None
    detections: list[Detection] | None = None
    latency_seconds: Seconds | None = None
    error: bool = False
    deployment_type: Name = ""
    server_version: Name = ""


class Output(NamedTuple):
    """One output as it is stored; all None for a failed inference."""

    label: str | None = None
    value: float | None = None
    confidence: float | None = None


# What a failed inference is stored as.
FAILED = (Output(),)


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


def check(index: int, row: Prediction) -> RowError | None:
    """What no single field can tell: that there is one output, and that all can be stored."""
    problems = {
        "": _output_problem(row),
        "confidence": _confidence_problem(row),
        "time": time_problem(row.time) if row.time else None,
        "scores": text_problem(*(row.scores or ())),
        "detections": text_problem(*(found.label for found in row.detections or ())),
        "value": number_problem(row.value),
        "latencySeconds": number_problem(row.latency_seconds),
        "model": text_problem(row.model),
        "namespace": text_problem(row.namespace),
        "pipeline": text_problem(row.pipeline),
        "deployment": text_problem(row.deployment),
        "version": text_problem(row.version),
        "requestId": text_problem(row.request_id),
        "label": text_problem(row.label),
        "deploymentType": text_problem(row.deployment_type),
        "serverVersion": text_problem(row.server_version),
    }
    return first_problem(index, problems)


def outputs_of(row: Prediction) -> Sequence[Output]:
    """The rows that one prediction is stored as."""
    if row.label is not None:
        return (Output(label=row.label, confidence=row.confidence),)
    if row.scores:
        label = max(row.scores, key=row.scores.__getitem__)
        return (Output(label=label, confidence=row.scores[label]),)
    if row.value is not None:
        return (Output(value=row.value),)
    if row.detections:
        return tuple(Output(label=d.label, confidence=d.confidence) for d in row.detections)
    if row.detections is not None:
        return (Output(label=NOTHING_DETECTED, confidence=0.0),)
    return FAILED


def _output_problem(row: Prediction) -> str | None:
    given = [name for name in ("label", "scores", "value", "detections") if _has(row, name)]
    if len(given) > 1:
        return f"has more than one output: {', '.join(given)}"
    if not given and not row.error:
        return "has no output: give label, scores, value or detections, or say error"
    if row.scores is not None and not row.scores:
        return "scores is empty"
    return None


def _has(row: Prediction, name: str) -> bool:
    return getattr(row, name) is not None


def _confidence_problem(row: Prediction) -> str | None:
    if row.confidence is not None and row.label is None:
        return "goes with label only"
    return None


def _claim_of(row: Prediction) -> Claim:
    name = ModelName(row.namespace, row.pipeline, row.model)
    if row.value is not None:
        return Claim(name, Kind.REGRESSION, "value")
    if row.detections is not None:
        return Claim(name, Kind.DETECTION, "detections")
    if row.label is not None or row.scores is not None:
        return Claim(name, Kind.CLASSIFICATION, "scores" if row.scores else "label")
    return Claim(name, None, "")


def _place(
    database: Database, workspace_id: int, predictions: Sequence[Prediction], *, now: datetime
) -> list[Placed]:
    claims = [_claim_of(row) for row in predictions]
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
