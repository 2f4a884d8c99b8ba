"""An overview of all models of a workspace, compared with the preceding period.

`sql/views/95_overview.sql` defines the numbers; this module queries and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import shared_basis
from app.query.inferences import LARGEST, Compared, compared, error_rate, preceding
from app.query.noise import Errors, Interval, Share, difference_of_errors, difference_of_shares
from app.query.question import Basis, Counted, Question
from app.query.subjects import Selection
from app.query.window import GRID_EDGES, WINDOW_PARAMETERS
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """One model: inferences, errors, mean latency in seconds, truths and headline metric.

    `headline` is the accuracy of a classifier (a fraction of 1), the mean absolute error of a
    regressor (in its own unit), None for other kinds and without truths. `headline_change` and
    `failure_change` are the intervals of the differences of the headline and of the error rate,
    None if there is too little to compare. `bucket_headlines` has the headline of each bucket of
    the window. `kind` is None while only feedback has arrived.
    """

    name: ModelName
    kind: Kind | None
    inferences: Compared[int]
    errors: Compared[int]
    latency: Compared[float | None]
    truths: Compared[int]
    headline: Compared[float | None]
    headline_change: Interval | None
    failure_change: Interval | None
    bucket_headlines: Sequence[float | None]

    @property
    def error_rate(self) -> Compared[float | None]:
        """Errors per request, a fraction of 1; None without requests."""
        return error_rate(self.inferences, self.errors)


def overview(conn: Connection, question: Question[Selection]) -> list[ModelOverview]:
    """Every model of a workspace, the busiest first; models without predictions are included.

    Cost: one statement over the cells of both periods, regardless of the number of models. A grid
    of hours or days, as `fixed_grid` returns it, cuts few cells.

    Raises:
        InvalidWindow: no window of this length precedes it.
    """
    rows = conn.execute(_TRIAGE, compared(question)).all()
    return [_model(row, rows[0].buckets) for row in rows]


def overview_basis(conn: Connection, question: Question[Selection]) -> Basis:
    """The basis of such an answer, in the buckets of both periods."""
    counted = (Counted.PREDICTION, Counted.OUTCOME)
    preceding_question = question.over(preceding(question.window), question.grid)
    return shared_basis(conn, (preceding_question, counted), (question, counted))


def _model(row: Row[Any], buckets: int) -> ModelOverview:
    kind = None if row.kind is None else Kind(row.kind)
    inferences = Compared(row.n_inferences, row.prev_n_inferences)
    errors = Compared(row.n_errors, row.prev_n_errors)
    headline, change = headline_of(kind, row)
    return ModelOverview(
        ModelName(row.namespace, row.pipeline, row.model),
        kind,
        inferences,
        errors,
        Compared(row.latency, row.prev_latency),
        Compared(row.n_truths, row.prev_n_truths),
        headline,
        change,
        difference_of_shares(
            Share(errors.now, errors.now + inferences.now),
            Share(errors.previous, errors.previous + inferences.previous),
        ),
        _per_bucket(row.headline_places, row.headlines, buckets),
    )


def headline_of(kind: Kind | None, row: Row[Any]) -> tuple[Compared[float | None], Interval | None]:
    """The headline metric of both periods, and the interval of its difference.

    The row has the sums of both, as the SQL function `triage` names them.
    """
    n, before = row.n_truths, row.prev_n_truths
    if kind is Kind.CLASSIFICATION:
        now, previous = Share(row.n_correct, n), Share(row.prev_n_correct, before)
        shares = Compared(*(one.hits / one.n if one.n else None for one in (now, previous)))
        return shares, difference_of_shares(now, previous)
    if kind is Kind.REGRESSION:
        errors = _errors(n, row.sum_absolute_error, row.sum_squared_error)
        earlier = _errors(before, row.prev_sum_absolute_error, row.prev_sum_squared_error)
        means = Compared(*(_double(one.mean) if one.n else None for one in (errors, earlier)))
        return means, difference_of_errors(errors, earlier)
    return Compared(None, None), None


def _errors(n: int, total: Decimal | None, squares: Decimal | None) -> Errors:
    return Errors(n, total or Decimal(), squares or Decimal())


def _double(number: Fraction) -> float:
    """The nearest double; the largest one for greater numbers."""
    return float(min(number, Fraction(LARGEST)))


def _per_bucket(places: Sequence[int], values: Sequence[float], buckets: int) -> list[float | None]:
    """Values in their buckets, which are counted from 1; None in the others."""
    known = dict(zip(places, values, strict=True))
    return [known.get(place) for place in range(1, buckets + 1)]


# The number of buckets is that of all models, so it is in the first row alone.
_TRIAGE = text(f"""
    SELECT triage.*,
           CASE WHEN row_number() OVER () = 1 THEN cardinality({GRID_EDGES}) - 1 END AS buckets
    FROM truthline_internal.triage(:workspace, {WINDOW_PARAMETERS}) AS triage
""")
