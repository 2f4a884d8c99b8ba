"""An overview of all models of a workspace, compared with the preceding period.

`sql/views/95_overview.sql` defines the numbers; this module queries and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import shared_basis
from app.query.inferences import Compared, compared, error_rate, pairs, preceding
from app.query.question import Basis, Counted, Question
from app.query.subjects import Selection
from app.query.window import WINDOW_PARAMETERS
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """One model: inferences, errors, mean latency in seconds, truths and headline metric.

    `headline` is the accuracy of a classifier (a fraction of 1), the root mean squared error of a
    regressor (in its own unit), None for other kinds and without truths. The `bucket_…` sequences
    have one element per bucket of the window: its start, inferences and headline. `kind` is None
    while only feedback has arrived.
    """

    name: ModelName
    kind: Kind | None
    inferences: Compared[int]
    errors: Compared[int]
    latency: Compared[float | None]
    truths: Compared[int]
    headline: Compared[float | None]
    bucket_starts: Sequence[datetime]
    bucket_inferences: Sequence[int]
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
    return [_model(row) for row in conn.execute(_OVERVIEW, compared(question))]


def overview_basis(conn: Connection, question: Question[Selection]) -> Basis:
    """The basis of such an answer, in the buckets of both periods."""
    counted = (Counted.PREDICTION, Counted.OUTCOME)
    preceding_question = question.over(preceding(question.window), question.grid)
    return shared_basis(conn, (preceding_question, counted), (question, counted))


def _model(row: Row[Any]) -> ModelOverview:
    kind = None if row.kind is None else Kind(row.kind)
    inferences, errors, latency, truths, headline = pairs(row[4:14])
    return ModelOverview(
        ModelName(row.namespace, row.pipeline, row.model),
        kind,
        inferences,
        errors,
        latency,
        truths,
        headline,
        row.starts,
        row.volumes,
        row.headlines,
    )


_OVERVIEW = text(f"SELECT * FROM truthline_internal.overview(:workspace, {WINDOW_PARAMETERS})")
