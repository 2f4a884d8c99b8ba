"""Drift of outputs and truths, and which predictions a change of a metric comes from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truthline.comparison import ComparedSide
from truthline.extras import extra
from truthline.wire import ABSENT, End, Start, camel

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


@dataclass(frozen=True)
class DriftStatistic:
    """A statistic of drift; `noise` is its expected value without drift at the sizes of both sides.

    `p_value` is the probability of at least this value without drift, None if it has none.
    """

    statistic: str = ABSENT
    value: float | None = None
    noise: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class DriftPart:
    """A label, or the numbers from `lower` to below `upper`, and how many each side has."""

    label: str | None = None
    lower: float | None = None
    upper: float | None = None
    a: int = ABSENT
    b: int = ABSENT


@dataclass(frozen=True)
class DriftBucket:
    """The drift of one bucket `[start, end)` of side B from side A, the reference.

    `n_a` and `n_b` count labels or numbers. `new` are labels that only B has, `vanished` those that
    only A has; `new_share` and `vanished_share` are their shares of B and of A.
    """

    start: Start = ABSENT
    end: End = ABSENT
    n_a: int = ABSENT
    n_b: int = ABSENT
    statistics: tuple[DriftStatistic, ...] = ABSENT
    parts: tuple[DriftPart, ...] = ABSENT
    new: tuple[str, ...] = ABSENT
    vanished: tuple[str, ...] = ABSENT
    new_share: float | None = None
    vanished_share: float | None = None

    def __getitem__(self, statistic: str) -> DriftStatistic:
        """Return one statistic, such as `psi` or `jensen_shannon`.

        Raises:
            KeyError: the answer has no such statistic.
        """
        for one in self.statistics or ():
            if one.statistic in (statistic, camel(statistic)):
                return one
        raise KeyError(statistic)


@dataclass(frozen=True)
class Drift:
    """How far a quantity of side B is distributed from that of side A, per bucket of side B."""

    of: str = ABSENT
    a: ComparedSide = ABSENT
    b: ComparedSide = ABSENT
    buckets: tuple[DriftBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket and a column per statistic."""
        pandas = extra("pandas", "pandas")
        rows = [
            {"start": bucket.start, "n_a": bucket.n_a, "n_b": bucket.n_b}
            | {one.statistic: one.value for one in bucket.statistics or ()}
            for bucket in self.buckets or ()
        ]
        return pandas.DataFrame(rows).set_index("start")


@dataclass(frozen=True)
class ChangedSide(ComparedSide):
    """A side of a change: the metric, and how many predictions or truths it is the mean of."""

    value: float | None = None
    n: int = ABSENT


@dataclass(frozen=True)
class ChangedPart:
    """A part of the predictions, and what it contributes to the change.

    `rate_effect` is there because the part's own metric changed, `mix_effect` because its share of
    the predictions did; `effect` is their sum.
    """

    value: str | None = None
    a: float | None = None
    b: float | None = None
    n_a: int = ABSENT
    n_b: int = ABSENT
    rate_effect: float = ABSENT
    mix_effect: float = ABSENT
    effect: float = ABSENT


@dataclass(frozen=True)
class ChangeDivision:
    """All parts by one criterion, largest effect first; they add up to the change.

    `by` is `tag` (then `key` is its key), `version`, `deployment`, `actualClass` or
    `predictedClass`.
    """

    by: str = ABSENT
    key: str | None = None
    parts: tuple[ChangedPart, ...] = ABSENT


@dataclass(frozen=True)
class Changes:
    """The change of a metric from side A to side B, and the parts it comes from.

    The first division is the one with the part that stands out most.
    """

    metric: str = ABSENT
    change: float | None = None
    a: ChangedSide = ABSENT
    b: ChangedSide = ABSENT
    divisions: tuple[ChangeDivision, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per division and part."""
        pandas = extra("pandas", "pandas")
        return pandas.DataFrame(
            [_row(d, part) for d in self.divisions or () for part in d.parts or ()]
        )


def _row(division: ChangeDivision, part: ChangedPart) -> dict[str, Any]:
    return {"by": division.by, "key": division.key} | vars(part)
