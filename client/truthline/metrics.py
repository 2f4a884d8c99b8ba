"""How good a model was, bucket by bucket, and what the answer rests on."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from truthline.extras import extra
from truthline.wire import ABSENT, End, Start, to_time

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Subject:
    """What an answer is about: a model by its full name, or a part of it."""

    model: str
    namespace: str = ""
    pipeline: str = ""
    deployment: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        name = " / ".join(part for part in (self.namespace, self.pipeline, self.model) if part)
        part = {"deployment": self.deployment, "version": self.version}
        return name + "".join(f", {what} {which}" for what, which in part.items() if which)


@dataclass(frozen=True)
class Snapped:
    """An edge that was moved, for the rows that could tell its sides apart are gone.

    `subject` says for which numbers: `outcome` those with truths, `prediction` counts and means,
    `score` and `latency` quantiles. None if the server is older and doesn't say.
    """

    asked: datetime = ABSENT
    answered: datetime = ABSENT
    subject: str | None = None


@dataclass(frozen=True)
class Freshness:
    """All that was stored by `as_of` is counted.

    What was received since `clean_until` was counted row by row; None while no level is filled.
    """

    as_of: datetime = ABSENT
    clean_until: datetime | None = None


@dataclass(frozen=True)
class Bucket:
    """A part of the window, `[start, end)`.

    `n` counts the truths, `predictions` the requests that were answered, and `labelled_share` is
    their ratio, None without predictions.
    """

    start: Start = ABSENT
    end: End = ABSENT
    n: int = ABSENT
    predictions: int = ABSENT
    labelled_share: float | None = None


@dataclass(frozen=True)
class ClassMetrics:
    """One class against all others; None where a denominator is zero.

    `support` is how often it is the truth.
    """

    label: str = ABSENT
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int = ABSENT


@dataclass(frozen=True)
class ClassificationBucket(Bucket):
    """How good a classifier was in a bucket, in fractions of 1; None where it has no truth.

    `confusion_matrix` has a row per true class and a column per predicted one, along `categories`.
    """

    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    specificity: float | None = None
    f1: float | None = None
    classes: tuple[ClassMetrics, ...] = ABSENT
    categories: tuple[str, ...] = ABSENT
    confusion_matrix: tuple[tuple[int, ...], ...] = ABSENT


@dataclass(frozen=True)
class RegressionBucket(Bucket):
    """How good a regressor was in a bucket; error is predicted minus actual.

    Errors are in the model's own unit, `mean_squared_error` in its square, `r2` and
    `mean_absolute_percentage_error` in fractions of 1; None where there is no truth.
    """

    mean_absolute_error: float | None = None
    mean_squared_error: float | None = None
    root_mean_squared_error: float | None = None
    mean_error: float | None = None
    r2: float | None = None
    mean_absolute_percentage_error: float | None = None


@dataclass(frozen=True)
class ConfusionMatrix:
    """How often each class was predicted as each, in `[start, end)`.

    `values` has a row per true class and a column per predicted one, along `categories`.
    """

    subject: Subject
    time_zone: str
    start: datetime
    end: datetime
    categories: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame of counts: true classes by row, predicted ones by column."""
        pandas = extra("pandas", "pandas")
        index = pandas.Index(self.categories, name="actual")
        columns = pandas.Index(self.categories, name="predicted")
        return pandas.DataFrame(self.values, index=index, columns=columns)

    def plot(self) -> "Figure":
        """A figure of counts, shaded by each true class's shares."""
        from truthline.plots.confusion import heat_map  # noqa: PLC0415 - needs plotly

        return heat_map(self)


@dataclass(frozen=True)
class Metrics:
    """Buckets of a window, oldest first, and what they rest on.

    Unless it is `exact`, retention has dropped rows that the question needs: `snapped` tells which
    edges were moved.
    """

    subject: Subject
    time_zone: str
    exact: bool = ABSENT
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness = ABSENT


@dataclass(frozen=True)
class ClassificationMetrics(Metrics):
    """Of a classifier; `average` says how its classes were averaged."""

    average: str = ABSENT
    buckets: tuple[ClassificationBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row per bucket, by its start in the time zone asked for."""
        return _table(self.buckets, self.time_zone, but={"classes", "categories"})

    def plot(self, metrics: Iterable[str] | None = None) -> "Figure":
        """A figure of the metrics over time, all of them or those named, above counts of truths."""
        from truthline.plots.buckets import classification  # noqa: PLC0415 - needs plotly

        return classification(self, metrics)

    def confusion_matrix(self, bucket: int | datetime | str) -> ConfusionMatrix:
        """That of one bucket, named by its place or by an instant within it.

        Raises:
            LookupError: there is no such bucket.
        """
        found = _bucket_at(self.buckets, bucket)
        return ConfusionMatrix(
            self.subject,
            self.time_zone,
            found.start,
            found.end,
            found.categories,
            found.confusion_matrix,
        )


@dataclass(frozen=True)
class RegressionMetrics(Metrics):
    """Of a regressor."""

    buckets: tuple[RegressionBucket, ...] = ABSENT

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row per bucket, by its start in the time zone asked for."""
        return _table(self.buckets, self.time_zone)

    def plot(self, unit: str = "") -> "Figure":
        """A figure of MAE, RMSE and MSE over time, above counts of truths.

        Args:
            unit: that of the model's values, to be shown, as in `plot("€")`.
        """
        from truthline.plots.buckets import regression  # noqa: PLC0415 - needs plotly

        return regression(self, unit)


def _bucket_at(
    buckets: tuple[ClassificationBucket, ...], wanted: int | datetime | str
) -> ClassificationBucket:
    if isinstance(wanted, int):
        return buckets[wanted]
    instant = to_time(wanted) if isinstance(wanted, str) else wanted
    for bucket in buckets:
        if bucket.start <= instant < bucket.end:
            return bucket
    raise LookupError(f"no bucket holds {wanted}")


def _table(buckets: Iterable[Bucket], zone: str, but: Iterable[str] = ()) -> "pd.DataFrame":
    """Numbers by bucket; what is None becomes NaN."""
    pandas = extra("pandas", "pandas")
    rows = [_numbers(bucket, {"confusion_matrix", *but}) for bucket in buckets]
    for row in rows:
        row["start"], row["end"] = (row[end].astimezone(ZoneInfo(zone)) for end in ("start", "end"))
    table = pandas.DataFrame(rows).set_index("start")
    floats = [name for name in table.columns if name not in ("end", "n", "predictions")]
    return table.astype(dict.fromkeys(floats, float))


def _numbers(bucket: Bucket, but: set[str]) -> dict[str, Any]:
    return {
        field.name: getattr(bucket, field.name) for field in fields(bucket) if field.name not in but
    }
