"""Events: each is processed once, with all its samples, predictions and truths."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from app.ingest import feedback, inferences
from app.ingest.batch import reject_if_any
from app.ingest.events.lookups import Lookup, look_up, pending_samples
from app.ingest.events.metrics import Sample, append
from app.ingest.events.pairs import Half, fill_in, match
from app.ingest.feedback import Feedback, prepare_feedback, store_feedback
from app.ingest.inferences import Prediction
from app.ingest.joins import Requests, join, join_late
from app.ingest.keys import lock_requests
from app.ingest.models import reject_kind_conflicts
from app.ingest.predictions import store_predictions
from app.ingest.prepared import PreparedPredictions, PreparedRow, prepare_predictions
from app.store.database import Database
from app.store.event_metrics import EventMetricName
from app.store.request_keys import request_key

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, identified by its source and id, and its content.

    `half` is its part of a pair of request and response, from which predictions get their latency.
    `lookup` counts its first truth once the prediction is known. `row_errors` describes rows of the
    event that are invalid.
    """

    source: str
    id: str
    samples: Sequence[Sample] = ()
    predictions: Sequence[Prediction] = ()
    feedback: Sequence[Feedback] = ()
    half: Half | None = None
    lookup: Lookup | None = None
    row_errors: Sequence[str] = ()

    @property
    def key(self) -> UUID:
        """Identifies repeated deliveries."""
        return request_key(f"{self.source}\0{self.id}")


def ingest_events(
    database: Database, workspace_id: int, events: Sequence[Event]
) -> Collection[UUID]:
    """Store a batch of events, all or none, and return the keys of those that are new.

    The content of an event is stored in the transaction that stores its key, so of two concurrent
    deliveries one counts. An event that was stored before changes nothing.

    Raises:
        InvalidRows: some predictions or truths can't be stored; nothing was stored.
    """
    first = {event.key: event for event in reversed(events)}
    prepared = _prepare(database, workspace_id, first)
    with database.writing() as conn:
        new_events = _store_new(conn, database, prepared)
    join_late(database, prepared.requests)
    return new_events


@dataclass(frozen=True, slots=True)
class _PreparedEvents:
    """Events with all their ids; predictions and truths are in the order of their events."""

    workspace_id: int
    events: Mapping[UUID, Event]
    predictions: PreparedPredictions
    feedback: feedback.PreparedFeedback
    metric_ids: Mapping[EventMetricName, int]

    @property
    def requests(self) -> Requests:
        """The requests that predictions or truths are about."""
        return {**self.predictions.requests, **self.feedback.requests}


def _prepare(
    database: Database, workspace_id: int, events: Mapping[UUID, Event]
) -> _PreparedEvents:
    sent_predictions = list(chain.from_iterable(event.predictions for event in events.values()))
    sent_feedback = list(chain.from_iterable(event.feedback for event in events.values()))
    reject_if_any(inferences.check(index, row) for index, row in enumerate(sent_predictions))
    reject_if_any(feedback.check(index, row) for index, row in enumerate(sent_feedback))
    declared_kinds = [
        *map(inferences.declared_kind_of, sent_predictions),
        *map(feedback.declared_kind_of, sent_feedback),
    ]
    reject_kind_conflicts(database.registry, workspace_id, declared_kinds)
    metrics = {sample.metric for event in events.values() for sample in event.samples}
    return _PreparedEvents(
        workspace_id,
        events,
        prepare_predictions(database, workspace_id, sent_predictions),
        prepare_feedback(database, workspace_id, sent_feedback),
        database.event_metrics.register(workspace_id, metrics),
    )


def _store_new(conn: Connection, database: Database, prepared: _PreparedEvents) -> Collection[UUID]:
    """Store new events, and return their keys.

    Locks are taken in one order, so that batches can't deadlock: events, pairs, keys of
    predictions, and then requests.
    """
    keys = {"workspace_id": prepared.workspace_id, "keys": sorted(prepared.events)}
    new_keys = set(conn.execute(_RESERVE_KEYS, keys).scalars())
    new_events = {key: event for key, event in prepared.events.items() if key in new_keys}
    _store_predictions(conn, prepared, new_events)
    lock_requests(conn, prepared.requests)
    join(conn, prepared.predictions.requests)
    if truths := _of_events(prepared.events, new_events, prepared.feedback.truths, "feedback"):
        store_feedback(conn, replace(prepared.feedback, truths=truths))
    append(conn, list(_known_samples(prepared, new_events)))
    _count_lookups(conn, database, prepared, new_events)
    return new_events


