"""What did executions measure? Metrics as they stand, page by page.

The definitions stand in `sql/views/90_steps.sql`; here they are asked for and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, text


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


@dataclass(frozen=True, slots=True)
class StepMetric:
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
    conn: Connection, *, workspace_id: int, is_list: bool, which: Which, size: int, offset: int
) -> Page:
    """Scalars or lists of a workspace, `size` of them from `offset` on.

    Cost: an index; all metrics that match are counted where the page doesn't show how many.
    """
    conditions = which.conditions()
    where = "".join(f" AND {column} = :{column}" for column in conditions)
    asked = conditions | {"workspace": workspace_id, "is_list": is_list}
    rows = conn.execute(text(_PAGE + where + _IN_ORDER), asked | {"size": size, "offset": offset})
    metrics = [StepMetric(*row) for row in rows]
    if 0 < len(metrics) < size:
        return Page(metrics, offset + len(metrics))
    return Page(metrics, conn.execute(text(_COUNT + where), asked).scalar_one())


def list_values(conn: Connection, metrics: Sequence[StepMetric]) -> list[bytes]:
    """The values of each of these lists as a JSON array, as many as it had when it was looked up.

    Cost: the rows of the lists, one per append, through an index. The database writes them: as
    objects of Python half a million numbers would take longer, and hold up other requests.
    """
    asked = {
        "ids": [metric.id for metric in metrics],
        "lengths": [metric.n_values for metric in metrics],
        "since": min((metric.created_at for metric in metrics), default=None),
        "until": max((metric.recorded_at for metric in metrics), default=None),
    }
    found = {row.metric_id: row.values for row in conn.execute(_VALUES, asked)}
    return [b"[%s]" % found[metric.id].encode() for metric in metrics]


_PAGE = """
    SELECT id, execution, pipeline, deployment, name, n_values, value, created_at, recorded_at
    FROM truthline.step_metrics(:workspace) WHERE is_list = :is_list
"""
_IN_ORDER = " ORDER BY id LIMIT :size OFFSET :offset"
_COUNT = "SELECT count(*) FROM truthline.step_metrics(:workspace) WHERE is_list = :is_list"
_VALUES = text("""
    SELECT metric_id,
           string_agg(btrim(array_to_json(values)::text, '[]'), ',' ORDER BY received_at) AS values
    FROM unnest(CAST(:ids AS bigint[]), CAST(:lengths AS bigint[])) AS metric (metric_id, n_values)
    JOIN step_batch USING (metric_id)
    WHERE place <= n_values AND received_at BETWEEN :since AND :until
    GROUP BY metric_id
""")
