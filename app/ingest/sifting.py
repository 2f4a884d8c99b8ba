"""What can be stored of a post that its sender never repeats, and what is wrong with the rest.

A batch of the native API is stored whole or not at all: its client mends it and sends it again.
Roboflow's servers and brokers of events don't, and there one odd row must not cost its neighbours.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from app.errors import InvalidRows, RowError
from app.ingest import inferences
from app.ingest.batch import Verdict
from app.ingest.inferences import Prediction
from app.ingest.models import Claim, known_clashes
from app.ingest.predictions import ingest_predictions
from app.ingest.strict_json import decode
from app.ingest.wording import UNREADABLE, Complaint, in_words
from app.store.database import Database

Item = TypeVar("Item", bound=msgspec.Struct)
Row = TypeVar("Row")
Stored = tuple[Verdict, list[RowError]]
# Each time another writer may have settled the kind of one more model since it was looked up.
ATTEMPTS = 4


def read_item(text: msgspec.Raw, kind: type[Item]) -> Item | Complaint:
    """One part of a message, or what is wrong with it.

    Raises:
        TooLarge: it has too many values for its size.
    """
    try:
        return decode(bytes(text), kind)
    except UNREADABLE as error:
        return in_words(error)


def ingest_what_can_be(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> Stored:
    """Store the predictions that can be stored, and say what is wrong with the others."""

    def attempt() -> Stored:
        odd = odd_predictions(database, workspace_id, predictions)
        kept = without(odd, predictions)
        return ingest_predictions(database, workspace_id, kept) if kept else Verdict(0, 0), odd

    return patiently(attempt)


def patiently(attempt: Callable[[], Stored]) -> Stored:
    """Try again where another writer settled the kind of a model since it was looked up."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except InvalidRows:  # what was settled since is known now
            pass
    return attempt()


def without(odd: Sequence[RowError], rows: Sequence[Row]) -> list[Row]:
    """The rows that nothing is wrong with."""
    indices = {error.index for error in odd}
    return [row for index, row in enumerate(rows) if index not in indices]


def odd_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[RowError]:
    """What is wrong with those that can't be stored, one error for each."""
    claims = [(index, [inferences.claim_of(row)]) for index, row in enumerate(predictions)]
    errors = map(inferences.check, range(len(predictions)), predictions)
    return odd_rows([error for error in errors if error], claims, database, workspace_id)


def odd_rows(
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
