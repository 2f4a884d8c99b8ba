"""Truths that come without the answer they are about: it is looked up by its request.

Where the answer is not there yet, what is to be counted waits for it. Events own the requests that
they are about (`app/ingest/keys.py`), so neither misses the other.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from app.ingest.events.confusion import Class, MetricKind, counts
from app.ingest.events.metrics import Sample, sample
from app.store.metrics import MetricType


@dataclass(frozen=True, slots=True)
class Lookup:
    """How to count a truth once its prediction is known, and with which labels."""

    kind: MetricKind
    actual: str
    labels: Mapping[str, str]


def confusion_samples(
    kind: MetricKind, predicted: Class, actual: Class, labels: Mapping[str, str]
) -> Iterator[Sample]:
    """What a prediction and its truth add to the counters."""
    for count in counts(kind, predicted, actual):
        class_ = {} if count.class_ is None else {"class": count.class_}
        yield sample(count.name, MetricType.COUNTER, {**class_, **labels}, 1)


def look_up(conn: Connection, lookups: Sequence[tuple[int, UUID, Lookup]]) -> Iterator[Sample]:
    """Samples of truths whose prediction is stored; the others wait. Keys are (model id, key).

    The caller owns the keys.
    """
    for model_id, key, lookup in lookups:
        found = conn.execute(_PREDICTED, {"model_id": model_id, "key": key}).scalar()
        if found is None:
            columns = {"kind": lookup.kind, "actual": lookup.actual}
            labels = {"labels": json.dumps(dict(lookup.labels))}
            conn.execute(_WAIT, {"model_id": model_id, "key": key} | columns | labels)
        else:
            yield from _samples(lookup.kind, found, lookup.actual, lookup.labels)


def those_that_waited(
    conn: Connection, predicted: Mapping[tuple[int, UUID], str]
) -> Iterator[Sample]:
    """Samples of truths that waited for these predictions: their classes by (model id, key)."""
    if not predicted:
        return
    model_ids, keys = [model_id for model_id, _ in predicted], [key for _, key in predicted]
    waited: Iterable[Row[Any]] = conn.execute(_TAKE, {"model_ids": model_ids, "keys": keys})
    for row in waited:
        name = predicted[row.model_id, row.key]
        yield from _samples(MetricKind(row.kind), name, row.actual, row.labels)


def _samples(
    kind: MetricKind, predicted: str, actual: str, labels: Mapping[str, str]
) -> Iterator[Sample]:
    return confusion_samples(kind, Class(predicted, predicted), Class(actual, actual), labels)


# Of champion and challenger the one that answered first counts.
_PREDICTED = text("""
    SELECT label.name
    FROM prediction_key AS k JOIN label ON label.id = k.predicted_label
    WHERE k.model_id = :model_id AND k.key = :key AND k.batch_index = 0
    ORDER BY k.series_id
    LIMIT 1
""")
_WAIT = text("""
    INSERT INTO event_lookup (model_id, key, kind, actual, labels)
    VALUES (:model_id, :key, :kind, :actual, CAST(:labels AS jsonb))
""")
_TAKE = text("""
    DELETE FROM event_lookup AS waiting
    USING unnest(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[])) AS known (model_id, key)
    WHERE (waiting.model_id, waiting.key) = (known.model_id, known.key)
    RETURNING waiting.*
""")
