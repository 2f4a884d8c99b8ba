"""Health of a deployed model: requests, errors, latencies and values over time.

`sql/views/85_health.sql` defines the numbers; this module queries and names them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from app.query.basis import basis_of
from app.query.question import Basis, Counted, Question, parameters
from app.query.subjects import HasSeries
from app.query.window import EDGES, MICROSECOND, Grid, Window
from app.store.registry import Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTS = 10


@dataclass(frozen=True, slots=True)
class RequestBucket:
    """Requests of a bucket: successful, failed, and the mean latency in ms (None: not reported)."""

    start: datetime
    end: datetime
    answered: int
    failed: int
    mean_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class RequestVolume:
    """Requests in the buckets of a window, and in total."""

    buckets: list[RequestBucket]
    answered: int
    failed: int
    mean_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class BoxPlot:
    """Values of a bucket in the model's own unit: minimum, quartiles and maximum."""

    start: datetime
    end: datetime
    n: int
    quantiles: tuple[float, float, float, float, float]


def tenths(window: Window) -> Grid:
    """A fixed grid of a tenth of the window: 10 buckets, or 11 if two are clipped."""
    return Grid(max(window.length / PARTS, MICROSECOND), EPOCH)


def request_volume(conn: Connection, question: Question[HasSeries]) -> RequestVolume:
    """Requests in the buckets of a grid, oldest first; empty buckets are included.

    Cost: one statement over the cells of the window.
    """
    rows = conn.execute(_VOLUME, parameters(question)).all()
    buckets = [RequestBucket(*row[:5]) for row in rows]
    answered, failed = (sum(column) for column in zip(*(row[2:4] for row in rows), strict=True))
    return RequestVolume(buckets, answered, failed, rows[0].mean_of_all)


def box_plots(conn: Connection, question: Question[HasSeries]) -> list[BoxPlot]:
    """Minimum, quartiles and maximum of predicted values, for each bucket with any.

    Cost: one statement over cells, and the rows of the bins that contain a quantile.
    """
    rows = conn.execute(_BOX_PLOTS, parameters(question))
    return [BoxPlot(row[0], row[1], row[2], tuple(row[3])) for row in rows]


def health_basis(conn: Connection, question: Question[HasSeries]) -> Basis:
    """The basis of the request volume of a model, and of its box plots if it predicts values."""
    scores = [Counted.SCORE] if question.subject.kind is Kind.REGRESSION else []
    return basis_of(conn, question, Counted.PREDICTION, *scores)


_VOLUME = text(f"""
    SELECT bucket_start, bucket_end, n, n_failed,
           truthline_internal.mean_milliseconds(sum_latency, n_latency),
           truthline_internal.mean_milliseconds(
               sum(sum_latency) OVER (), (sum(n_latency) OVER ())::bigint) AS mean_of_all
    FROM truthline_internal.prediction_volume(CAST(:series AS integer[]), {EDGES})
    ORDER BY bucket_start
""")
_BOX_PLOTS = text(f"""
    SELECT bucket_start, bucket_end, n, quantiles
    FROM truthline_internal.value_quantiles(
        CAST(:series AS integer[]), {EDGES}, '{{0,0.25,0.5,0.75,1}}')
""")
