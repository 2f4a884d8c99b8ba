"""Events: each taken once, whatever it brings: numbers for counters, predictions, truths."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, text

from app.ingest import feedback, predictions
from app.ingest.batch import Verdict, refuse_if_any
from app.ingest.event_metrics import Sample, append
from app.ingest.feedback import Feedback, prepare_feedback, store_feedback
from app.ingest.keys import own_keys, request_key
from app.ingest.predictions import Prediction, prepare_predictions, store_predictions
from app.store.database import Database
from app.store.metrics import Metric

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, by its source and id, and what it brings."""

    source: str
    id: str
    samples: Sequence[Sample] = ()
    predictions: Sequence[Prediction] = ()
    feedback: Sequence[Feedback] = ()

    @property
    def key(self) -> UUID:
        """What a repeated delivery is known by."""
        return request_key(f"{self.source}\0{self.id}")


def ingest_events(database: Database, workspace_id: int, events: Sequence[Event]) -> Verdict:
    """Take a batch of events, all or none; those that were taken before change nothing.

    What an event brings is stored in the transaction that takes it, so of two deliveries that
    race one counts.

    Raises:
        InvalidRows: some predictions or truths can't be stored; nothing was.
    """
    first = {event.key: event for event in reversed(events)}
    prepared = _prepare(database, workspace_id, first)
    with database.writing() as conn:
        fresh = _take(conn, workspace_id, prepared)
    return Verdict(accepted=fresh, duplicates=len(events) - fresh)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Events with all ids they need. Predictions and truths stand in the order of their events."""

    events: Mapping[UUID, Event]
    predictions: predictions.Prepared
    feedback: feedback.Prepared
    metrics: Mapping[Metric, int]


def _prepare(database: Database, workspace_id: int, events: Mapping[UUID, Event]) -> _Prepared:
    made = [prediction for event in events.values() for prediction in event.predictions]
    told = [truth for event in events.values() for truth in event.feedback]
    refuse_if_any(predictions.check(index, row) for index, row in enumerate(made))
    refuse_if_any(feedback.check(index, row) for index, row in enumerate(told))
    return _Prepared(
        events,
        prepare_predictions(database, workspace_id, made),
        prepare_feedback(database, workspace_id, told),
        database.metrics.register(
            workspace_id, {s.metric for event in events.values() for s in event.samples}
        ),
    )


def _take(conn: Connection, workspace_id: int, prepared: _Prepared) -> int:
    """Store what is new, and return how many events that is.

    Locks are taken in one order: those on request keys, then events, then what they bring.
    """
    if prepared.feedback.truths:
        own_keys(conn, _request_keys(prepared))
    keys = {"workspace_id": workspace_id, "keys": sorted(prepared.events)}
    fresh = set(conn.execute(_TAKE, keys).scalars())
    made = _of_events(prepared.events, fresh, prepared.predictions.placed, "predictions")
    if made:
        store_predictions(conn, replace(prepared.predictions, placed=made))
    told = _of_events(prepared.events, fresh, prepared.feedback.truths, "feedback")
    if told:
        store_feedback(conn, replace(prepared.feedback, truths=told))
    append(conn, [sample for key in fresh for sample in _samples(prepared, key)])
    return len(fresh)


def _request_keys(prepared: _Prepared) -> Iterator[tuple[int, UUID]]:
    for truth in prepared.feedback.truths:
        yield truth.model_id, truth.key
    for placed in prepared.predictions.placed:
        if placed.key:
            yield placed.identity[0], placed.key


def _of_events(
    events: Mapping[UUID, Event], fresh: Collection[UUID], rows: Sequence[Row], member: str
) -> list[Row]:
    """Those of `rows` that belong to fresh events."""
    remaining = iter(rows)
    return [
        row
        for key, event in events.items()
        for row in islice(remaining, len(getattr(event, member)))
        if key in fresh
    ]


def _samples(prepared: _Prepared, key: UUID) -> Iterator[tuple[int, float]]:
    for metric, value in prepared.events[key].samples:
        if metric in prepared.metrics:
            yield prepared.metrics[metric], value


# In key order, so that two batches with common events wait for each other one way only.
_TAKE = text("""
    INSERT INTO event_key (workspace_id, key)
    SELECT :workspace_id, key FROM unnest(CAST(:keys AS uuid[])) AS seen (key) ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING key
""")
