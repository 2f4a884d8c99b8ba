"""How does a deployed model fare? Requests, failures, latencies and values, over time.

The definitions stand in `sql/views/85_health.sql`; here they are asked for and named.
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
class Volume:
    """Requests of a bucket: answered, failed, and the mean latency in ms (None: none reported)."""

    start: datetime
    end: datetime
    answered: int
    failed: int
    mean_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Load:
    """The buckets of a window, and its totals."""

    buckets: list[Volume]
    answered: int
    failed: int
    mean_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """Values of a bucket in the model's own unit: minimum, quartiles and maximum."""

    start: datetime
    end: datetime
    n: int
    quantiles: tuple[float, float, float, float, float]


def tenths(window: Window) -> Grid:
    """A tenth of the window as width, on a grid that never moves: 10 buckets, or 11 with cuts."""
    return Grid(max(window.length / PARTS, MICROSECOND), EPOCH)


def load(conn: Connection, question: Question[HasSeries]) -> Load:
    """Requests of some series in the buckets of a grid, oldest first, empty ones too.

    Cost: one statement over the cells of the window.
    """
    rows = conn.execute(_LOAD, parameters(question)).all()
    volumes = [Volume(*row[:5]) for row in rows]
    answered, failed = (sum(column) for column in zip(*(row[2:4] for row in rows), strict=True))
    return Load(volumes, answered, failed, rows[0].mean_of_all)


def spreads(conn: Connection, question: Question[HasSeries]) -> list[Spread]:
    """Minimum, quartiles and maximum of predicted values, for each bucket that holds any.

    Cost: one statement over cells, and the numbers of the bins that hold a quantile.
    """
    rows = conn.execute(_SPREADS, parameters(question))
    return [Spread(row[0], row[1], row[2], tuple(row[3])) for row in rows]


def health_basis(conn: Connection, question: Question[HasSeries]) -> Basis:
    """What the load of a model rests on, and its spreads if it predicts values."""
    spread = [Counted.SCORE] if question.subject.kind is Kind.REGRESSION else []
    return basis_of(conn, question, Counted.PREDICTION, *spread)


_LOAD = text(f"""
    SELECT bucket_start, bucket_end, n, n_failed,
           truthline_internal.mean_milliseconds(sum_latency, n_latency),
           truthline_internal.mean_milliseconds(
               sum(sum_latency) OVER (), (sum(n_latency) OVER ())::bigint) AS mean_of_all
    FROM truthline_internal.prediction_volume(CAST(:series AS integer[]), {EDGES})
    ORDER BY bucket_start
""")
_SPREADS = text(f"""
    SELECT bucket_start, bucket_end, n, quantiles
    FROM truthline_internal.value_quantiles(
        CAST(:series AS integer[]), {EDGES}, '{{0,0.25,0.5,0.75,1}}')
""")
