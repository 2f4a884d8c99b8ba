"""What have events added up to? The counters, gauges and timers of a workspace.

The definition stands in `sql/views/90_events.sql`; here it is asked for and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class EventMetric:
    """A metric as it stands.

    `value` is a counter's total, a gauge's last number, or a timer's seconds in all. `bins` is a
    timer's alone: (upper bound in seconds, how many numbers up to it), the last bound infinity.
    """

    name: str
    type: str
    labels: Mapping[str, str]
    value: float
    bins: Sequence[tuple[float, int]]


def event_metrics(conn: Connection, *, workspace_id: int) -> list[EventMetric]:
    """All metrics of a workspace, in order of name and labels.

    Cost: the workspace's totals, and what events added since the last fold.
    """
    found: dict[tuple[str, tuple[tuple[str, str], ...]], EventMetric] = {}
    for row in conn.execute(_METRICS, {"workspace_id": workspace_id}):
        key = (row.name, tuple(row.labels.items()))
        metric = found.setdefault(key, EventMetric(row.name, row.type, row.labels, row.value, []))
        if row.bound is not None:
            metric.bins.append((row.bound, row.n))  # type: ignore[attr-defined] # ours, a list
    return list(found.values())


_METRICS = text("SELECT * FROM truthline_internal.event_metrics(:workspace_id)")
