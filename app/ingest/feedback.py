"""Feedback: truths, each joined with its prediction on arrival."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from app.errors import RowError
from app.ingest.batch import (
    BatchKey,
    Verdict,
    first_problem,
    reject_if_any,
    reject_reused_key,
    reserve_key,
)
from app.ingest.fields import (
    BatchIndex,
    Label,
    Name,
    RequiredName,
    Value,
    number_problem,
    text_problem,
)
from app.ingest.joins import Requests, join_late
from app.ingest.models import DeclaredKind, check_kinds, recheck_kinds
from app.ingest.outcomes import KNOWN, learning
from app.ingest.stored_truths import directly_or_owned, learn_stored
from app.store.copy import stage_rows
from app.store.database import Database
from app.store.registry import Kind, Model, ModelName, Registry
from app.store.request_keys import request_key


class Feedback(
    msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True
):
    """The truth of one prediction, which the request id identifies: a label or a value.

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
    """A feedback row with the ids under which it is stored."""

    model_id: int
    key: UUID
    batch_index: int
    label_id: int | None
    value: float | None
    request_id: str

    @property
    def identity(self) -> tuple[int, UUID, int]:
        """The prediction that it is about."""
        return (self.model_id, self.key, self.batch_index)

    @property
    def content(self) -> tuple[int | None, float | None]:
        """The label id or the value."""
        return (self.label_id, self.value)


def ingest_feedback(
    database: Database,
    workspace_id: int,
    feedback: Sequence[Feedback],
    *,
    batch: BatchKey | None = None,
) -> Verdict:
    """Store a batch of truths, all or none, and join each with its prediction.

    A truth that equals the stored one is a duplicate. A different one is a correction: it takes
    the old pair back and adds the new one. A truth without a prediction waits for it. Of several
    truths for one prediction in a batch, the last one counts and the others are duplicates.

    Raises:
        InvalidRows: some rows can't be stored; none was stored.
        IdempotencyKeyReused: `batch` was used for different content.
    """
    reject_if_any(check(index, row) for index, row in enumerate(feedback))
    reject_reused_key(database, workspace_id, batch)
    prepared = prepare_feedback(database, workspace_id, feedback)

    def store(directly: bool) -> tuple[Verdict, bool]:
        return _store_batch(database, workspace_id, prepared, batch, directly=directly)

    verdict, repeated = directly_or_owned(len(feedback), store)
    if verdict.pending or repeated:
        join_late(database, prepared.requests)
    return verdict


def _store_batch(
    database: Database,
    workspace_id: int,
    prepared: "PreparedFeedback",
    batch: BatchKey | None,
    *,
    directly: bool,
) -> tuple[Verdict, bool]:
    """The verdict on a batch, and whether it had been stored before."""
    number = len(prepared.truths)
    with database.writing() as conn:
        if batch and (verdict := reserve_key(conn, workspace_id, batch, number)):
            return verdict, True  # the first attempt may have died before its second look
        size = _stage(conn, prepared.truths)
        models = {truth.model_id for truth in prepared.truths}
        known, accepted = learn_stored(conn, size, models) if directly else (0, 0)
        waiting = 0
        if known < size:
            lock_staged(conn)
            joined, waiting = _store(conn, prepared)
            accepted += joined + waiting
    return Verdict(accepted, duplicates=number - accepted, pending=waiting), False


@dataclass(frozen=True, slots=True)
class PreparedFeedback:
    """Truths with all their ids, in the order of their arrival, and the kinds they declare."""

    workspace_id: int
    truths: Sequence[Truth]
    declared_kinds: Sequence[DeclaredKind]
    models: Mapping[ModelName, Model]

    @property
    def requests(self) -> Requests:
        """The requests that the truths are about."""
        return {(truth.model_id, truth.key): truth.request_id for truth in self.truths}


def prepare_feedback(
    database: Database, workspace_id: int, feedback: Sequence[Feedback]
) -> PreparedFeedback:
    """Register the models and labels of valid truths.

    Raises:
        InvalidRows: a truth has a different kind than its model.
    """
    declared_kinds = [declared_kind_of(row) for row in feedback]
    models = check_kinds(database.registry, workspace_id, declared_kinds)
    truths = _with_ids(
        database.registry, workspace_id, feedback, [models[c.model] for c in declared_kinds]
    )
    return PreparedFeedback(workspace_id, truths, declared_kinds, models)


