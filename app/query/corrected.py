"""Accuracy corrected for which predictions got a truth: an estimate by post-stratification.

`sql/views/67_corrected.sql` defines it; this module queries and names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import basis_of
from app.query.intervals import Interval, interval
from app.query.question import Basis, Counted, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.window import EDGES
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class CorrectedBucket:
    """Predictions with a confidence, and the `n` of them that have a truth.

    `accuracy` is that of the truths as they are, `corrected` an estimate of that of the
    predictions, both fractions of 1 and None without truths. `covered` is the share of predictions
    that the estimate is about, None without predictions; the others have a class of which no truth
    is known. `interval` is that of `corrected`, None below 30 truths, and if nothing varies;
    `accuracy_interval` is that of `accuracy`, None without truths.
    """

    start: datetime
    end: datetime
    predictions: int
    n: int
    accuracy: float | None
    corrected: float | None
    covered: float | None
    interval: Interval | None
    accuracy_interval: Interval | None


@dataclass(frozen=True, slots=True)
class CorrectedAnswer:
    """Buckets, oldest first, and their basis."""

    buckets: Sequence[CorrectedBucket]
    basis: Basis


def corrected_accuracy(
    conn: Connection, question: Question[Scope], confidence: float
) -> CorrectedAnswer:
    """Corrected accuracy of one classifier in the buckets of a grid, as of a moment.

    Shape: one bucket per width, oldest first, clipped to the window; a single one without width.
    Cost:  three statements, one of them over the cells of the window.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `settle`.
    """
    settled = settle(conn, question, *OF_CORRECTED, kind=Kind.CLASSIFICATION)
    buckets = corrected_buckets(conn, settled, confidence)
    return CorrectedAnswer(buckets, basis_of(conn, settled, *OF_CORRECTED))


def corrected_buckets(
    conn: Connection, question: Question[Subject], confidence: float
) -> list[CorrectedBucket]:
    """The same for a settled question, without its basis. Cost: one statement."""
    rows = conn.execute(_CORRECTED, parameters(question) | {"confidence": confidence})
    return [_bucket(row) for row in rows]


def _bucket(row: Row[Any]) -> CorrectedBucket:
    return CorrectedBucket(
        row.bucket_start,
        row.bucket_end,
        row.n_predictions,
        row.n,
        row.accuracy,
        row.corrected,
        row.covered,
        interval(row.low, row.high),
        interval(row.accuracy_low, row.accuracy_high),
    )


OF_CORRECTED = (Counted.RANKED, Counted.SCORE)
_CORRECTED = text(f"""
    SELECT corrected.*, bounds.low, bounds.high, share.low AS accuracy_low,
           share.high AS accuracy_high
    FROM (SELECT truthline_internal.normal_quantile(:confidence) AS z) AS quantile
    CROSS JOIN truthline_internal.corrected_accuracy(
        CAST(:series AS integer[]), {EDGES}) AS corrected
    CROSS JOIN LATERAL truthline_internal.corrected_interval(
        corrected.corrected, standard_error, n, quantile.z) AS bounds
    LEFT JOIN LATERAL truthline_internal.wilson(
        CAST(round(corrected.accuracy * n) AS bigint), n, quantile.z) AS share ON true
    ORDER BY bucket_start
""")
