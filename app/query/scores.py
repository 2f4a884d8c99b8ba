"""Metrics of scores: how good they are as probabilities, per bucket.

`sql/views/65_scores.sql` defines the metrics; this module queries and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import basis_of
from app.query.question import Basis, Counted, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope
from app.query.window import EDGES
from app.store.registry import Kind, Registry


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """Losses of a bucket, None if `n` is 0.

    `n` counts truths whose prediction has scores; in a binary model, those with a confidence too.
    `log_loss` is in nats. `brier_score` is 0 to 1 for a binary model, otherwise 0 to 2.
    """

    start: datetime
    end: datetime
    n: int
    log_loss: float | None
    brier_score: float | None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """Buckets, oldest first, and their basis.

    `positive` is the positive class of a binary model, None for others.
    """

    buckets: Sequence[ScoreBucket]
    basis: Basis
    positive: str | None


def scores(conn: Connection, registry: Registry, question: Question[Scope]) -> ScoreAnswer:
    """Losses of one classifier in the buckets of a grid, as of now or as of an earlier moment.

    Shape: one bucket per width, oldest first, clipped to the window; a single one without width.
    Cost:  three statements, one of them over the cells of the window.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `settle`.
    """
    settled = settle(conn, question, Counted.SCORED, kind=Kind.CLASSIFICATION)
    rows = conn.execute(_METRICS, parameters(settled) | {"model": settled.subject.id}).all()
    basis = basis_of(conn, settled, Counted.SCORED)
    positive = rows[0].positive  # the same in each bucket
    names = registry.label_names(conn, [] if positive is None else [positive])
    return ScoreAnswer([_bucket(row) for row in rows], basis, names.get(positive))


def _bucket(row: Row[Any]) -> ScoreBucket:
    return ScoreBucket(row.bucket_start, row.bucket_end, row.n, row.log_loss, row.brier_score)


_METRICS = text(f"""
    SELECT metrics.*, class.positive
    FROM truthline_internal.positive_class(
        :model, coalesce(CAST(:as_of AS timestamptz), 'infinity')) AS class (positive)
    CROSS JOIN LATERAL truthline_internal.score_metrics(
        CAST(:series AS integer[]), {EDGES}, class.positive) AS metrics
    ORDER BY bucket_start
""")