def _of_events(
    events: Mapping[UUID, Event], new_events: Collection[UUID], rows: Sequence[Row], member: str
) -> list[Row]:
    """Those of `rows` that belong to new events."""
    remaining = iter(rows)
    return [
        row
        for key, event in events.items()
        for row in islice(remaining, len(getattr(event, member)))
        if key in new_events
    ]


# --- predictions and their latency ----------------------------------------------------------


def _store_predictions(
    conn: Connection, prepared: _PreparedEvents, new_events: Mapping[UUID, Event]
) -> None:
    halves = [event.half for event in new_events.values() if event.half]
    latencies = match(conn, prepared.workspace_id, halves) if halves else {}
    rows = _of_events(prepared.events, new_events, prepared.predictions.rows, "predictions")
    repeated = 0
    if rows:
        timed = list(_timed(rows, new_events, latencies))
        stored = store_predictions(conn, replace(prepared.predictions, rows=timed))
        repeated = stored.verdict.duplicates
    # stored before: by an earlier response event, or by feedback that contained the answer
    late = [half for half in halves if half.requested_at or repeated]
    whole = [(half, latencies[half.key]) for half in late if half.key in latencies]
    fill_in(conn, prepared.workspace_id, whole)


def _timed(
    rows: Sequence[PreparedRow], new_events: Mapping[UUID, Event], latencies: Mapping[UUID, float]
) -> Iterator[PreparedRow]:
    """Predictions with the latency of their pair, if known."""
    remaining = iter(rows)
    for event in new_events.values():
        seconds = latencies.get(event.half.key) if event.half else None
        for row in islice(remaining, len(event.predictions)):
            yield row if seconds is None else _with_latency(row, seconds)


def _with_latency(row: PreparedRow, seconds: float) -> PreparedRow:
    prediction = msgspec.structs.replace(row.prediction, latency_seconds=seconds)
    return row._replace(prediction=prediction)


# --- counters -------------------------------------------------------------------------------


def _known_samples(
    prepared: _PreparedEvents, new_events: Mapping[UUID, Event]
) -> Iterator[tuple[int, float]]:
    for event in new_events.values():
        for metric, value in event.samples:
            if metric in prepared.metric_ids:
                yield prepared.metric_ids[metric], value


def _count_lookups(
    conn: Connection,
    database: Database,
    prepared: _PreparedEvents,
    new_events: Mapping[UUID, Event],
) -> None:
    """Count truths that came without an answer, now or when it arrives."""
    truths = iter(_of_events(prepared.events, new_events, prepared.feedback.truths, "feedback"))
    lookups = []
    for event in new_events.values():
        own = list(islice(truths, len(event.feedback)))
        if event.lookup:
            lookups.append((own[0].model_id, own[0].key, event.lookup))
    samples = list(look_up(conn, lookups))
    samples += pending_samples(conn, _predicted(prepared, new_events))
    if samples:
        metrics = {sample.metric for sample in samples}
        ids = database.event_metrics.register_within(conn, prepared.workspace_id, metrics)
        append(conn, [(ids[metric], value) for metric, value in samples if metric in ids])


def _predicted(
    prepared: _PreparedEvents, new_events: Mapping[UUID, Event]
) -> dict[tuple[int, UUID], str]:
    """Classes of the first row of each response, by (model id, key)."""
    rows = _of_events(prepared.events, new_events, prepared.predictions.rows, "predictions")
    return {
        (row.identity[0], row.key): row.outputs[0].label
        for row in rows
        if row.key and row.prediction.batch_index == 0 and row.outputs[0].label is not None
    }


# In key order, so that two batches with common events can't deadlock.
_RESERVE_KEYS = text("""
    INSERT INTO event_key (workspace_id, key)
    SELECT :workspace_id, key FROM unnest(CAST(:keys AS uuid[])) AS seen (key) ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING key
""")
