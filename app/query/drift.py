"""Drift: how far an output or truth of one side is distributed from that of a reference.

`sql/views/78_drift_statistics.sql` and `79_drift.sql` define the numbers; this module queries and
names them. A side is any window, part and moment of a model; A is the reference.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import basis_of
from app.query.compare import in_snapshot_of, side_arguments, side_parameters
from app.query.question import Basis, Counted, Question
from app.query.settle import settle
from app.query.subjects import Scope, Subject


class Quantity(StrEnum):
    """What may drift, by its name in the API."""

    PREDICTED_LABEL = "predictedLabel"
    ACTUAL_LABEL = "actualLabel"
    CONFIDENCE = "confidence"
    VALUE = "value"
    LATENCY = "latency"

    @property
    def is_label(self) -> bool:
        """Whether it is a label; otherwise it is a number."""
        return self in (Quantity.PREDICTED_LABEL, Quantity.ACTUAL_LABEL)

    @property
    def counted(self) -> tuple[Counted, ...]:
        """The subjects of cells that its drift is computed from."""
        return _COUNTED[self]


_COUNTED = {
    Quantity.PREDICTED_LABEL: (Counted.PREDICTION,),
    Quantity.ACTUAL_LABEL: (Counted.OUTCOME,),
    Quantity.CONFIDENCE: (Counted.SCORE,),
    Quantity.VALUE: (Counted.SCORE,),
    Quantity.LATENCY: (Counted.LATENCY,),
}


class Statistic(StrEnum):
    """A measure of drift, by its name in SQL."""

    PSI = "psi"
    JENSEN_SHANNON = "jensen_shannon"
    HELLINGER = "hellinger"
    TOTAL_VARIATION = "total_variation"
    CHI_SQUARED = "chi_squared"
    KS = "ks"
    WASSERSTEIN = "wasserstein"


WIRE = {
    Statistic.PSI: "psi",
    Statistic.JENSEN_SHANNON: "jensenShannon",
    Statistic.HELLINGER: "hellinger",
    Statistic.TOTAL_VARIATION: "totalVariation",
    Statistic.CHI_SQUARED: "chiSquared",
    Statistic.KS: "kolmogorovSmirnov",
    Statistic.WASSERSTEIN: "wasserstein",
}
"""The names of statistics in the API."""
BY_WIRE = {wire: statistic for statistic, wire in WIRE.items()}
OF_LABELS = tuple(Statistic)[:5]
"""Statistics of counts of parts, which labels have; numbers have all."""


@dataclass(frozen=True, slots=True)
class DriftStatistic:
    """A statistic; `noise` is its expected value without drift at the sizes of both sides.

    `p_value` is the probability of at least this value without drift; None if the statistic has
    none. All are None if a side is empty.
    """

    statistic: Statistic
    value: float | None
    noise: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class DriftPart:
    """A label, or the numbers from `lower` to below `upper` (None: no bound), on both sides."""

    label: str | None
    lower: float | None
    upper: float | None
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of a bucket of side B; `a_n` and `b_n` count its numbers or labels.

    `parts` are labels in alphabetical order, or numbers in ascending order.
    """

    start: datetime
    end: datetime
    a_n: int
    b_n: int
    parts: Sequence[DriftPart]
    statistics: Sequence[DriftStatistic]

    @property
    def new(self) -> list[DriftPart]:
        """The labels that only side B has."""
        return [part for part in self.parts if part.label is not None and not part.a]

    @property
    def vanished(self) -> list[DriftPart]:
        """The labels that only side A has."""
        return [part for part in self.parts if part.label is not None and not part.b]

    @property
    def new_share(self) -> float | None:
        """The share of side B that has labels which A lacks; None if a side is empty."""
        return self._missing(sum(part.b for part in self.parts if not part.a), self.b_n)

    @property
    def vanished_share(self) -> float | None:
        """The share of side A that has labels which B lacks; None if a side is empty."""
        return self._missing(sum(part.a for part in self.parts if not part.b), self.a_n)

    def _missing(self, count: int, n: int) -> float | None:
        return count / n if self.a_n and self.b_n else None

    def value_of(self, statistic: Statistic) -> float | None:
        """The value of a statistic; None if it was not requested, or a side is empty."""
        return next((one.value for one in self.statistics if one.statistic is statistic), None)


