"""How late truths are: the share of predictions whose truth is known after some delays.

`sql/views/87_label_delay.sql` counts them from both clocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, text

from app.query.basis import OF_TRUTHS_AND_PREDICTIONS, basis_of
from app.query.question import Basis, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.window import EDGES

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DELAYS = {"1h": HOUR, "6h": 6 * HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}


@dataclass(frozen=True, slots=True)
class Delayed:
    """Predictions that are at least as old as a delay, and how many of them had a truth within it.

    They were made until `until`. None if none is old enough. `possible` is more than `known` if
    rows were dropped that would tell.
    """

    delay: str
    until: datetime | None
    predictions: int | None
    known: int | None
    possible: int | None

    @property
    def share(self) -> float | None:
        """The share of predictions; None without any."""
        return (
            self.known / self.predictions if self.predictions and self.known is not None else None
        )


@dataclass(frozen=True, slots=True)
class Expected:
    """A bucket: its predictions, its truths so far, and the share whose truth is still expected.

    `still_expected` is a fraction of its predictions; None if the curve is not known.
    """

    start: datetime
    end: datetime
    predictions: int
    n: int
    labelled_share: float | None
    still_expected: float | None


@dataclass(frozen=True, slots=True)
class LabelDelay:
    """The curve of a window, shortest delay first, and its buckets, oldest first."""

    curve: Sequence[Delayed]
    buckets: Sequence[Expected]
    basis: Basis

    @property
    def exact(self) -> bool:
        """Whether the answer is exactly what was requested."""
        return self.basis.exact and all(one.known == one.possible for one in self.curve)


def label_delay(conn: Connection, question: Question[Scope]) -> LabelDelay:
    """The curve over the window of a question, and what is still expected in each of its buckets.

    Cost: cells, and the rows of those cells that a delay divides.

    Raises:
        InvalidWindow, UnknownModel: as in `settle`.
    """
    settled = settle(conn, question, *OF_TRUTHS_AND_PREDICTIONS)
    curve = delay_curve(conn, settled)
    buckets = expected_buckets(conn, settled, curve)
    return LabelDelay(curve, buckets, basis_of(conn, settled, *OF_TRUTHS_AND_PREDICTIONS))


def delay_curve(
    conn: Connection, question: Question[Subject], delays: Sequence[str] = tuple(DELAYS)
) -> list[Delayed]:
    """The curve over the window of a settled question, whatever its grid, at some of `DELAYS`.

    Cost: one statement, which reads every row of the window for each delay below a day.
    """
    as_of = question.settled_moment.effective_as_of
    asked = {"moment": as_of, "delays": [DELAYS[name] for name in delays]}
    rows = conn.execute(_CURVE, parameters(question) | asked)
    return [Delayed(name, *row) for name, row in zip(delays, rows, strict=True)]


def expected_buckets(
    conn: Connection, question: Question[Subject], curve: Sequence[Delayed]
) -> list[Expected]:
    """What is expected in the buckets of a settled question, by a curve. Cost: one statement."""
    as_of = question.settled_moment.effective_as_of
    return [_expected(row, curve, as_of) for row in conn.execute(_BUCKETS, parameters(question))]


def expected_overall(buckets: Sequence[Expected]) -> float | None:
    """The share of the predictions of all buckets whose truth is still expected.

    None without predictions, or if the curve is not known.
    """
    known = [one for one in buckets if one.still_expected is not None]
    predictions = sum(one.predictions for one in known)
    expected = sum(one.predictions * (one.still_expected or 0.0) for one in known)
    return expected / predictions if predictions else None


def _expected(row: Any, curve: Sequence[Delayed], as_of: datetime) -> Expected:
    labelled = row.n / row.predictions if row.predictions else None
    age = as_of - (row.bucket_start + (row.bucket_end - row.bucket_start) / 2)
    expected = still_expected(curve, age)
    return Expected(row.bucket_start, row.bucket_end, row.predictions, row.n, labelled, expected)


def still_expected(curve: Sequence[Delayed], age: timedelta) -> float | None:
    """The share of predictions of an age whose truth is still to come, by a curve.

    It is the share known after the longest delay that any prediction has reached, less that of the
    age; between two delays the curve is a straight line. None without a point of the curve.
    """
    points = [(DELAYS[one.delay], one.share) for one in curve if one.share is not None]
    if not points:
        return None
    known = [(timedelta(0), 0.0), *points]
    return max(points[-1][1] - _share_at(known, max(age, timedelta(0))), 0.0)


def _share_at(points: Sequence[tuple[timedelta, float]], age: timedelta) -> float:
    for (start, low), (end, high) in pairwise(points):
        if age <= end:
            return low + (high - low) * ((age - start) / (end - start))
    return points[-1][1]


_CURVE = text("""
    SELECT until, predictions, known, possible
    FROM truthline_internal.label_delay(
        CAST(:series AS integer[]), CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        CAST(:moment AS timestamptz), CAST(:delays AS interval[]))
""")
_BUCKETS = text(f"""
    WITH edges AS MATERIALIZED (SELECT truthline_internal.edges(
        CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval),
        CAST(:origin AS timestamptz), CAST(:zone AS text)) AS of_grid)
    SELECT grid.bucket_start, grid.bucket_end, volume.n AS predictions, coalesce(known.n, 0) AS n
    FROM edges
    CROSS JOIN LATERAL truthline_internal.buckets_of(edges.of_grid) AS grid
    JOIN truthline_internal.prediction_volume(CAST(:series AS integer[]), {EDGES}) AS volume
        USING (bucket_start)
    LEFT JOIN (
        SELECT place, CAST(sum(n) AS bigint) AS n
        FROM truthline_internal.outcome_cells(CAST(:series AS integer[]), {EDGES})
        GROUP BY place
    ) AS known USING (place)
    ORDER BY grid.place
""")
