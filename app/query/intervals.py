"""Confidence intervals of metrics: how far from the truth a number may be, by chance alone.

`sql/views/06_intervals.sql` defines them, and the files `*_intervals.sql` the standard errors; this
module queries and names them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.question import Question, parameters
from app.query.subjects import Subject, in_sql
from app.query.window import EDGES
from app.store.database import Prepared

# What a confidence may be: from this, to below 1.
LEAST_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds of a confidence interval, both included."""

    low: float
    high: float


Intervals = Mapping[str, Interval | None]
"""Intervals by the name of their metric; None if undefined: see docs/metrics.md."""
ByPlace = Mapping[tuple[int, int | None], Intervals]
"""Those of buckets, numbered from 1, and of their classes, by the id of the label; None: of all."""
NO_INTERVALS: ByPlace = {}


def classification_intervals(
    conn: Connection, rows: Sequence[Row[Any]], classes: int, average: str, confidence: float
) -> ByPlace:
    """Intervals of the metrics of a classifier, from its buckets with their cells.

    `classes` is the number of those declared and those that occur in the window. Cost: one
    statement, which reads no table.
    """
    cells = {
        "places": in_sql(place for place, row in enumerate(rows, 1) for _ in row.counts),
        "predicted": in_sql(label for row in rows for label in row.predicted),
        "actual": in_sql(label for row in rows for label in row.actual),
        "counts": in_sql(count for row in rows for count in row.counts),
    }
    more = {"classes": classes, "average": average, "confidence": confidence}
    return _by_place(_CLASSIFICATION.rows(conn, cells | more))


def regression_intervals(
    conn: Connection, question: Question[Subject], confidence: float
) -> ByPlace:
    """Intervals of the metrics of a regressor. Cost: one statement over the cells of the window."""
    asked = parameters(question) | {"confidence": confidence}
    return _by_place(conn.execute(_REGRESSION, asked))


def share_intervals(
    conn: Connection, shares: Sequence[tuple[int, int]], confidence: float
) -> list[Interval | None]:
    """The intervals of some shares, each `hits` of `n`; None of nothing. Cost: one statement."""
    asked = {
        "hits": [hits for hits, _ in shares],
        "n": [n for _, n in shares],
        "confidence": confidence,
    }
    return [interval(row.low, row.high) for row in conn.execute(_SHARES, asked)]


def interval(low: float | None, high: float | None) -> Interval | None:
    """The interval with these bounds, if there are any."""
    return None if low is None or high is None else Interval(low, high)


def _by_place(rows: Iterable[Any]) -> ByPlace:
    found: dict[tuple[int, int | None], dict[str, Interval | None]] = defaultdict(dict)
    for place, label, metric, low, high in rows:
        found[place, label][metric] = interval(low, high)
    return dict(found)


_CLASSIFICATION = Prepared("""
    SELECT place, class AS label, metric, low, high
    FROM truthline_internal.classification_intervals(
        CAST(:places AS integer[]), CAST(:predicted AS integer[]), CAST(:actual AS integer[]),
        CAST(:counts AS bigint[]), :classes, :average, :confidence)
""")
_REGRESSION = text(f"""
    SELECT place, CAST(NULL AS integer) AS label, metric, low, high
    FROM truthline_internal.regression_intervals(
        CAST(:series AS integer[]), {EDGES}, :confidence)
""")
_SHARES = text("""
    SELECT share.low, share.high
    FROM (SELECT truthline_internal.normal_quantile(:confidence) AS z) AS quantile
    CROSS JOIN unnest(CAST(:hits AS bigint[]), CAST(:n AS bigint[]))
        WITH ORDINALITY AS counted (hits, n, place)
    LEFT JOIN LATERAL truthline_internal.wilson(counted.hits, counted.n, quantile.z) AS share
        ON true
    ORDER BY counted.place
""")
