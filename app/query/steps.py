"""What did executions measure? As it stands, value by value, over time and over executions.

The definitions stand in `sql/views/90_steps.sql`; here they are asked for and named.
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
from app.query.window import bounds

PORTION = 250_000  # values: what an answer holds in memory at a time, some 5 MB


@dataclass(frozen=True, slots=True)
class Which:
    """Metrics of this name, and of executions of this pipeline, deployment or name; None is any."""

    name: str | None = None
    pipeline: str | None = None
    deployment: str | None = None
    execution: str | None = None

    def conditions(self) -> dict[str, str]:
        """What is asked for, by column."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {column: value for column, value in named.items() if value is not None}


class StepMetric(NamedTuple):
    """A metric of an execution: how many values were recorded, and the last of them.

    `pipeline` and `deployment` are empty where not told.
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
class Page:
    """Some of the metrics in the order of their first recording. `total` counts all."""

    metrics: list[StepMetric]
    total: int


def step_metrics(
    conn: psycopg.Connection,
    *,
    workspace_id: int,
    is_list: bool,
    which: Which,
    size: int,
    offset: int,
) -> Page:
    """Scalars or lists of a workspace, `size` of them from `offset` on.

    Cost: one statement, which is one snapshot: through an index, counting all that match.
    """
    conditions = which.conditions()
    asked = conditions | {"workspace": workspace_id, "is_list": is_list}
    asked |= {"size": size, "offset": offset}
    query = _page_of(tuple(conditions))
    rows = conn.execute(query, asked, prepare=True, binary=True).fetchall()
    metrics = [StepMetric._make(row[1:]) for row in rows if row[1] is not None]
    return Page(metrics, rows[0][0])


@dataclass(frozen=True, slots=True)
class Recorded:
    """What some executions recorded, each in the order of first recording."""

    scalars: list[StepMetric]
    lists: list[StepMetric]


def recorded(conn: Connection, *, workspace_id: int, executions: Sequence[str]) -> Recorded:
    """All metrics of these executions as they stand.

    Cost: one statement through an index, however many executions they are.
    """
    found = Recorded([], [])
    asked = {"workspace": workspace_id, "executions": list(executions)}
    for row in conn.execute(_RECORDED, asked):
        (found.lists if row.is_list else found.scalars).append(StepMetric._make(row[1:]))
    return found


_RECORDED = text("""
    SELECT is_list, id, execution, pipeline, deployment, name, n_values, value, created_at,
           recorded_at
    FROM truthline_internal.step_metrics(:workspace)
    WHERE execution = ANY (:executions)
    ORDER BY id
""")


@cache
def _page_of(columns: tuple[str, ...]) -> bytes:
    """The statement of a page, with conditions on some columns: each has an index of its own."""
    matching = "".join(f" AND {column} = %({column})s" for column in columns)
    return _PAGE.format(matching=matching).encode()


def portions(metrics: Iterable[StepMetric]) -> Iterator[list[StepMetric]]:
    """Lists in their order, together as many as `list_values` should be asked for at once."""
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

    A list is one text: numbers as PostgreSQL prints them, which JSON reads, with commas between.

    What was appended since is left out, so that these may be asked for in another snapshot.

    Cost: the rows of the lists, one per append, through an index. The database writes them: as
    objects of Python half a million numbers would take longer, and hold up other requests.
    """
    asked = {
        "ids": [metric.id for metric in metrics],
        "lengths": [metric.n_values for metric in metrics],
        "since": min((metric.created_at for metric in metrics), default=None),
        "until": max((metric.recorded_at for metric in metrics), default=None),
    }
    found: dict[int, str] = dict(conn.execute(_VALUES, asked).fetchall())
    # of one that retention has dropped since, nothing is left
    return [found.get(metric.id, "") for metric in metrics]


