"""Store the valid events of a batch, and report what is wrong with the others."""

from collections.abc import Sequence
from itertools import chain, islice

from app.errors import RowError
from app.ingest import feedback, inferences
from app.ingest.events.batching import EventBatcher
from app.ingest.events.ingest import Event
from app.ingest.partial_batches import (
    Stored,
    excluding,
    with_conflicts,
    with_crowded,
    with_retries,
)
from app.store.database import Database


def store_valid_events(
    batcher: EventBatcher, database: Database, workspace_id: int, events: Sequence[Event]
) -> Stored:
    """Store the valid events, and return the errors of the others."""

    def attempt() -> Stored:
        errors = invalid_events(database, workspace_id, events)
        return batcher.store(workspace_id, excluding(errors, events)), errors

    return with_retries(attempt)


def invalid_events(
    database: Database, workspace_id: int, events: Sequence[Event]
) -> list[RowError]:
    """One error for each event whose predictions or truths can't be stored."""
    errors: list[RowError] = []
    declared_kinds = []
    for index, event in enumerate(events):
        predictions, truths = event.predictions, event.feedback
        problems = chain(
            (inferences.check(index, row) for row in predictions),
            (feedback.check(index, row) for row in truths),
        )
        errors += islice(filter(None, problems), 1)
        declared = [
            *map(inferences.declared_kind_of, predictions),
            *map(feedback.declared_kind_of, truths),
        ]
        declared_kinds.append((index, declared))
    return with_crowded(
        with_conflicts(errors, declared_kinds, database, workspace_id),
        [(index, row) for index, event in enumerate(events) for row in event.predictions],
        database,
        workspace_id,
    )
