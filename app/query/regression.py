"""How far were the values? Errors, bucket by bucket.

The definitions stand in `sql/views/40_regression.sql`; here they are asked for and named.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.query.models import subject
from app.query.window import Window
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class RegressionBucket:
    """Errors in the model's own unit (squared: in its square), None where `n` is 0."""

    start: datetime
    end: datetime
    n: int
    mean_absolute_error: float | None
    mean_squared_error: float | None
    root_mean_squared_error: float | None


def regression_metrics(
    conn: Connection,
    *,
    workspace_id: int,
    name: ModelName,
    window: Window,
    width: timedelta | None = None,
) -> list[RegressionBucket]:
    """Errors of one model in buckets that begin at the window's start.

    Shape: one bucket per `width`, oldest first, the last one clipped; one in all without width.
    Cost:  one statement over the outcomes of the window, two look-ups.

    Raises:
        UnknownModel: the workspace has no such model.
        WrongKind: the model is no regressor.
    """
    found = subject(conn, workspace_id=workspace_id, name=name, kind=Kind.REGRESSION)
    rows = conn.execute(
        _METRICS,
        {"series": found.series, "start": window.start, "end": window.end, "width": width},
    )
    return [RegressionBucket(*row) for row in rows]


_METRICS = text("""
    SELECT bucket_start, bucket_end, n,
           mean_absolute_error, mean_squared_error, root_mean_squared_error
    FROM truthline.regression_metrics(:series, :start, :end, width => :width)
""")