@dataclass(frozen=True, slots=True)
class DriftAnswer:
    """The drift of each bucket of side B from the whole of side A, oldest first."""

    a: Basis
    b: Basis
    buckets: Sequence[Drift]


def drift(
    conn: Connection,
    a: Question[Scope],
    b: Question[Scope],
    *,
    of: Quantity,
    statistics: Collection[Statistic] | None = None,
) -> DriftAnswer:
    """The drift of a quantity from a reference (side A) in the buckets of side B.

    By default there are all statistics of the quantity.

    Cost: five statements, one of them over the cells of both sides; as `drift_of`.

    Raises:
        InvalidWindow, UnknownModel: as in `settle`.
    """
    settled_a = settle(conn, a, *of.counted)
    settled_b = in_snapshot_of(settled_a, settle(conn, b, *of.counted))
    return DriftAnswer(
        basis_of(conn, settled_a, *of.counted),
        basis_of(conn, settled_b, *of.counted),
        drift_of(conn, settled_a, settled_b, of=of, statistics=statistics),
    )


def drift_of(
    conn: Connection,
    a: Question[Subject],
    b: Question[Subject],
    *,
    of: Quantity,
    statistics: Collection[Statistic] | None = None,
) -> list[Drift]:
    """The same for settled questions: one per bucket of B, also for empty ones.

    Cost: one statement over the cells of both sides. Kolmogorov-Smirnov reads the numbers of the
    bins that may hold the largest distance; Wasserstein-1 those of about half of the bins, or of
    all if the sides hardly differ.
    """
    asked = {
        "quantity": of.name.lower(),
        "wanted": None if statistics is None else [one.value for one in statistics],
    }
    rows = conn.execute(_DRIFT, asked | side_parameters("a", a) | side_parameters("b", b))
    return [_drift(row) for row in rows]


def _drift(row: Row[Any]) -> Drift:
    statistics = zip(row.statistics or (), row.values, row.noises, row.p_values, strict=True)
    return Drift(
        row.bucket_start,
        row.bucket_end,
        row.a_n,
        row.b_n,
        _parts(row),
        [DriftStatistic(Statistic(name), *numbers) for name, *numbers in statistics],
    )


def _parts(row: Row[Any]) -> list[DriftPart]:
    if row.labels is None:
        bounds = zip(row.lower, row.upper, row.a_counts, row.b_counts, strict=True)
        return [DriftPart(None, *one) for one in bounds]
    counts = zip(row.labels, row.a_counts, row.b_counts, strict=True)
    return [DriftPart(label, None, None, a, b) for label, a, b in sorted(counts)]


_DRIFT = text(f"""
    WITH edges AS MATERIALIZED (SELECT truthline_internal.edges(
        CAST(:b_start AS timestamptz), CAST(:b_end AS timestamptz), CAST(:b_width AS interval),
        CAST(:b_origin AS timestamptz), CAST(:b_zone AS text)) AS of_grid)
    SELECT bucket_start, bucket_end, found.a_n, found.b_n, found.lower, found.upper,
           found.a_counts, found.b_counts, found.statistics, found."values" AS "values",
           found.noises, found.p_values,
           CASE WHEN found.labels IS NOT NULL THEN ARRAY(
               SELECT label.name FROM unnest(found.labels) WITH ORDINALITY AS l (id, nth)
               JOIN truthline_data.label ON label.id = l.id ORDER BY nth) END AS labels
    FROM edges
    CROSS JOIN LATERAL truthline_internal.drift(
        CAST(:quantity AS text), {side_arguments("a")},
        CAST(:b_series AS integer[]), edges.of_grid, CAST(:b_as_of AS timestamptz),
        CAST(:wanted AS text[])) AS found
    JOIN LATERAL truthline_internal.buckets_of(edges.of_grid) AS grid USING (place)
    ORDER BY place
""")