@dataclass(frozen=True, slots=True)
class StepBucket:
    """Values recorded in a bucket of time; all but `n` are None where there are none."""

    start: datetime
    end: datetime
    n: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """Values that an execution recorded of a metric, and when the first and the last were."""

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
    """Some of the executions in the order of their first recording. `total` counts all."""

    executions: list[ExecutionSummary]
    total: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Values of a metric from some place on, and when each was recorded. `total` counts all."""

    values: list[float]
    recorded_at: list[datetime]
    total: int


def over_time(conn: Connection, question: Question[Which], *, is_list: bool) -> list[StepBucket]:
    """A metric in the buckets of a grid, by when its values were recorded.

    Cost: a look-up, and the recordings of the window.

    Raises:
        InvalidWindow: the database lacks the zone.
        UnknownStepMetric: no execution that matches recorded it.
    """
    metric = _metric(question.workspace_id, question.subject, is_list=is_list)
    require_zone(conn, question.grid.zone)
    _require(conn, metric)
    buckets = bounds(question.window, question.grid, None)
    return [StepBucket(*row) for row in conn.execute(_OVER_TIME, metric | buckets)]


def over_executions(
    conn: Connection,
    *,
    workspace_id: int,
    is_list: bool,
    which: Which,
    as_of: datetime | None = None,
    size: int = 100,
    offset: int = 0,
) -> SummaryPage:
    """A metric of each execution, as it stood at a moment; `size` of them from `offset` on.

    Cost: two look-ups, the recordings of these executions, and a look at each of the others.

    Raises:
        InvalidWindow: `as_of` is still to come.
        UnknownStepMetric: no execution that matches recorded it.
    """
    metric = _metric(workspace_id, which, is_list=is_list)
    _require(conn, metric, as_of)
    page = metric | {"as_of": as_of or "infinity", "size": size, "offset": offset}
    summaries = [ExecutionSummary(*row) for row in conn.execute(_OVER_EXECUTIONS, page)]
    return SummaryPage(summaries, conn.execute(_EXECUTIONS, page).scalar_one())


def values_of(
    conn: Connection, *, workspace_id: int, is_list: bool, which: Which, size: int, offset: int
) -> Slice:
    """Values of one metric of one execution, `size` of them from `offset` on, oldest first.

    Cost: the index of the metric's recordings, and those that hold the values.

    Raises:
        UnknownStepMetric: the execution has not recorded it.
    """
    metric = _metric(workspace_id, which, is_list=is_list)
    first = _require(conn, metric)
    page = metric | {"id": first.id, "first": offset + 1, "last": offset + size}
    rows = conn.execute(_SLICE, page).all()
    return Slice([row.value for row in rows], [row.received_at for row in rows], first.n_values)


def _metric(workspace_id: int, which: Which, *, is_list: bool) -> dict[str, Any]:
    return {"workspace": workspace_id, "is_list": is_list, **asdict(which)}


def _require(conn: Connection, metric: dict[str, Any], as_of: datetime | None = None) -> Row[Any]:
    """The metric that was recorded first of those that match."""
    row = conn.execute(_FIRST, metric).one()
    if as_of is not None and as_of > row.clock:
        raise InvalidWindow("asOf must not be in the future")
    if row.id is None:
        parts = ((part, metric[part]) for part in ("pipeline", "deployment", "execution"))
        named = "".join(f", {part} {name}" for part, name in parts if name is not None)
        shape = "list" if metric["is_list"] else "scalar"
        raise UnknownStepMetric(f"no {shape} {metric['name']}{named}")
    return row


# There is one row at least, which tells the total. A last page tells it by itself.
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
# A recording has at most as many values as a list may; a scalar's has one.
_SLICE = text("""
    SELECT one.value, batch.received_at
    FROM step_batch AS batch
    CROSS JOIN LATERAL unnest(batch.values) WITH ORDINALITY AS one (value, nth)
    WHERE metric_id = :id AND batch.place <= :last
      AND batch.place > :first - CASE WHEN :is_list THEN 50000 ELSE 1 END
      AND batch.place + one.nth - 1 BETWEEN :first AND :last
    ORDER BY batch.place + one.nth
""")
