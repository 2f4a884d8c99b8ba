"""Feedback: what turned out true, joined with its prediction as it arrives."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from app.errors import RowError
from app.ingest.batch import BatchKey, Verdict, claim, first_problem, refuse_if_any, refuse_reused
from app.ingest.fields import (
    BatchIndex,
    Label,
    Name,
    RequiredName,
    Value,
    number_problem,
    text_problem,
)
from app.ingest.keys import own_keys, request_key
from app.ingest.meetings import Requests, meet_late
from app.ingest.models import Claim, respect_kinds, respect_kinds_settled_since
from app.store.copy import stage_rows
from app.store.database import Database
from app.store.registry import Kind, Model, ModelName, Registry


class Feedback(
    msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True
):
    """The truth about one prediction, named by its request id: a label or a value.

    A later truth for the same prediction replaces the earlier one.
    """

    model: RequiredName
    request_id: RequiredName
    namespace: Name = ""
    pipeline: Name = ""
    batch_index: BatchIndex = 0
    label: Label | None = None
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """A feedback with the ids it is stored under."""

    model_id: int
    key: UUID
    batch_index: int
    label_id: int | None
    value: float | None
    request_id: str

    @property
    def identity(self) -> tuple[int, UUID, int]:
        """What prediction it is about."""
        return (self.model_id, self.key, self.batch_index)

    @property
    def content(self) -> tuple[int | None, float | None]:
        """What it says."""
        return (self.label_id, self.value)


def ingest_feedback(
    database: Database,
    workspace_id: int,
    feedback: Sequence[Feedback],
    *,
    batch: BatchKey | None = None,
) -> Verdict:
    """Store a batch of truths, all or none, and join each with its prediction.

    A truth that says what is known already is a duplicate. One that says something else takes
    the old pair back and adds the new one. One without a prediction waits for it. Of several
    truths for one prediction in a batch the last stands, and the others count as duplicates.

    Raises:
        InvalidRows: some rows can't be stored; none was.
        IdempotencyKeyReused: `batch` was used for other content.
    """
    refuse_if_any(check(index, row) for index, row in enumerate(feedback))
    refuse_reused(database, workspace_id, batch)
    prepared = prepare_feedback(database, workspace_id, feedback)
    verdict, repeated = _store_batch(database, workspace_id, prepared, batch)
    if verdict.pending or repeated:
        meet_late(database, prepared.requests)
    return verdict


def _store_batch(
    database: Database, workspace_id: int, prepared: "Prepared", batch: BatchKey | None
) -> tuple[Verdict, bool]:
    """The verdict on a batch, and whether it had been taken before."""
    with database.writing() as conn:
        if batch and (verdict := claim(conn, workspace_id, batch, len(prepared.truths))):
            return verdict, True  # the first attempt may have ended before it looked again
        own_keys(conn, prepared.requests)
        return store_feedback(conn, prepared), False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Truths with all ids they need, in the order they came, and the kinds they claim."""

    workspace_id: int
    truths: Sequence[Truth]
    claims: Sequence[Claim]
    models: Mapping[ModelName, Model]

    @property
    def requests(self) -> Requests:
        """Requests that they are about."""
        return {(truth.model_id, truth.key): truth.request_id for truth in self.truths}


def prepare_feedback(
    database: Database, workspace_id: int, feedback: Sequence[Feedback]
) -> Prepared:
    """Register what checked truths name.

    Raises:
        InvalidRows: one is of another kind than its model.
    """
    claims = [claim_of(row) for row in feedback]
    models = respect_kinds(database.registry, workspace_id, claims)
    truths = _place(database.registry, workspace_id, feedback, [models[c.model] for c in claims])
    return Prepared(workspace_id, truths, claims, models)


def store_feedback(conn: Connection, prepared: Prepared) -> Verdict:
    """Join truths with their predictions, or let them wait, in the caller's transaction.

    The caller owns their keys.

    Raises:
        InvalidRows: one is of another kind than its model has got since.
    """
    last = {truth.identity: truth for truth in prepared.truths}
    respect_kinds_settled_since(conn, prepared.workspace_id, prepared.claims, prepared.models)
    joined, waiting = _store(conn, last.values())
    accepted = joined + waiting
    return Verdict(accepted, duplicates=len(prepared.truths) - accepted, pending=waiting)


def check(index: int, row: Feedback) -> RowError | None:
    """What no single field can tell: that there is one truth, and that it can be stored."""
    problems = {
        "": _truth_problem(row),
        "value": number_problem(row.value),
        "model": text_problem(row.model),
        "namespace": text_problem(row.namespace),
        "pipeline": text_problem(row.pipeline),
        "requestId": text_problem(row.request_id),
        "label": text_problem(row.label),
    }
    return first_problem(index, problems)


def _truth_problem(row: Feedback) -> str | None:
    if row.label is not None and row.value is not None:
        return "has both label and value"
    if row.label is None and row.value is None:
        return "has no truth: give label or value"
    return None