def store_feedback(conn: Connection, prepared: PreparedFeedback) -> Verdict:
    """Join truths with their predictions, or store them as pending, in the caller's transaction.

    The caller holds the locks on their keys.

    Raises:
        InvalidRows: a truth has a different kind than its model has received in the meantime.
    """
    _stage(conn, prepared.truths)
    joined, waiting = _store(conn, prepared)
    accepted = joined + waiting
    return Verdict(accepted, duplicates=len(prepared.truths) - accepted, pending=waiting)


def check(index: int, row: Feedback) -> RowError | None:
    """Check what the types of the fields can't: one truth, and texts and numbers to store."""
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


def declared_kind_of(row: Feedback) -> DeclaredKind:
    """The kind that a truth declares for its model."""
    name = ModelName(row.namespace, row.pipeline, row.model)
    if row.label is not None:
        return DeclaredKind(name, Kind.CLASSIFICATION, "label")
    return DeclaredKind(name, Kind.REGRESSION, "value")


def _with_ids(
    registry: Registry, workspace_id: int, feedback: Sequence[Feedback], models: Sequence[Model]
) -> list[Truth]:
    labels = registry.register_labels(
        workspace_id, {row.label for row in feedback if row.label is not None}
    )
    registry.register_classes(
        (model.id, labels[row.label])
        for row, model in zip(feedback, models, strict=True)
        if row.label is not None
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


def _stage(conn: Connection, truths: Iterable[Truth]) -> int:
    """Stage the last truth of each prediction; returns their number.

    In key order, in which their keys are locked, so that two batches can't deadlock.
    """
    last = {truth.identity: truth for truth in truths}
    rows = _staged_rows(last[identity] for identity in sorted(last))
    stage_rows(conn, "staged_feedback", STAGED_COLUMNS, rows)
    return len(last)


def _store(conn: Connection, prepared: PreparedFeedback) -> tuple[int, int]:
    """As `store_staged`, once the kinds are checked again."""
    recheck_kinds(conn, prepared.workspace_id, prepared.declared_kinds, prepared.models)
    return store_staged(conn)


def lock_staged(conn: Connection) -> None:
    """Lock the requests of staged truths: as `lock_requests` of app/ingest/keys.py."""
    conn.execute(_LOCK)


def store_staged(conn: Connection) -> tuple[int, int]:
    """How many staged truths were joined or corrected, and how many are now pending.

    The caller holds the locks on their requests.
    """
    joined, waiting = conn.execute(_STORE).one()
    return joined, waiting


def delete_stray_feedback(conn: Connection) -> int:
    """Delete pending truths whose model has a different kind; returns how many."""
    return conn.execute(_DELETE_STRAY).rowcount


STAGED_COLUMNS = {
    "nth": "integer",
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "actual_label": "integer",
    "actual_value": "double precision",
    "request_id": "text",
}


def _staged_rows(truths: Iterable[Truth]) -> Iterator[tuple[object, ...]]:
    for nth, truth in enumerate(truths):
        yield (nth, *truth.identity, *truth.content, truth.request_id)


_LOCK = text("""
    SELECT truthline_data.own_requests(array_agg(model_id), array_agg(key)) FROM staged_feedback
""")
# Several series may have answered a request: its truth is joined with each of them, and counted
# once. All this is one statement with one snapshot: with two, a prediction could be stored
# between them, and a truth would be neither joined nor pending.
_STORE = text(f"""
    WITH {KNOWN.format(staged="staged_feedback", more="")}
    ),
    {learning()},
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
        -- most batches have truths of known predictions only: then none is looked up again
        AND (SELECT count(*) FROM (SELECT DISTINCT model_id, key, batch_index FROM known) AS joined)
            < (SELECT count(*) FROM staged_feedback)
        ORDER BY model_id, key, batch_index
        ON CONFLICT (model_id, key, batch_index) DO UPDATE
        SET actual_label = EXCLUDED.actual_label, actual_value = EXCLUDED.actual_value,
            request_id = EXCLUDED.request_id, received_at = clock_timestamp()
        WHERE waiting.actual_label IS DISTINCT FROM EXCLUDED.actual_label
           OR waiting.actual_value IS DISTINCT FROM EXCLUDED.actual_value
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM (SELECT DISTINCT model_id, key, batch_index FROM changed) AS news),
           (SELECT count(*) FROM waits)
""")
# Truths of a kind that their model does not have: no prediction can ever be joined with them.
_DELETE_STRAY = text("""
    DELETE FROM pending_feedback AS waiting
    USING model
    WHERE model.id = waiting.model_id
      AND (model.kind = 'detection'
           OR model.kind = 'classification' AND waiting.actual_label IS NULL
           OR model.kind = 'regression' AND waiting.actual_value IS NULL)
""")
