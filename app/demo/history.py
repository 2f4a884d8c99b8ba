"""Store what would have been recorded if the server had been running: with past times of receipt.

Everything else in Truthline leaves `received_at` to the database's clock, so that it can't be
wrong. A demo that did the same would have no history: nothing would be known as of yesterday, and
no truth would be late. So this module alone states it, for its own models. The levels don't rely on
the order: TimescaleDB notices rows that are received before what is refreshed, and elsewhere the
trigger `keep_backdated` counts them (sql/machinery/20_backdated.sql).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.demo.lesson import NAMESPACE
from app.demo.story import hour_of
from app.demo.timeline import LONGEST_WAIT, Event
from app.ingest.feedback import Feedback, prepare_feedback
from app.ingest.inferences import Prediction
from app.ingest.keys import lock_requests
from app.ingest.outcomes import KNOWN, learning
from app.ingest.predictions import (
    PREDICTION_COLUMNS,
    new_rows,
    prediction_rows,
)
from app.ingest.prepared import prepare_predictions
from app.store.copy import copy_rows, stage_rows
from app.store.database import Database

HOURS_PER_BATCH = 24


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs stored.

    `start` is the time of the first prediction and `received` when the last one was stored.
    `resumed` is the hour from which on requests may lack a truth, or be missing. `truths` is the
    number of their truths, by request id.
    """

    start: datetime
    received: datetime
    resumed: datetime
    truths: Mapping[str, int]


def past(conn: Connection, workspace_id: int) -> Past | None:
    """Look for earlier runs. Cost: the index entries of all rows of the demo's models."""
    demo = {"workspace_id": workspace_id, "namespace": NAMESPACE}
    span = conn.execute(_SPAN, demo).one()
    if span.start is None:
        return None
    resumed = hour_of(span.received - LONGEST_WAIT)
    recent = conn.execute(_RECENT, demo | {"since": resumed})
    truths = {row.request_id: row.truths for row in recent}
    return Past(span.start, span.received, resumed, truths)


def remaining(batches: Iterable[list[Event]], earlier: Past | None) -> Iterator[list[Event]]:
    """Omit predictions that are stored, and as many truths of each request as are stored."""
    unmatched = Counter(earlier.truths if earlier else ())
    for events in batches:
        yield [
            event for event in events if not earlier or not _is_stored(event, earlier, unmatched)
        ]


def _is_stored(event: Event, earlier: Past, unmatched: Counter[str]) -> bool:
    """Whether an event is already stored; a truth uses up one of those not matched yet."""
    if isinstance(event.row, Prediction):
        return event.request_id in earlier.truths
    unmatched[event.request_id] -= 1
    return unmatched[event.request_id] >= 0


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows of a batch of events were new."""

    predictions: int
    truths: int


def store(database: Database, workspace_id: int, hours: Iterable[list[Event]]) -> Iterator[Stored]:
    """Store events as if each had been received when it arrived: a day's in a transaction."""
    for events in _by_day(hours):
        predictions = [(e.row, e.arrival) for e in events if isinstance(e.row, Prediction)]
        truths = [(e.row, e.arrival) for e in events if isinstance(e.row, Feedback)]
        yield _store(database, workspace_id, predictions, truths)


def _by_day(hours: Iterable[list[Event]]) -> Iterator[list[Event]]:
    day: list[Event] = []
    for place, events in enumerate(hours, 1):
        day += events
        if place % HOURS_PER_BATCH == 0:
            yield day
            day = []
    yield day


def _store(
    database: Database,
    workspace_id: int,
    predictions: Sequence[tuple[Prediction, datetime]],
    truths: Sequence[tuple[Feedback, datetime]],
) -> Stored:
    """Store rows with the times at which they arrived."""
    prepared = prepare_predictions(database, workspace_id, [row for row, _ in predictions])
    received = {row.request_id: arrival for row, arrival in predictions}
    known = prepare_feedback(database, workspace_id, [row for row, _ in truths])
    staged = [
        (*truth.identity, *truth.content, truth.request_id, arrival)
        for truth, (_, arrival) in zip(known.truths, truths, strict=True)
    ]
    with database.writing() as conn:
        new, _ = new_rows(conn, prepared)
        rows = [
            (received[row.prediction.request_id], *values)
            for row in new
            for values in prediction_rows([row], prepared.labels)
        ]
        copy_rows(conn, "prediction", {"received_at": "timestamptz"} | PREDICTION_COLUMNS, rows)
        lock_requests(conn, known.requests)
        learned = sum(_learn(conn, turn) for turn in _turns(staged))
    return Stored(len(new), learned)


Staged = tuple[object, ...]


def _turns(staged: Sequence[Staged]) -> Iterator[list[Staged]]:
    """The first truth of each request, then the second of each that has one, and so on.

    One statement can learn one truth of a request.
    """
    while staged:
        first: dict[object, Staged] = {}
        later = []
        for row in staged:
            if row[:3] in first:
                later.append(row)
            else:
                first[row[:3]] = row
        yield list(first.values())
        staged = later


def _learn(conn: Connection, truths: Sequence[Staged]) -> int:
    """Join truths with their predictions; returns how many were new."""
    stage_rows(conn, "staged_past", _STAGED_COLUMNS, truths)
    learned: int = conn.execute(_LEARN).scalar_one()
    conn.exec_driver_sql("TRUNCATE staged_past")
    return learned


_DEMO = """
    demo AS (
        SELECT array_agg(series.id) AS series
        FROM series JOIN model ON model.id = series.model_id
        WHERE model.workspace_id = :workspace_id AND model.namespace = :namespace
    )
"""
_SPAN = text(f"""
    WITH {_DEMO}
    SELECT min(time) AS start, max(received_at) AS received
    FROM demo JOIN prediction ON series_id = ANY (demo.series)
    WHERE request_id LIKE 'demo-%'
""")
# A truth that replaces an earlier one adds a row of weight -1 in addition to its own.
_RECENT = text(f"""
    WITH {_DEMO},
    learned AS (
        SELECT request_id, count(*) AS truths
        FROM demo JOIN outcome ON series_id = ANY (demo.series)
        WHERE weight = 1 AND time >= :since
        GROUP BY request_id
    )
    SELECT request_id, coalesce(learned.truths, 0) AS truths
    FROM demo
    JOIN prediction ON series_id = ANY (demo.series)
    LEFT JOIN learned USING (request_id)
    WHERE time >= :since AND starts_request AND request_id LIKE 'demo-%'
""")
_STAGED_COLUMNS = {
    "model_id": "integer",
    "key": "uuid",
    "batch_index": "integer",
    "actual_label": "integer",
    "actual_value": "double precision",
    "request_id": "text",
    "received_at": "timestamptz",
}
# As app/ingest/feedback.py does it, with the stated time of receipt. A truth without a prediction
# is of a day that was left out.
_LEARN = text(f"""
    WITH {KNOWN.format(staged="staged_past", more=", s.received_at")}
    ),
    {learning("changed.received_at", "ORDER BY changed.received_at, pair.weight")}
    SELECT count(*) FROM changed
""")
