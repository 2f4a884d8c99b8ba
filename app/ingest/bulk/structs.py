"""Parsed rows as columns: what NDJSON is read into, and single rows of any other format."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np

from app.ingest.bulk.columns import (
    NOW,
    Coded,
    Flags,
    Floats,
    Integers,
    PredictionColumns,
    ScoredRows,
    Subject,
    Texts,
    TruthColumns,
    clamped,
)
from app.ingest.bulk.screens import Given, doubtful_predictions, doubtful_truths
from app.ingest.feedback import Feedback
from app.ingest.fields import EARLIEST_TIME
from app.ingest.inferences import Prediction
from app.ingest.scores import Scores

_MICROSECOND = timedelta(microseconds=1)


def prediction_columns(
    rows: Sequence[Prediction], index: Integers
) -> tuple[PredictionColumns, Flags]:
    """Predictions without detections as columns, and which of them `check` must check."""
    scores = [Scores.of(row.scores) if row.scores else None for row in rows]
    labels = [row.label for row in rows]
    confidences, values = [row.confidence for row in rows], [row.value for row in rows]
    given = Given(
        label=_present(labels),
        scores=_present([row.scores for row in rows]),
        value=_present(values),
        confidence=_present(confidences),
    )
    for place, of_row in enumerate(scores):
        if of_row:
            labels[place], confidences[place] = of_row.top
    columns = PredictionColumns(
        index=index,
        subject=Coded.of(map(_subject, rows)),
        time=np.array([_microseconds(row) for row in rows], np.int64),
        request_id=Texts.of([row.request_id for row in rows]),
        batch_index=np.array([row.batch_index for row in rows], np.int64),
        label=Coded.of(labels),
        confidence=clamped(_floats(confidences)),
        scores=list(_groups(scores)),
        value=_floats(values),
        latency=_floats([row.latency_seconds for row in rows]),
        failed=np.array([row.error for row in rows], bool),
    )
    return columns, doubtful_predictions(columns, given)


def truth_columns(rows: Sequence[Feedback], index: Integers) -> tuple[TruthColumns, Flags]:
    """Truths as columns, and which of them `check` must check."""
    columns = TruthColumns(
        index=index,
        subject=Coded.of(Subject(row.model, row.namespace, row.pipeline) for row in rows),
        request_id=Texts.of([row.request_id for row in rows]),
        batch_index=np.array([row.batch_index for row in rows], np.int64),
        label=Coded.of(row.label for row in rows),
        value=_floats([row.value for row in rows]),
    )
    return columns, doubtful_truths(columns)


def _present(values: Sequence[object]) -> Flags:
    return np.array([value is not None for value in values], bool)


def _subject(row: Prediction) -> Subject:
    return Subject(
        row.model,
        row.namespace,
        row.pipeline,
        row.deployment,
        row.version,
        row.deployment_type,
        row.server_version,
        tuple(sorted(row.tags.items())) if row.tags else (),
    )


def _microseconds(row: Prediction) -> int:
    return NOW if row.time is None else (row.time - EARLIEST_TIME) // _MICROSECOND


def _floats(numbers: Sequence[float | None]) -> Floats:
    return np.array(numbers, np.float64)  # None becomes NaN


def _groups(scores: Iterable[Scores | None]) -> Iterable[ScoredRows]:
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    numbers: dict[tuple[str, ...], list[Sequence[float]]] = defaultdict(list)
    for place, of_row in enumerate(scores):
        if of_row:
            places[of_row.labels].append(place)
            numbers[of_row.labels].append(of_row.numbers)
    for labels, rows in places.items():
        yield ScoredRows(np.array(rows, np.int64), labels, np.array(numbers[labels], np.float64))
