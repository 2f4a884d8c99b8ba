"""Step metrics: current values, single values, over time and over executions.

`sql/views/90_steps.sql` defines the numbers; this module queries and names them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Row, text

from app.errors import InvalidWindow, UnknownStepMetric
from app.query.question import Question
from app.query.settle import require_zone
from app.query.window import window_parameters

PORTION = 250_000  # values that an answer keeps in memory at a time: about 5 MB


@dataclass(frozen=True, slots=True)
class StepMetricFilter:
    """A filter by metric name, pipeline, deployment and execution; None matches any."""

    name: str | None = None
    pipeline: str | None = None
    deployment: str | None = None
    execution: str | None = None

    def conditions(self) -> dict[str, str]:
        """The conditions that are set, by column."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {column: value for column, value in named.items() if value is not None}


class StepMetric(NamedTuple):
    """A metric of an execution: the number of recorded values, and the last one.

    `pipeline` and `deployment` are empty if unknown.
    """

    id: int
    execution: str
    pipeline: str
    deployment: str
    name: str
    n_values: int
    value: float
    created_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class StepMetricPage:
    """Some of the step metrics, in the order of their first recording. `total` counts all."""

    metrics: list[StepMetric]
    total: int


def step_metrics(
    conn: psycopg.Connection,
    *,
    workspace_id: int,
    is_list: bool,
    which: StepMetricFilter,
    size: int,
    offset: int,
) -> StepMetricPage:
    """Scalars or lists of a workspace, `size` of them from `offset` on.

    Cost: one statement (one snapshot) through an index; all matching metrics are counted.
    """
    conditions = which.conditions()
    lookup = conditions | {"workspace": workspace_id, "is_list": is_list}
    lookup |= {"size": size, "offset": offset}
    statement = _page_of(tuple(conditions))
    rows = conn.execute(statement, lookup, prepare=True, binary=True).fetchall()
    metrics = [StepMetric._make(row[1:]) for row in rows if row[1] is not None]
    return StepMetricPage(metrics, rows[0][0])


@dataclass(frozen=True, slots=True)
class Recorded:
    """Step metrics of some executions, in the order of their first recording."""

    scalars: list[StepMetric]
    lists: list[StepMetric]


def recorded(conn: Connection, *, workspace_id: int, executions: Sequence[str]) -> Recorded:
    """The current values of all metrics of these executions.

    Cost: one statement through an index, regardless of the number of executions.
    """
    result = Recorded([], [])
    lookup = {"workspace": workspace_id, "executions": list(executions)}
    for row in conn.execute(_RECORDED, lookup):
        (result.lists if row.is_list else result.scalars).append(StepMetric._make(row[1:]))
    return result


_RECORDED = text("""
    SELECT is_list, id, execution, pipeline, deployment, name, n_values, value, created_at,
           recorded_at
    FROM truthline_internal.step_metrics(:workspace)
    WHERE execution = ANY (:executions)
    ORDER BY id
""")


@cache
def _page_of(columns: tuple[str, ...]) -> bytes:
    """The statement of a page, with conditions on some columns; each column has its own index."""
    matching = "".join(f" AND {column} = %({column})s" for column in columns)
    return _PAGE.format(matching=matching).encode()


def portions(metrics: Iterable[StepMetric]) -> Iterator[list[StepMetric]]:
    """Lists in order, in portions small enough for one call of `list_values`."""
    portion: list[StepMetric] = []
    n_values = 0
    for metric in metrics:
        if portion and n_values + metric.n_values > PORTION:
            yield portion
            portion, n_values = [], 0
        portion.append(metric)
        n_values += metric.n_values
    if portion:
        yield portion


