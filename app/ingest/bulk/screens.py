"""Which rows of a chunk may break a rule, found by column.

The rules and their messages are those of single rows: `check` of `app/ingest/inferences.py` and
`feedback.py`, and the types of the fields. A screen only says which rows these must check: it may
doubt a valid row, and never passes an invalid one, which a property holds
(tests/ingest/bulk/test_same_verdict.py).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from app.ingest.bulk.columns import NOW, Flags, Floats, PredictionColumns, Subject, TruthColumns
from app.ingest.fields import MAX_TIME_AHEAD, tags_problem, text_problem

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """Which members each row has."""

    label: Flags
    scores: Flags
    value: Flags
    confidence: Flags


def doubtful_predictions(columns: PredictionColumns, given: Given) -> Flags:
    """The rows that a rule across fields, or one on texts, numbers and times, may reject."""
    outputs = given.label.astype(int) + given.scores + given.value
    named = {label for group in columns.scores for label in group.labels}
    doubtful: Flags = (
        (outputs > 1)
        | ((outputs == 0) & ~columns.failed)
        | (given.scores & ~columns.scored)  # no class in them
        | (given.confidence & ~given.label)
        | _odd_times(columns)
        | columns.subject.where(_is_odd)
        | columns.label.where(lambda label: text_problem(label) is not None)
        | columns.request_id.has_byte(0)
        | _infinite(columns.value)
        | _infinite(columns.latency)
    )
    if text_problem(*named):
        doubtful |= columns.scored
    return doubtful


def doubtful_truths(columns: TruthColumns) -> Flags:
    """As `doubtful_predictions`, of truths."""
    has_label, has_value = columns.label.codes >= 0, ~np.isnan(columns.value)
    doubtful: Flags = (
        (has_label == has_value)
        | columns.subject.where(_is_odd)
        | columns.label.where(lambda label: text_problem(label) is not None)
        | columns.request_id.has_byte(0)
        | ~columns.request_id.present
        | _infinite(columns.value)
    )
    return doubtful


def _odd_times(columns: PredictionColumns) -> Flags:
    ahead = (datetime.now(UTC) + MAX_TIME_AHEAD).timestamp() * MICROSECONDS
    odd: Flags = ((columns.time < 0) | (columns.time > ahead)) & (columns.time != NOW)
    return odd


def _infinite(numbers: Floats) -> Flags:
    infinite: Flags = np.isinf(numbers)
    return infinite


def _is_odd(subject: Subject) -> bool:
    """Whether a text in it can't be stored."""
    names = (subject.model, subject.namespace, subject.pipeline, subject.deployment)
    more = (subject.version, subject.deployment_type, subject.server_version)
    return (text_problem(*names, *more) or tags_problem(dict(subject.tags))) is not None
