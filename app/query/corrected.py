"""Accuracy corrected for which predictions got a truth: an estimate by post-stratification.

`sql/views/67_corrected.sql` defines it; this module queries and names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import basis_of
from app.query.intervals import Interval
from app.query.question import Basis, Counted, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope
from app.query.window import EDGES
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class CorrectedBucket:
    """Predictions with a confidence, and the `n` of them that have a truth.

    `accuracy` is that of the truths as they are, `corrected` an estimate of that of the
    predictions, both fractions of 1 and None without truths. `covered` is the share of predictions
    that the estimate is about, None without predictions; the others have a class of which no truth
    is known. `interval` is None below 30 truths, and if nothing varies.
    """

    start: datetime
    end: datetime
    predictions: int
    n: int
    accuracy: float | None
    corrected: float | None
    covered: float | None
    interval: Interval | None


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
    counted = (Counted.RANKED, Counted.SCORE)
    settled = settle(conn, question, *counted, kind=Kind.CLASSIFICATION)
    rows = conn.execute(_CORRECTED, parameters(settled) | {"confidence": confidence}).all()
    return CorrectedAnswer([_bucket(row) for row in rows], basis_of(conn, settled, *counted))


def _bucket(row: Row[Any]) -> CorrectedBucket:
    return CorrectedBucket(
        row.bucket_start,
        row.bucket_end,
        row.n_predictions,
        row.n,
        row.accuracy,
        row.corrected,
        row.covered,
        None if row.low is None else Interval(row.low, row.high),
    )


_CORRECTED = text(f"""
    SELECT corrected.*, bounds.low, bounds.high
    FROM truthline_internal.corrected_accuracy(CAST(:series AS integer[]), {EDGES}) AS corrected
    CROSS JOIN LATERAL truthline_internal.corrected_interval(
        corrected.corrected, standard_error, n,
        truthline_internal.normal_quantile(:confidence)) AS bounds
    ORDER BY bucket_start
""")
