"""Event metrics: the counters, gauges and timers of a workspace.

`sql/views/90_events.sql` defines them; this module queries and names them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class EventMetric:
    """The current value of a metric.

    `value` is the total of a counter, the last value of a gauge, or the total seconds of a timer.
    Only timers have `bins`: (upper limit in seconds, how many values up to it); the last limit is
    infinity.
    """

    name: str
    type: str
    labels: Mapping[str, str]
    value: float
    bins: Sequence[tuple[float, int]]


def event_metrics(conn: Connection, *, workspace_id: int) -> list[EventMetric]:
    """All event metrics of a workspace, sorted by name and labels.

    Cost: the totals of the workspace, and the events since the last fold.
    """
    metrics_by_key: dict[tuple[str, tuple[tuple[str, str], ...]], EventMetric] = {}
    for row in conn.execute(_METRICS, {"workspace_id": workspace_id}):
        key = (row.name, tuple(row.labels.items()))
        metric = metrics_by_key.setdefault(
            key, EventMetric(row.name, row.type, row.labels, row.value, [])
        )
        if row.bound is not None:
            metric.bins.append((row.bound, row.n))  # type: ignore[attr-defined] # ours, a list
    return list(metrics_by_key.values())


_METRICS = text("SELECT * FROM truthline_internal.event_metrics(:workspace_id)")
