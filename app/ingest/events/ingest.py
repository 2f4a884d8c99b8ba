"""Events: each taken once, whatever it brings: numbers for counters, predictions, truths."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from app.ingest import feedback, inferences, predictions
from app.ingest.batch import refuse_if_any
from app.ingest.events.lookups import Lookup, look_up, those_that_waited
from app.ingest.events.metrics import Sample, append
from app.ingest.events.pairs import Half, fill_in, match
from app.ingest.feedback import Feedback, prepare_feedback, store_feedback
from app.ingest.inferences import Prediction
from app.ingest.keys import own_keys, request_key
from app.ingest.meetings import Requests, meet, meet_late
from app.ingest.models import refuse_known_clashes
from app.ingest.predictions import Placed, prepare_predictions, store_predictions
from app.store.database import Database
from app.store.metrics import Metric

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, by its source and id, and what it brings.

    `half` makes it one of request and response; predictions then get their latency from the pair.
    `lookup` counts its first truth once the prediction of it is known. `odd` tells of rows that it
    had and that could not be read.
    """

    source: str
    id: str
    samples: Sequence[Sample] = ()
    predictions: Sequence[Prediction] = ()
    feedback: Sequence[Feedback] = ()
    half: Half | None = None
    lookup: Lookup | None = None
    odd: Sequence[str] = ()

    @property
    def key(self) -> UUID:
        """What a repeated delivery is known by."""
        return request_key(f"{self.source}\0{self.id}")


def ingest_events(
    database: Database, workspace_id: int, events: Sequence[Event]
) -> Collection[UUID]:
    """Take a batch of events, all or none, and return the keys of those that are new.

    What an event brings is stored in the transaction that takes it, so of two deliveries that
    race one counts. One that was taken before changes nothing.

    Raises:
        InvalidRows: some predictions or truths can't be stored; nothing was.
    """
    first = {event.key: event for event in reversed(events)}
    prepared = _prepare(database, workspace_id, first)
    with database.writing() as conn:
        fresh = _take(conn, database, prepared)
    meet_late(database, prepared.requests)
    return fresh


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Events with all ids they need. Predictions and truths stand in the order of their events."""

    workspace_id: int
    events: Mapping[UUID, Event]
    predictions: predictions.Prepared
    feedback: feedback.Prepared
    metrics: Mapping[Metric, int]

    @property
    def requests(self) -> Requests:
        """Requests that predictions or truths are about."""
        return {**self.predictions.requests, **self.feedback.requests}


def _prepare(database: Database, workspace_id: int, events: Mapping[UUID, Event]) -> _Prepared:
    made = list(chain.from_iterable(event.predictions for event in events.values()))
    told = list(chain.from_iterable(event.feedback for event in events.values()))
    refuse_if_any(inferences.check(index, row) for index, row in enumerate(made))
    refuse_if_any(feedback.check(index, row) for index, row in enumerate(told))
    claims = [*map(inferences.claim_of, made), *map(feedback.claim_of, told)]
    refuse_known_clashes(database.registry, workspace_id, claims)
    metrics = {sample.metric for event in events.values() for sample in event.samples}
    return _Prepared(
        workspace_id,
        events,
        prepare_predictions(database, workspace_id, made),
        prepare_feedback(database, workspace_id, told),
        database.metrics.register(workspace_id, metrics),
    )


def _take(conn: Connection, database: Database, prepared: _Prepared) -> Collection[UUID]:
    """Store what is new, and return the keys of those events.

    Locks are taken in one order, or two batches could wait for each other: events, pairs, keys of
    predictions, and then requests.
    """
    keys = {"workspace_id": prepared.workspace_id, "keys": sorted(prepared.events)}
    taken = set(conn.execute(_TAKE, keys).scalars())
    fresh = {key: event for key, event in prepared.events.items() if key in taken}
    _store_predictions(conn, prepared, fresh)
    own_keys(conn, prepared.requests)
    meet(conn, prepared.predictions.requests)
    if told := _of_events(prepared.events, fresh, prepared.feedback.truths, "feedback"):
        store_feedback(conn, replace(prepared.feedback, truths=told))
    append(conn, list(_known_samples(prepared, fresh)))
    _count_lookups(conn, database, prepared, fresh)
    return fresh


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


# --- predictions and their latency ----------------------------------------------------------


def _store_predictions(conn: Connection, prepared: _Prepared, fresh: Mapping[UUID, Event]) -> None:
    halves = [event.half for event in fresh.values() if event.half]
    latencies = match(conn, prepared.workspace_id, halves) if halves else {}
    rows = _of_events(prepared.events, fresh, prepared.predictions.placed, "predictions")
    repeated = 0
    if rows:
        timed = list(_timed(rows, fresh, latencies))
        stored = store_predictions(conn, replace(prepared.predictions, placed=timed))
        repeated = stored.verdict.duplicates
    # stored before: by an earlier response event, or by a feedback that brought the answer along
    late = [half for half in halves if half.requested_at or repeated]
    whole = [(half, latencies[half.key]) for half in late if half.key in latencies]
    fill_in(conn, prepared.workspace_id, whole)


def _timed(
    rows: Sequence[Placed], fresh: Mapping[UUID, Event], latencies: Mapping[UUID, float]
) -> Iterator[Placed]:
    """Predictions with the latency of their pair, where it is known."""
    remaining = iter(rows)
    for event in fresh.values():
        seconds = latencies.get(event.half.key) if event.half else None
        for row in islice(remaining, len(event.predictions)):
            yield row if seconds is None else _with_latency(row, seconds)


def _with_latency(row: Placed, seconds: float) -> Placed:
    prediction = msgspec.structs.replace(row.prediction, latency_seconds=seconds)
    return row._replace(prediction=prediction)


# --- counters -------------------------------------------------------------------------------


def _known_samples(prepared: _Prepared, fresh: Mapping[UUID, Event]) -> Iterator[tuple[int, float]]:
    for event in fresh.values():
        for metric, value in event.samples:
            if metric in prepared.metrics:
                yield prepared.metrics[metric], value


def _count_lookups(
    conn: Connection, database: Database, prepared: _Prepared, fresh: Mapping[UUID, Event]
) -> None:
    """Count truths that came without an answer, now or when it comes."""
    truths = iter(_of_events(prepared.events, fresh, prepared.feedback.truths, "feedback"))
    lookups = []
    for event in fresh.values():
        own = list(islice(truths, len(event.feedback)))
        if event.lookup:
            lookups.append((own[0].model_id, own[0].key, event.lookup))
    samples = list(look_up(conn, lookups))
    samples += those_that_waited(conn, _predicted(prepared, fresh))
    if samples:
        metrics = {sample.metric for sample in samples}
        ids = database.metrics.register_within(conn, prepared.workspace_id, metrics)
        append(conn, [(ids[metric], value) for metric, value in samples if metric in ids])


def _predicted(prepared: _Prepared, fresh: Mapping[UUID, Event]) -> dict[tuple[int, UUID], str]:
    """Classes of the first row of each response, by (model id, key)."""
    rows = _of_events(prepared.events, fresh, prepared.predictions.placed, "predictions")
    return {
        (row.identity[0], row.key): row.outputs[0].label
        for row in rows
        if row.key and row.prediction.batch_index == 0 and row.outputs[0].label is not None
    }


# In key order, so that two batches with common events wait for each other one way only.
_TAKE = text("""
    INSERT INTO event_key (workspace_id, key)
    SELECT :workspace_id, key FROM unnest(CAST(:keys AS uuid[])) AS seen (key) ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING key
""")
