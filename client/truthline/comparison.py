"""Two sides compared: whether their metrics differ by more than chance explains."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from truthline.extras import extra
from truthline.metrics import Freshness, Interval, Snapped
from truthline.values import Name, Tags, as_name, tag_filter
from truthline.wire import ABSENT, End, Start, camel, to_wire

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


class Side(TypedDict, total=False):
    """What is different about one side of a comparison: its window, or its part of a model."""

    model: Name
    namespace: Name
    pipeline: Name
    deployment: Name | None
    version: Name | None
    tags: Tags
    start: datetime | str
    end: datetime | str
    as_of: datetime | str


@dataclass(frozen=True)
class MetricSide:
    """A metric of one side, None without truths; `n` counts the truths it was computed from."""

    value: float | None = None
    n: int = ABSENT
    interval: Interval | None = None


@dataclass(frozen=True)
class MetricComparison:
    """A metric of both sides; `difference` is A minus B, `interval` its confidence interval.

    `p_value` is the probability of a difference this large if there is none. Both are None if there
    are too few truths, if nothing varies, and if both sides count the same predictions. `better` is
    `a` or `b`, None if they are not distinguishable or if neither direction is better.
    """

    metric: str = ABSENT
    a: MetricSide = ABSENT
    b: MetricSide = ABSENT
    difference: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    verdict: str = ABSENT
    better: str | None = None


@dataclass(frozen=True)
class ComparedSide:
    """The window `[start, end)` of a side, and whether its metrics are exact."""

    start: Start = ABSENT
    end: End = ABSENT
    exact: bool = ABSENT
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness = ABSENT


@dataclass(frozen=True)
class Comparison:
    """Two sides, and what the difference of each metric says at a confidence.

    `kind` is `classification` or `regression`, None until the first prediction.
    """

    kind: str | None = None
    confidence: float = ABSENT
    a: ComparedSide = ABSENT
    b: ComparedSide = ABSENT
    metrics: tuple[MetricComparison, ...] = ABSENT

    def __getitem__(self, metric: str) -> MetricComparison:
        """Return the comparison of one metric, such as `accuracy` or `mean_absolute_error`.

        Raises:
            KeyError: the models have no such metric.
        """
        for one in self.metrics:
            if one.metric in (metric, camel(metric)):
                return one
        raise KeyError(metric)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per metric: both values, the difference and the verdict."""
        pandas = extra("pandas", "pandas")
        return pandas.DataFrame(
            [_row(one) for one in self.metrics or ()], columns=_COLUMNS
        ).set_index("metric")


_COLUMNS = ["metric", "a", "b", "n_a", "n_b", "difference", "low", "high", "p_value", "verdict"]


def _row(one: MetricComparison) -> list[Any]:
    a, b, interval = one.a or MetricSide(), one.b or MetricSide(), one.interval or Interval()
    numbers = [a.value, b.value, a.n, b.n, one.difference, interval.low, interval.high]
    return [one.metric, *numbers, one.p_value, one.verdict]


def side_parameters(prefix: str, side: Side) -> dict[str, Any]:
    """Return the parameters of a side, each with `a.` or `b.` in front.

    Raises:
        TypeError: a member is unknown.
    """
    if unknown := side.keys() - Side.__annotations__.keys():
        raise TypeError(f"a side has no {', '.join(sorted(unknown))}")
    named = {name: value for name, value in side.items() if name != "tags"}
    parameters = _parameters(named) | {"tag": tag_filter(side.get("tags"))}
    return {f"{prefix}.{name}": value for name, value in parameters.items()}


def _parameters(side: Mapping[str, Any]) -> dict[str, Any]:
    times = {"start": "startTime", "end": "endTime", "as_of": "asOf"}
    return {
        times.get(name, name): to_wire(value, name) if name in times else as_name(value)
        for name, value in side.items()
        if value is not None
    }
