"""Metrics of regressors: errors, per bucket.

`sql/views/70_regression.sql` defines the metrics; this module queries and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.query.basis import (
    OF_TRUTHS,
    OF_TRUTHS_AND_PREDICTIONS,
    basis_of,
    columns_of,
    coverage_of,
    covered,
    pieces_of,
)
from app.query.intervals import Intervals, regression_intervals
from app.query.measures import REGRESSION
from app.query.parts import divided, parts_of
from app.query.question import Answer, Division, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.window import EDGES
from app.store.database import Prepared
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class RegressionBucket:
    """Errors in the model's own unit (squared errors in its square), None if `n` is 0.

    `mean_error` is the bias, predicted minus actual. `r2` and the percentage error are fractions
    of 1. `r2` is also None if all truths are equal, the percentage error if all truths are 0.
    `intervals` is set if a confidence was requested.
    """

    start: datetime
    end: datetime
    n: int
    mean_absolute_error: float | None
    mean_squared_error: float | None
    root_mean_squared_error: float | None
    mean_error: float | None
    r2: float | None
    mean_absolute_percentage_error: float | None
    intervals: Intervals | None = None


def regression(
    conn: Connection,
    question: Question[Scope],
    *,
    confidence: float | None = None,
    with_predictions: bool = False,
    explained: bool = False,
    division: Division | None = None,
) -> Answer[RegressionBucket]:
    """Errors of one model in the buckets of a grid, as of now or as of an earlier moment.

    Shape: that of `regression_buckets`; `with_predictions` adds the coverage of each bucket, which
           the basis then includes. `explained` adds the pieces that were read, `division` the
           metrics of each part, without intervals.
    Cost:  three statements, and one each for `confidence`, `explained` and `division`; one of them,
           and that for `confidence`, over the cells of the window.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `settle`.
    """
    counted = OF_TRUTHS_AND_PREDICTIONS if with_predictions else OF_TRUTHS
    settled = settle(conn, question, *counted, kind=Kind.REGRESSION)
    statement = _COVERED if with_predictions else _METRICS
    rows = statement.rows(conn, parameters(settled))
    return Answer(
        _buckets(conn, settled, rows, confidence),
        basis_of(conn, settled, *counted),
        coverage_of(rows) if with_predictions else (),
        pieces_of(conn, settled) if explained else None,
        parts_of(conn, settled, division, _PARTS, {}, _asked) if division else None,
    )


def regression_buckets(
    conn: Connection, question: Question[Subject], confidence: float | None = None
) -> list[RegressionBucket]:
    """Errors of a regressor whose series are known.

    Shape: one bucket per width, oldest first, clipped to the window; a single one without width.
           With a `confidence`, metrics have intervals.
    Cost:  one statement over the cells of the window, and one for intervals.

    Raises:
        UnknownModel, WrongKind: as in `Subject.require`.
    """
    question.subject.require(Kind.REGRESSION)
    rows = _METRICS.rows(conn, parameters(question))
    return _buckets(conn, question, rows, confidence)


def _buckets(
    conn: Connection,
    question: Question[Subject],
    rows: Sequence[Row[Any]],
    confidence: float | None,
) -> list[RegressionBucket]:
    if confidence is None:
        return [_bucket(row, None) for row in rows]
    found = regression_intervals(conn, question, confidence)
    nothing = dict.fromkeys(_WITH_INTERVAL)
    return [_bucket(row, found.get((place, None), nothing)) for place, row in enumerate(rows, 1)]


def _asked(rows: Sequence[Row[Any]]) -> list[RegressionBucket]:
    return [replace(_bucket(row, None), start=row.asked_start, end=row.asked_end) for row in rows]


def _bucket(row: Row[Any], intervals: Intervals | None) -> RegressionBucket:
    return RegressionBucket(
        start=row.bucket_start,
        end=row.bucket_end,
        n=row.n,
        **{name: getattr(row, name) for name in REGRESSION},
        intervals=intervals,
    )


_WITH_INTERVAL = [measure.name for measure in REGRESSION.values() if measure.interval]
_CALL = f"truthline_internal.regression_metrics(CAST(:series AS integer[]), {EDGES})"
_COLUMNS = columns_of("metrics", REGRESSION)
_METRICS = Prepared(f"SELECT {_COLUMNS} FROM {_CALL} AS metrics")
_COVERED = covered(_CALL, _COLUMNS)
_PARTS = divided("regression_metrics")
