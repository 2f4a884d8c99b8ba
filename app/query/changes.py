"""What changed: which parts of the predictions a metric's difference between two sides comes from.

`sql/views/79_changes.sql` defines the numbers; this module queries and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import basis_of
from app.query.compare import in_snapshot_of, side_arguments, side_parameters
from app.query.question import Basis, Counted, Question
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.store.registry import Kind


class MeanMetric(StrEnum):
    """A metric that is a mean, so that parts add up to the whole; by its name in the API."""

    ACCURACY = "accuracy"
    MEAN_ABSOLUTE_ERROR = "meanAbsoluteError"
    MEAN_SQUARED_ERROR = "meanSquaredError"
    MEAN_ERROR = "meanError"
    ERROR_RATE = "errorRate"
    MEAN_CONFIDENCE = "meanConfidence"
    MEAN_VALUE = "meanValue"
    MEAN_LATENCY = "meanLatency"

    @property
    def counted(self) -> Counted:
        """The subject of cells that it is computed from."""
        return Counted.OUTCOME if self in _OF_TRUTHS else Counted.PREDICTION


_OF_TRUTHS = tuple(MeanMetric)[:4]


class By(StrEnum):
    """What predictions are divided by, by its name in the API."""

    TAG = "tag"
    PREDICTED_CLASS = "predictedClass"
    ACTUAL_CLASS = "actualClass"
    VERSION = "version"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class ChangedPart:
    """One part: its metric on both sides, of how many predictions, and what it contributes.

    `value` is None for predictions without the tag or class; `a` and `b` are None without any.
    `rate_effect` comes from the part's own metric, `mix_effect` from its share of the predictions.
    """

    value: str | None
    a: float | None
    b: float | None
    a_n: int
    b_n: int
    rate_effect: float
    mix_effect: float
    effect: float


@dataclass(frozen=True, slots=True)
class ChangeDivision:
    """All parts by one criterion, those with the largest effects first; they add up to the change.

    `key` is that of a tag, otherwise None.
    """

    by: By
    key: str | None
    parts: Sequence[ChangedPart]


@dataclass(frozen=True, slots=True)
class Changes:
    """A metric of both sides, None without predictions; `change` is B minus A.

    Of `divisions`, the first is the one whose part contributes the most beyond its share.
    """

    metric: MeanMetric
    a: float | None
    b: float | None
    a_n: int
    b_n: int
    change: float | None
    divisions: Sequence[ChangeDivision]


@dataclass(frozen=True, slots=True)
class ChangesAnswer:
    """The changes, and the basis of each side."""

    a: Basis
    b: Basis
    changes: Changes


def changes(
    conn: Connection,
    a: Question[Scope],
    b: Question[Scope],
    *,
    metric: MeanMetric | None = None,
) -> ChangesAnswer:
    """What the difference of a metric between two sides comes from.

    By default it is the mean absolute error of a regressor, and the accuracy of other models.

    Cost: five statements, one of them over the cells of both sides.

    Raises:
        InvalidWindow, UnknownModel: as in `settle`.
    """
    of_any = (Counted.OUTCOME, Counted.PREDICTION) if metric is None else (metric.counted,)
    settled_a = settle(conn, a, *of_any)
    settled_b = in_snapshot_of(settled_a, settle(conn, b, *of_any))
    metric = metric or headline_metric(settled_a.subject.kind)
    return ChangesAnswer(
        basis_of(conn, settled_a, metric.counted),
        basis_of(conn, settled_b, metric.counted),
        changes_of(conn, settled_a, settled_b, metric=metric),
    )


def headline_metric(kind: Kind | None) -> MeanMetric:
    """The metric that a model of a kind is judged by."""
    is_regressor = kind is Kind.REGRESSION
    return MeanMetric.MEAN_ABSOLUTE_ERROR if is_regressor else MeanMetric.ACCURACY


def changes_of(
    conn: Connection, a: Question[Subject], b: Question[Subject], *, metric: MeanMetric
) -> Changes:
    """The same for settled questions. Cost: one statement over the cells of both sides."""
    asked = {"metric": metric.name.lower()} | side_parameters("a", a) | side_parameters("b", b)
    rows = conn.execute(_CHANGES, asked).all()
    whole = rows[0]
    divisions = groupby((row for row in rows if row.division), lambda row: (row.division, row.key))
    return Changes(
        metric,
        whole.whole_a,
        whole.whole_b,
        whole.whole_a_n,
        whole.whole_b_n,
        whole.change,
        [
            ChangeDivision(By[name.upper()], key or None, [_part(row) for row in parts])
            for (name, key), parts in divisions
        ],
    )


def _part(row: Row[Any]) -> ChangedPart:
    effects = (row.rate_effect, row.mix_effect, row.effect)
    return ChangedPart(row.value, row.a, row.b, row.a_n, row.b_n, *effects)


_CHANGES = text(f"""
    SELECT * FROM truthline_internal.changes(
        CAST(:metric AS text), {side_arguments("a")}, {side_arguments("b")})
""")
