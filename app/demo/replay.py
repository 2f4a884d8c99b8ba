"""Send a timeline through ingest in order of arrival, except for what is already stored."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.demo.timeline import LENGTH, NAMESPACE, Event
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.store.database import Database

BATCH_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs stored: the number of truths of each request, by request id.

    `start` is the time of the first event, `received` when the last prediction was stored.
    """

    start: datetime
    received: datetime
    truths: Mapping[str, int]


def past(conn: Connection, workspace_id: int) -> Past | None:
    """Look for earlier runs. Cost: all rows of the demo's models, some ten thousand."""
    rows = conn.execute(_STORED, {"workspace_id": workspace_id, "namespace": NAMESPACE}).all()
    if not rows:
        return None
    return Past(
        start=min(row.time for row in rows),
        received=max(row.received_at for row in rows),
        truths={row.request_id: row.truths for row in rows},
    )


# A truth that replaces an earlier one adds a row of weight -1 in addition to its own.
_STORED = text("""
    WITH demo AS (
        SELECT array_agg(series.id) AS series
        FROM series JOIN model ON model.id = series.model_id
        WHERE model.workspace_id = :workspace_id AND model.namespace = :namespace
    ),
    learned AS (
        SELECT request_id, count(*) AS truths
        FROM demo JOIN outcome ON outcome.series_id = ANY (demo.series)
        WHERE weight = 1
        GROUP BY request_id
    )
    SELECT request_id, time, received_at, coalesce(learned.truths, 0) AS truths
    FROM demo
    JOIN prediction ON prediction.series_id = ANY (demo.series)
    LEFT JOIN learned USING (request_id)
    WHERE request_id LIKE 'demo-%'
""")


def new_start(now: datetime) -> datetime:
    """The start of a first run's timeline: on a whole minute, and LENGTH before now."""
    return now.replace(second=0, microsecond=0) - LENGTH


def remaining(events: Sequence[Event], earlier: Past | None) -> list[Event]:
    """Omit predictions that are stored, and as many truths of each request as are stored."""
    if earlier is None:
        return list(events)
    unmatched = Counter(earlier.truths)
    return [event for event in events if not _is_stored(event, earlier, unmatched)]


def _is_stored(event: Event, earlier: Past, unmatched: Counter[str]) -> bool:
    """Whether an event is already stored; a truth uses up one of those not matched yet."""
    if isinstance(event.row, Prediction):
        return event.request_id in earlier.truths
    unmatched[event.request_id] -= 1
    return unmatched[event.request_id] >= 0


@dataclass(frozen=True, slots=True)
class Stored:
    """The new rows of a batch of events."""

    events: int
    predictions: int
    truths: int


def replay(database: Database, workspace_id: int, events: Sequence[Event]) -> Iterator[Stored]:
    """Store events batch by batch; those that another process has stored are ignored."""
    for first in range(0, len(events), BATCH_EVENTS):
        rows = [event.row for event in events[first : first + BATCH_EVENTS]]
        predictions = [row for row in rows if isinstance(row, Prediction)]
        truths = [row for row in rows if isinstance(row, Feedback)]
        yield Stored(
            events=len(rows),
            predictions=ingest_predictions(database, workspace_id, predictions).accepted,
            truths=ingest_feedback(database, workspace_id, truths).accepted,
        )
