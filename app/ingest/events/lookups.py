"""Truths that come without the answer they are about: it is looked up by its request.

If the answer isn't stored yet, the truth waits for it. Events lock the requests that they are
about (`app/ingest/keys.py`), so neither misses the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from app.ingest.events.metrics import Sample, sample


@dataclass(frozen=True, slots=True)
class Lookup:
    """What to count for a truth once the predicted class is known.

    `right` is counted if it equals `actual`, otherwise `wrong` and `wrong_of_class`: samples that
    get the predicted class as an additional label, each with the name of that label.
    """

    actual: str
    right: Sequence[Sample] = ()
    wrong: Sequence[Sample] = ()
    wrong_of_class: Sequence[tuple[str, Sample]] = ()

    def samples(self, predicted: str) -> Iterator[Sample]:
        """The samples to count if this class was predicted."""
        if predicted == self.actual:
            yield from self.right
            return
        yield from self.wrong
        for label, (metric, value) in self.wrong_of_class:
            labels = {**dict(metric.labels), label: predicted}
            yield sample(metric.name, metric.type, labels, value)


def look_up(conn: Connection, lookups: Sequence[tuple[int, UUID, Lookup]]) -> Iterator[Sample]:
    """Samples of truths whose prediction is stored; the others wait. Keys are (model id, key).

    The caller holds the locks on the keys.
    """
    for model_id, key, lookup in lookups:
        request = {"model_id": model_id, "key": key}
        predicted = conn.execute(_PREDICTED, request).scalar()
        if predicted is None:
            conn.execute(_WAIT, request | {"lookup": msgspec.json.encode(lookup).decode()})
        else:
            yield from lookup.samples(predicted)


def pending_samples(
    conn: Connection, predicted: Mapping[tuple[int, UUID], str]
) -> Iterator[Sample]:
    """Samples of truths that waited for these predictions: their classes by (model id, key)."""
    if not predicted:
        return
    model_ids, keys = [model_id for model_id, _ in predicted], [key for _, key in predicted]
    waiting: Iterable[Row[Any]] = conn.execute(_TAKE, {"model_ids": model_ids, "keys": keys})
    for row in waiting:
        lookup = msgspec.convert(row.lookup, Lookup)
        yield from lookup.samples(predicted[row.model_id, row.key])


# Of champion and challenger, the one that answered first counts.
_PREDICTED = text("""
    SELECT label.name
    FROM prediction_key AS k JOIN label ON label.id = k.predicted_label
    WHERE k.model_id = :model_id AND k.key = :key AND k.batch_index = 0
    ORDER BY k.series_id
    LIMIT 1
""")
_WAIT = text("""
    INSERT INTO event_lookup (model_id, key, lookup)
    VALUES (:model_id, :key, CAST(:lookup AS jsonb))
""")
_TAKE = text("""
    DELETE FROM event_lookup AS waiting
    USING unnest(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[])) AS known (model_id, key)
    WHERE (waiting.model_id, waiting.key) = (known.model_id, known.key)
    RETURNING waiting.*
""")
