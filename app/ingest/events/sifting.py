"""Which events of a batch can be taken, and what is wrong with the others."""

from collections.abc import Sequence
from itertools import chain, islice

from app.errors import RowError
from app.ingest import feedback, inferences
from app.ingest.events.ingest import Event
from app.ingest.events.intake import EventIntake
from app.ingest.sifting import Stored, odd_rows, patiently, without
from app.store.database import Database


def take_what_can_be(
    intake: EventIntake, database: Database, workspace_id: int, events: Sequence[Event]
) -> Stored:
    """Take the events that can be taken, and say what is wrong with the others."""

    def attempt() -> Stored:
        odd = odd_events(database, workspace_id, events)
        return intake.take(workspace_id, without(odd, events)), odd

    return patiently(attempt)


def odd_events(database: Database, workspace_id: int, events: Sequence[Event]) -> list[RowError]:
    """What is wrong with events that bring what can't be stored, one error for each."""
    errors: list[RowError] = []
    claims = []
    for index, event in enumerate(events):
        made, told = event.predictions, event.feedback
        problems = chain(
            (inferences.check(index, row) for row in made),
            (feedback.check(index, row) for row in told),
        )
        errors += islice(filter(None, problems), 1)
        claimed = [*map(inferences.claim_of, made), *map(feedback.claim_of, told)]
        claims.append((index, claimed))
    return odd_rows(errors, claims, database, workspace_id)
