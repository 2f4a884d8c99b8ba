"""Counters, gauges and timers, to which events add numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from app.store.event_metrics import EventMetricName, EventMetricType


class Sample(NamedTuple):
    """A metric and a number for it, in seconds for a timer."""

    metric: EventMetricName
    value: float


def sample(name: str, type_: EventMetricType, labels: Mapping[str, str], value: float) -> Sample:
    """A number for the metric with this name and these labels."""
    return Sample(EventMetricName(name, type_, tuple(sorted(labels.items()))), value)


def append(conn: Connection, samples: Sequence[tuple[int, float]]) -> None:
    """Add numbers to metrics, by their ids."""
    if samples:
        ids, values = zip(*samples, strict=True)
        conn.execute(_APPEND, {"ids": list(ids), "values": [float(value) for value in values]})


_APPEND = text("""
    INSERT INTO event_count (metric_id, value)
    SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:values AS float8[]))
""")
