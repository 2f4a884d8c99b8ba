"""Late and missing truths: how late they are, and accuracy corrected for those that are missing."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from truthline.extras import extra
from truthline.metrics import Bucket, Interval, Metrics, table_of
from truthline.wire import ABSENT, End, Start

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


@dataclass(frozen=True)
class Delayed:
    """The predictions that are at least as old as a delay, and how many had a truth within it.

    They were made until `until`. All are None if no prediction is that old. `possible` is more than
    `known` if rows were dropped that would tell. `share` is `known` of `predictions`.
    """

    delay: str = ABSENT
    until: datetime | None = None
    predictions: int | None = None
    known: int | None = None
    possible: int | None = None
    share: float | None = None


@dataclass(frozen=True)
class DelayBucket(Bucket):
    """A part of the window, with the share of its predictions whose truth is still expected.

    `still_expected` is an estimate by the curve, None without one.
    """

    still_expected: float | None = None


@dataclass(frozen=True)
class LabelDelay(Metrics):
    """How late truths are: `curve` has the shortest delay first."""

    curve: tuple[Delayed, ...] = ABSENT
    buckets: tuple[DelayBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, indexed by start in the requested zone."""
        return table_of(self.buckets, self.time_zone)

    def curve_to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per delay, from the shortest."""
        pandas = extra("pandas", "pandas")
        rows = [vars(one) for one in self.curve]
        return pandas.DataFrame(rows).set_index("delay").astype({"share": float})


@dataclass(frozen=True)
class CorrectedBucket:
    """Accuracy in a part of the window, `[start, end)`; None without truths.

    `predictions` have a class and a confidence, and `n` of them a truth. `accuracy` is that of
    these truths, `corrected_accuracy` an estimate of that of all predictions. It is about
    `covered_share` of them: no truth is known of the classes of the others. `interval` is that of
    `corrected_accuracy`.
    """

    start: Start = ABSENT
    end: End = ABSENT
    predictions: int = ABSENT
    n: int = ABSENT
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    corrected_accuracy: float | None = None
    interval: Interval | None = None
    covered_share: float | None = None


@dataclass(frozen=True)
class CorrectedAccuracy(Metrics):
    """Accuracy of a classifier as it is, and estimated for all predictions."""

    buckets: tuple[CorrectedBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, indexed by start in the requested zone.

        Bounds of intervals are in columns such as `accuracy_low` and `corrected_accuracy_high`.
        """
        table = table_of(self.buckets, self.time_zone, but={"accuracy_interval", "interval"})
        for name, interval in _INTERVALS.items():
            for bound in ("low", "high"):
                bounds = [getattr(getattr(b, interval), bound, None) for b in self.buckets]
                table[f"{name}_{bound}"] = bounds
        return table.astype({f"{name}_{bound}": float for name in _INTERVALS for bound in _BOUNDS})


_BOUNDS = ("low", "high")
_INTERVALS = {"accuracy": "accuracy_interval", "corrected_accuracy": "interval"}
