"""How far were the values? Errors, bucket by bucket.

The definitions stand in `sql/views/70_regression.sql`; here they are asked for and named.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.query.models import WHOLE, Part, subject
from app.query.window import EDGES, Grid, Window, bounds
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class RegressionBucket:
    """Errors in the model's own unit (squared: in its square), None where `n` is 0.

    `mean_error` is the bias, predicted minus actual. `r2` and the percentage error are fractions
    of 1, None also where all truths are equal, or all are 0.
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


def regression_metrics(
    conn: Connection,
    *,
    workspace_id: int,
    name: ModelName,
    window: Window,
    grid: Grid = Grid(),  # noqa: B008 - frozen
    as_of: datetime | None = None,
    part: Part = WHOLE,
) -> list[RegressionBucket]:
    """Errors of one model in the buckets of a grid, as they are now or were known at `as_of`.

    Shape: one bucket per width, oldest first, clipped to the window; one in all without width.
    Cost:  one statement over the cells of the window, two look-ups.

    Raises:
        UnknownModel: the workspace has no such model, or nothing of that part.
        WrongKind: the model is no regressor.
    """
    found = subject(conn, workspace_id=workspace_id, name=name, kind=Kind.REGRESSION, part=part)
    rows = conn.execute(_METRICS, bounds(window, grid, as_of) | {"series": found.series})
    return [RegressionBucket(*row) for row in rows]


_METRICS = text(f"""
    SELECT bucket_start, bucket_end, n,
           mean_absolute_error, mean_squared_error, root_mean_squared_error,
           mean_error, r2, mean_absolute_percentage_error
    FROM truthline_internal.regression_metrics(CAST(:series AS integer[]), {EDGES})
""")
