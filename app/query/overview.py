"""All models of a workspace at a glance, now against the period before.

The definitions stand in `sql/views/95_overview.sql`; here they are asked for and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.basis import shared_basis
from app.query.inferences import Compared, compared, error_rate, pairs, previous
from app.query.question import Basis, Counted, Question
from app.query.subjects import Selection
from app.query.window import BOUNDS
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """One model: inferences that were answered or failed, seconds each, and how good they were.

    `headline` is the accuracy of a classifier (a fraction of 1), the root mean squared error of a
    regressor (in its own unit), None of other kinds and without truths. `starts`, `volumes` and
    `headlines` have one element per bucket of the window: its first instant, inferences and
    headline. `kind` is None while nothing but feedback came.
    """

    name: ModelName
    kind: Kind | None
    inferences: Compared[int]
    errors: Compared[int]
    latency: Compared[float | None]
    truths: Compared[int]
    headline: Compared[float | None]
    starts: Sequence[datetime]
    volumes: Sequence[int]
    headlines: Sequence[float | None]

    @property
    def error_rate(self) -> Compared[float | None]:
        """Errors per request, a fraction of 1; None without requests."""
        return error_rate(self.inferences, self.errors)


def overview(conn: Connection, question: Question[Selection]) -> list[ModelOverview]:
    """Every model of a workspace, the busiest first; also those without a prediction.

    Cost: one statement over the cells of both periods, however many models there are. A grid of
    hours or days, as `fixed_grid` makes it, cuts few cells.

    Raises:
        InvalidWindow: there is no window of this length before it.
    """
    return [_model(row) for row in conn.execute(_OVERVIEW, compared(question))]


def overview_basis(conn: Connection, question: Question[Selection]) -> Basis:
    """What such an answer rests on, in the buckets of both periods."""
    counted = (Counted.PREDICTION, Counted.OUTCOME)
    before = question.over(previous(question.window), question.grid)
    return shared_basis(conn, (before, counted), (question, counted))


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


_OVERVIEW = text(f"SELECT * FROM truthline_internal.overview(:workspace, {BOUNDS})")
