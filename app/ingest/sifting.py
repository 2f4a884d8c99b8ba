"""What can be stored of a post that its sender never repeats, and what is wrong with the rest.

A batch of the native API is stored whole or not at all: its client mends it and sends it again.
Roboflow's servers and brokers of events don't, and there one odd row must not cost its neighbours.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from app.errors import InvalidRows, RowError
from app.ingest import feedback, inferences
from app.ingest.batch import Verdict
from app.ingest.events import Event
from app.ingest.fields import read_field
from app.ingest.inferences import Prediction
from app.ingest.models import Claim, known_clashes
from app.ingest.predictions import ingest_predictions
from app.ingest.wording import UNREADABLE, Complaint, in_words
from app.store.database import Database

Item = TypeVar("Item", bound=msgspec.Struct)
# Each time another writer may have settled the kind of one more model since it was looked up.
ATTEMPTS = 4


def read_item(text: msgspec.Raw, kind: type[Item]) -> Item | Complaint:
    """One part of a message, or what is wrong with it."""
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=read_field)
    except UNREADABLE as error:
        return in_words(error)


def ingest_what_can_be(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> tuple[Verdict, list[RowError]]:
    """Store the predictions that can be stored, and say what is wrong with the others."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _ingest(database, workspace_id, predictions)
        except InvalidRows:  # what was settled since is known now
            pass
    return _ingest(database, workspace_id, predictions)


def _ingest(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> tuple[Verdict, list[RowError]]:
    odd = odd_predictions(database, workspace_id, predictions)
    indices = {error.index for error in odd}
    kept = [row for index, row in enumerate(predictions) if index not in indices]
    return ingest_predictions(database, workspace_id, kept) if kept else Verdict(0, 0), odd


def odd_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[RowError]:
    """What is wrong with those that can't be stored, one error for each."""
    claims = [(index, [inferences.claim_of(row)]) for index, row in enumerate(predictions)]
    errors = map(inferences.check, range(len(predictions)), predictions)
    return _odd([error for error in errors if error], claims, database, workspace_id)


def odd_events(database: Database, workspace_id: int, events: Sequence[Event]) -> list[RowError]:
    """What is wrong with events that bring what can't be stored, one error for each."""
    errors, claims = [], []
    for index, event in enumerate(events):
        made, told = event.predictions, event.feedback
        problems = chain(
            _problems(index, made, inferences.check), _problems(index, told, feedback.check)
        )
        errors += [problem for problem in problems if problem][:1]
        claimed = [*map(inferences.claim_of, made), *map(feedback.claim_of, told)]
        claims.append((index, claimed))
    return _odd(errors, claims, database, workspace_id)


Row = TypeVar("Row")


def _problems(
    index: int, rows: Sequence[Row], check: Callable[[int, Row], RowError | None]
) -> list[RowError | None]:
    return [check(index, row) for row in rows]


def _odd(
    errors: Sequence[RowError],
    claims: Sequence[tuple[int, Sequence[Claim]]],
    database: Database,
    workspace_id: int,
) -> list[RowError]:
    """The errors, and one for each of the others that is of another kind than its model."""
    odd = {error.index: error for error in errors}
    owned = [(index, claim) for index, made in claims if index not in odd for claim in made]
    flat = [claim for _, claim in owned]
    for clash in known_clashes(database.registry, workspace_id, flat):
        index = owned[clash.index][0]
        odd.setdefault(index, RowError(index, clash.field, clash.reason))
    return [odd[index] for index in sorted(odd)]