def claim_of(row: Feedback) -> Claim:
    """What a truth says of its model's kind."""
    name = ModelName(row.namespace, row.pipeline, row.model)
    if row.label is not None:
        return Claim(name, Kind.CLASSIFICATION, "label")
    return Claim(name, Kind.REGRESSION, "value")


def _place(
    registry: Registry, workspace_id: int, feedback: Sequence[Feedback], models: Sequence[Model]
) -> list[Truth]:
    labels = registry.register_labels(
        workspace_id, {row.label for row in feedback if row.label is not None}
    )
    return [
        Truth(
            model_id=model.id,
            key=request_key(row.request_id),
            batch_index=row.batch_index,
            label_id=None if row.label is None else labels[row.label],
            value=row.value,
            request_id=row.request_id,
        )
        for row, model in zip(feedback, models, strict=True)
    ]


def _store(conn: Connection, truths: Iterable[Truth]) -> tuple[int, int]:
    """How many truths were joined anew or corrected, and how many now wait."""
    stage_rows(conn, "staged_feedback", STAGED_COLUMNS, _staged_rows(truths))
    joined, waiting = conn.execute(_STORE).one()
    return joined, waiting


def forget_stray_feedback(conn: Connection) -> int:
    """Forget truths that wait for a model which is of another kind; returns how many."""
    return conn.execute(_FORGET_STRAY).rowcount


STAGED_COLUMNS = {
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "actual_label": "integer",
    "actual_value": "double precision",
    "request_id": "text",
}


def _staged_rows(truths: Iterable[Truth]) -> Iterator[tuple[object, ...]]:
    for truth in truths:
        yield (*truth.identity, *truth.content, truth.request_id)


# One row with weight +1 for the new truth, one with -1 for the pair it takes back, if any. A
# request may have been answered by several series: its truth is joined with each of them, and
# counted once. All in one statement, for what one snapshot doesn't join another may not find
# waiting: a prediction may be stored between them.
_STORE = text("""
    WITH known AS (
        SELECT k.*, s.request_id, s.actual_label AS new_label, s.actual_value AS new_value
        FROM staged_feedback AS s
        CROSS JOIN LATERAL (
            SELECT * FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
            OFFSET 0  -- looked up for each staged row, whatever the planner thinks
        ) AS k
        WHERE (k.predicted_label IS NULL) = (s.actual_label IS NULL)
          AND (k.predicted_value IS NULL) = (s.actual_value IS NULL)
    ),
    news AS (
        SELECT * FROM known
        WHERE actual_label IS DISTINCT FROM new_label OR actual_value IS DISTINCT FROM new_value
    ),
    learned AS (
        UPDATE prediction_key AS k
        SET actual_label = news.new_label, actual_value = news.new_value
        FROM news
        WHERE (k.model_id, k.key, k.batch_index, k.series_id)
            = (news.model_id, news.key, news.batch_index, news.series_id)
    ),
    appended AS (
        INSERT INTO outcome (time, series_id, predicted_label, actual_label, predicted_value,
                             actual_value, weight, batch_index, request_id)
        SELECT news.time, news.series_id, news.predicted_label, pair.label, news.predicted_value,
               pair.value, pair.weight, news.batch_index, news.request_id
        FROM news
        CROSS JOIN LATERAL (VALUES
            (news.actual_label, news.actual_value, -1), (news.new_label, news.new_value, 1)
        ) AS pair (label, value, weight)
        WHERE num_nonnulls(pair.label, pair.value) = 1
    ),
    superseded AS (
        DELETE FROM pending_feedback AS waiting
        USING known
        WHERE (waiting.model_id, waiting.key, waiting.batch_index)
            = (known.model_id, known.key, known.batch_index)
    ),
    waits AS (
        INSERT INTO pending_feedback AS waiting
            (model_id, key, batch_index, actual_label, actual_value, request_id)
        SELECT model_id, key, batch_index, actual_label, actual_value, request_id
        FROM staged_feedback AS s
        WHERE NOT EXISTS (
            SELECT FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
        )
        ORDER BY model_id, key, batch_index
        ON CONFLICT (model_id, key, batch_index) DO UPDATE
        SET actual_label = EXCLUDED.actual_label, actual_value = EXCLUDED.actual_value,
            request_id = EXCLUDED.request_id, received_at = clock_timestamp()
        WHERE waiting.actual_label IS DISTINCT FROM EXCLUDED.actual_label
           OR waiting.actual_value IS DISTINCT FROM EXCLUDED.actual_value
        RETURNING 1
    )
    SELECT (SELECT count(DISTINCT (model_id, key, batch_index)) FROM news),
           (SELECT count(*) FROM waits)
""")
# Truths of a kind that their model turned out not to have: no prediction can ever join them.
_FORGET_STRAY = text("""
    DELETE FROM pending_feedback AS waiting
    USING model
    WHERE model.id = waiting.model_id
      AND (model.kind = 'detection'
           OR model.kind = 'classification' AND waiting.actual_label IS NULL
           OR model.kind = 'regression' AND waiting.actual_value IS NULL)
""")
