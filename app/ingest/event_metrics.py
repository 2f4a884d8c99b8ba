"""Counters, gauges and timers: what events add to them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from app.store.metrics import Metric


class Sample(NamedTuple):
    """A metric and a number for it; that of a timer is in seconds."""

    metric: Metric
    value: float


def append(conn: Connection, samples: Sequence[tuple[int, float]]) -> None:
    """Add numbers to metrics, by their ids."""
    if samples:
        ids, values = zip(*samples, strict=True)
        conn.execute(_APPEND, {"ids": list(ids), "values": list(values)})


_APPEND = text("""
    INSERT INTO event_count (metric_id, value)
    SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:values AS float8[]))
""")
