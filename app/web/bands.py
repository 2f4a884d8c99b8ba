"""Confidence intervals in charts over time: bands around a line."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from app.query.intervals import Interval

# How much of the line's colour a band has.
OPACITY = 0.16
Bounds = Sequence[Interval | None]


def band(
    middles: Sequence[datetime], edges: Sequence[tuple[datetime, datetime]], bounds: Bounds
) -> dict[str, Any]:
    """The x and y of a band: one polygon for each run of buckets that have an interval.

    A bucket between two without an interval has a band as wide as itself: a point has no area.
    """
    x: list[datetime | None] = []
    y: list[float | None] = []
    for run in _runs(bounds):
        at = [middles[place] for place in run] if len(run) > 1 else list(edges[run[0]])
        intervals = [bounds[place] for place in run] * (1 if len(run) > 1 else 2)
        known = [interval for interval in intervals if interval]
        x += [None] if x else []
        y += [None] if y else []
        x += [*at, *reversed(at)]
        y += [*(one.high for one in known), *(one.low for one in reversed(known))]
    return {"x": x, "y": y}


def _runs(bounds: Bounds) -> Iterator[list[int]]:
    """Places of adjacent buckets that have an interval."""
    places = groupby(range(len(bounds)), key=lambda place: bounds[place] is not None)
    return (list(run) for known, run in places if known)