def list_values(conn: psycopg.Connection, metrics: Sequence[StepMetric]) -> list[str]:
    """The values of each of these lists, as many as it had when it was looked up.

    A list is one text: numbers as PostgreSQL prints them, which is valid JSON, separated by commas.
    Values appended since are excluded, so this may run in another snapshot.

    Cost: the rows of the lists, one per append, through an index. The database formats the numbers:
    half a million Python objects would take longer and delay other requests.
    """
    lookup = {
        "ids": [metric.id for metric in metrics],
        "lengths": [metric.n_values for metric in metrics],
        "since": min((metric.created_at for metric in metrics), default=None),
        "until": max((metric.recorded_at for metric in metrics), default=None),
    }
    values_by_id: dict[int, str] = dict(conn.execute(_VALUES, lookup).fetchall())
    # a list that retention has dropped since is empty
    return [values_by_id.get(metric.id, "") for metric in metrics]


@dataclass(frozen=True, slots=True)
class StepBucket:
    """Values recorded in a bucket of time; without values all but `n` are None."""

    start: datetime
    end: datetime
    n: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """Values of a metric that an execution recorded, with the times of the first and the last."""

    execution: str
    pipeline: str
    deployment: str
    n: int
    mean: float
    minimum: float
    maximum: float
    last: float
    first_recorded_at: datetime
    last_recorded_at: datetime


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """Some of the executions, in the order of their first recording. `total` counts all."""

    executions: list[ExecutionSummary]
    total: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Values of a metric from some offset on, with their times. `total` counts all."""

    values: list[float]
    recorded_at: list[datetime]
    total: int


def over_time(
    conn: Connection, question: Question[StepMetricFilter], *, is_list: bool
) -> list[StepBucket]:
    """A metric in the buckets of a grid, by the time of recording.

    Cost: a look-up, and the recordings of the window.

    Raises:
        InvalidWindow: the database does not know the zone.
        UnknownStepMetric: no matching execution recorded it.
    """
    metric = _metric(question.workspace_id, question.subject, is_list=is_list)
    require_zone(conn, question.grid.zone)
    _require(conn, metric)
    buckets = window_parameters(question.window, question.grid, None)
    return [StepBucket(*row) for row in conn.execute(_OVER_TIME, metric | buckets)]


def over_executions(
    conn: Connection,
    *,
    workspace_id: int,
    is_list: bool,
    which: StepMetricFilter,
    as_of: datetime | None = None,
    size: int = 100,
    offset: int = 0,
) -> SummaryPage:
    """A metric of each execution as of a moment; `size` of them from `offset` on.

    Cost: two look-ups, the recordings of these executions, and an index entry for each other one.

    Raises:
        InvalidWindow: `as_of` is in the future.
        UnknownStepMetric: no matching execution recorded it.
    """
    metric = _metric(workspace_id, which, is_list=is_list)
    _require(conn, metric, as_of)
    page = metric | {"as_of": as_of or "infinity", "size": size, "offset": offset}
    summaries = [ExecutionSummary(*row) for row in conn.execute(_OVER_EXECUTIONS, page)]
    return SummaryPage(summaries, conn.execute(_EXECUTIONS, page).scalar_one())


def values_of(
    conn: Connection,
    *,
    workspace_id: int,
    is_list: bool,
    which: StepMetricFilter,
    size: int,
    offset: int,
) -> Slice:
    """Values of one metric of one execution, `size` of them from `offset` on, oldest first.

    Cost: the index of the metric's recordings, and the recordings with these values.

    Raises:
        UnknownStepMetric: the execution has not recorded it.
    """
    metric = _metric(workspace_id, which, is_list=is_list)
    first = _require(conn, metric)
    page = metric | {"id": first.id, "first": offset + 1, "last": offset + size}
    rows = conn.execute(_SLICE, page).all()
    return Slice([row.value for row in rows], [row.received_at for row in rows], first.n_values)


def _metric(workspace_id: int, which: StepMetricFilter, *, is_list: bool) -> dict[str, Any]:
    return {"workspace": workspace_id, "is_list": is_list, **asdict(which)}


def _require(conn: Connection, metric: dict[str, Any], as_of: datetime | None = None) -> Row[Any]:
    """The matching metric that was recorded first."""
    row = conn.execute(_FIRST, metric).one()
    if as_of is not None and as_of > row.clock:
        raise InvalidWindow("asOf must not be in the future")
    if row.id is None:
        parts = ((part, metric[part]) for part in ("pipeline", "deployment", "execution"))
        named = "".join(f", {part} {name}" for part, name in parts if name is not None)
        shape = "list" if metric["is_list"] else "scalar"
        raise UnknownStepMetric(f"no {shape} {metric['name']}{named}")
    return row


# At least one row is returned, with the total. On a last page the total follows from its rows.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT id, execution, pipeline, deployment, name, n_values, value, created_at, recorded_at
        FROM truthline_internal.step_metrics(%(workspace)s)
        WHERE is_list = %(is_list)s {matching}
        ORDER BY id LIMIT %(size)s OFFSET %(offset)s
    )
    SELECT counted.total, page.*
    FROM (
        SELECT CASE WHEN n_rows BETWEEN 1 AND %(size)s - 1 THEN %(offset)s + n_rows
                    ELSE (SELECT count(*) FROM truthline_internal.step_metrics(%(workspace)s)
                          WHERE is_list = %(is_list)s {matching}) END AS total
        FROM (SELECT count(*) AS n_rows FROM page) AS on_page
    ) AS counted
    LEFT JOIN page ON true
    ORDER BY page.id
"""
_VALUES = """
    SELECT metric_id,
           string_agg(btrim(array_to_json(values)::text, '[]'), ',' ORDER BY received_at) AS values
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(lengths)s AS bigint[]))
        AS metric (metric_id, n_values)
    JOIN step_batch USING (metric_id)
    WHERE place <= n_values AND received_at BETWEEN %(since)s AND %(until)s
    GROUP BY metric_id
"""
_MATCHING = """
    name = :name AND is_list = :is_list
    AND pipeline = coalesce(CAST(:pipeline AS text), pipeline)
    AND deployment = coalesce(CAST(:deployment AS text), deployment)
    AND execution = coalesce(CAST(:execution AS text), execution)
"""
_FIRST = text(f"""
    SELECT clock_timestamp() AS clock, metric.*
    FROM (SELECT) AS always
    LEFT JOIN (
        SELECT id, n_values FROM truthline_internal.step_metrics(:workspace)
        WHERE {_MATCHING} LIMIT 1
    ) AS metric ON true
""")
_OVER_TIME = text("""
    SELECT bucket_start, bucket_end, n, mean, minimum, maximum, last
    FROM truthline_internal.step_metric_over_time(
        :workspace, :name, :is_list, CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        CAST(:width AS interval), CAST(:origin AS timestamptz), CAST(:zone AS text),
        CAST(:pipeline AS text), CAST(:deployment AS text), CAST(:execution AS text))
    ORDER BY bucket_start
""")
_OVER_EXECUTIONS = text("""
    SELECT execution, pipeline, deployment, n, mean, minimum, maximum, last, first_recorded_at,
           last_recorded_at
    FROM truthline_internal.step_metric_by_execution(
        :workspace, :name, :is_list, CAST(:as_of AS timestamptz))
    WHERE pipeline = coalesce(CAST(:pipeline AS text), pipeline)
      AND deployment = coalesce(CAST(:deployment AS text), deployment)
      AND execution = coalesce(CAST(:execution AS text), execution)
    ORDER BY id LIMIT :size OFFSET :offset
""")
_EXECUTIONS = text(f"""
    SELECT count(*) FROM truthline_internal.step_metrics(:workspace)
    WHERE {_MATCHING} AND created_at < CAST(:as_of AS timestamptz)
""")
# A recording has at most as many values as a list may have; that of a scalar has one.
_SLICE = text("""
    SELECT one.value, batch.received_at
    FROM step_batch AS batch
    CROSS JOIN LATERAL unnest(batch.values) WITH ORDINALITY AS one (value, nth)
    WHERE metric_id = :id AND batch.place <= :last
      AND batch.place > :first - CASE WHEN :is_list THEN 50000 ELSE 1 END
      AND batch.place + one.nth - 1 BETWEEN :first AND :last
    ORDER BY batch.place + one.nth
""")
