"""Metrics of a model per bucket, and whether they are exact."""

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
    """The model of a result, by its full name, optionally one deployment or version.

    `tags` are those of its predictions, like `country:FR`.
    """

    model: str
    namespace: str = ""
    pipeline: str = ""
    deployment: str | None = None
    version: str | None = None
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = " / ".join(part for part in (self.namespace, self.pipeline, self.model) if part)
        part = {"deployment": self.deployment, "version": self.version}
        named = [f"{what} {which}" for what, which in part.items() if which]
        return ", ".join([name, *named, *self.tags])


@dataclass(frozen=True)
class Snapped:
    """An edge that was moved, because the rows that divide its cell were dropped.

    `subject` names the affected numbers: `outcome` metrics with truths, `prediction` counts and
    means, `score` and `latency` quantiles. None with an older server.
    """

    asked: datetime = ABSENT
    answered: datetime = ABSENT
    subject: str | None = None


@dataclass(frozen=True)
class Freshness:
    """Everything stored by `as_of` is counted.

    Rows received after `clean_until` were counted individually; None until a level is filled.
    """

    as_of: datetime = ABSENT
    clean_until: datetime | None = None


@dataclass(frozen=True)
class Interval:
    """The bounds of a confidence interval."""

    low: float = ABSENT
    high: float = ABSENT


@dataclass(frozen=True)
class ClassIntervals:
    """Confidence intervals of the metrics of a class; None if undefined."""

    precision: Interval | None = None
    recall: Interval | None = None
    f1: Interval | None = None


@dataclass(frozen=True)
class ClassificationIntervals:
    """Confidence intervals of the metrics of a classifier; None if undefined."""

    accuracy: Interval | None = None
    precision: Interval | None = None
    recall: Interval | None = None
    specificity: Interval | None = None
    f1: Interval | None = None
    matthews_correlation: Interval | None = None


@dataclass(frozen=True)
class RegressionIntervals:
    """Confidence intervals of the metrics of a regressor; None if undefined."""

    mean_absolute_error: Interval | None = None
    mean_squared_error: Interval | None = None
    root_mean_squared_error: Interval | None = None
    mean_error: Interval | None = None
    r2: Interval | None = None
    mean_absolute_percentage_error: Interval | None = None


@dataclass(frozen=True)
class Bucket:
    """A part of the window, `[start, end)`.

    `n` is the number of truths, `predictions` that of successful requests, and `labelled_share`
    their ratio, None without predictions.
    """

    start: Start = ABSENT
    end: End = ABSENT
    n: int = ABSENT
    predictions: int = ABSENT
    labelled_share: float | None = None


@dataclass(frozen=True)
class ClassMetrics:
    """One class against all others; None if a denominator is zero.

    `support` is the number of truths of this class. `intervals` is None without a confidence.
    """

    label: str = ABSENT
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int = ABSENT
    intervals: ClassIntervals | None = None


@dataclass(frozen=True)
class ClassificationBucket(Bucket):
    """Metrics of a classifier in a bucket, as fractions of 1; None without truths.

    `confusion_matrix` has a row per true class and a column per predicted one, along `categories`.
    `intervals` is None without a confidence.
    """

    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    specificity: float | None = None
    f1: float | None = None
    matthews_correlation: float | None = None
    classes: tuple[ClassMetrics, ...] = ABSENT
    categories: tuple[str, ...] = ABSENT
    confusion_matrix: tuple[tuple[int, ...], ...] = ABSENT
    intervals: ClassificationIntervals | None = None


@dataclass(frozen=True)
class RegressionBucket(Bucket):
    """Metrics of a regressor in a bucket; error is predicted minus actual.

    Errors are in the model's own unit, `mean_squared_error` in its square, `r2` and
    `mean_absolute_percentage_error` in fractions of 1; None where there is no truth. `intervals` is
    None without a confidence.
    """

    mean_absolute_error: float | None = None
    mean_squared_error: float | None = None
    root_mean_squared_error: float | None = None
    mean_error: float | None = None
    r2: float | None = None
    mean_absolute_percentage_error: float | None = None
    intervals: RegressionIntervals | None = None


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
        """Return a DataFrame of counts: actual classes as rows, predicted ones as columns."""
        pandas = extra("pandas", "pandas")
        index = pandas.Index(self.categories, name="actual")
        columns = pandas.Index(self.categories, name="predicted")
        return pandas.DataFrame(self.values, index=index, columns=columns)

    def plot(self) -> "Figure":
        """Return a figure of counts, shaded by the shares of each actual class."""
        from truthline.plots.confusion import heat_map  # noqa: PLC0415 - needs plotly

        return heat_map(self)


@dataclass(frozen=True)
class Metrics:
    """Buckets of a window, oldest first, and whether they are exact.

    If `exact` is False, retention has dropped rows that the query needs, and `snapped` lists the
    edges that were moved. `confidence` is that of intervals, None without any.
    """

    subject: Subject
    time_zone: str
    confidence: float | None = None
    exact: bool = ABSENT
    snapped: tuple[Snapped, ...] = ABSENT
    freshness: Freshness = ABSENT

    def groups_to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame of the groups, indexed by value and start; without `group_by` empty.

        The value of predictions without the tag is missing, and the remainder is not included.
        """
        pandas = extra("pandas", "pandas")
        groups: Iterable[Any] = getattr(self, "groups", None) or ()
        tables = [
            table_of(group.buckets, self.time_zone, but={"classes", "categories"})
            .assign(value=group.value)
            .set_index("value", append=True)
            .swaplevel()
            for group in groups
        ]
        return pandas.concat(tables) if tables else pandas.DataFrame()


@dataclass(frozen=True)
class Group:
    """Predictions with one value of a tag: their numbers in the window, and in each bucket.

    `value` is None for predictions without the tag; `n` and `predictions` are as in `Bucket`.
    """

    value: str | None = None
    n: int = ABSENT
    predictions: int = ABSENT


@dataclass(frozen=True)
class Remainder:
    """Predictions with the other values of a tag; `values` is how many they are."""

    values: int = ABSENT
    n: int = ABSENT
    predictions: int = ABSENT


@dataclass(frozen=True)
class ClassificationGroup(Group):
    """Predictions of a classifier with one value of a tag."""

    buckets: tuple[ClassificationBucket, ...] = ABSENT


@dataclass(frozen=True)
class ClassificationRemainder(Remainder):
    """Predictions of a classifier with the other values of a tag."""

    buckets: tuple[ClassificationBucket, ...] = ABSENT


@dataclass(frozen=True)
class RegressionGroup(Group):
    """Predictions of a regressor with one value of a tag."""

    buckets: tuple[RegressionBucket, ...] = ABSENT


@dataclass(frozen=True)
class RegressionRemainder(Remainder):
    """Predictions of a regressor with the other values of a tag."""

    buckets: tuple[RegressionBucket, ...] = ABSENT


@dataclass(frozen=True)
class ClassificationMetrics(Metrics):
    """Metrics of a classifier; `average` is the average over its classes.

    With `group_by`, `groups` has the largest values of the tag, and `remainder` the others, None if
    there are none.
    """

    average: str = ABSENT
    buckets: tuple[ClassificationBucket, ...] = ABSENT
    groups: tuple[ClassificationGroup, ...] | None = None
    remainder: ClassificationRemainder | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, indexed by start in the requested zone.

        Bounds of intervals are in columns such as `accuracy_low` and `accuracy_high`.
        """
        return table_of(self.buckets, self.time_zone, but={"classes", "categories"})

    def plot(self, metrics: Iterable[str] | None = None) -> "Figure":
        """Return a figure of all or the named metrics over time, above the numbers of truths."""
        from truthline.plots.buckets import classification  # noqa: PLC0415 - needs plotly

        return classification(self, metrics)

    def confusion_matrix(self, bucket: int | datetime | str) -> ConfusionMatrix:
        """Return the matrix of one bucket, given by its index or by an instant within it.

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
    """Metrics of a regressor; `groups` and `remainder` as in `ClassificationMetrics`."""

    buckets: tuple[RegressionBucket, ...] = ABSENT
    groups: tuple[RegressionGroup, ...] | None = None
    remainder: RegressionRemainder | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with a row per bucket, as for a classifier."""
        return table_of(self.buckets, self.time_zone)

    def plot(self, unit: str = "") -> "Figure":
        """Return a figure of MAE, RMSE and MSE over time, above the numbers of truths.

        Args:
            unit: unit of the model's values to show, as in `plot("€")`.
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
    raise LookupError(f"no bucket contains {wanted}")


def table_of(buckets: Iterable[Any], zone: str, but: Iterable[str] = ()) -> "pd.DataFrame":
    """Return a table of the numbers per bucket; None becomes NaN."""
    pandas = extra("pandas", "pandas")
    rows = [
        _numbers(bucket, {"confusion_matrix", "intervals", *but}) | _bounds(bucket)
        for bucket in buckets
    ]
    for row in rows:
        row["start"], row["end"] = (row[end].astimezone(ZoneInfo(zone)) for end in ("start", "end"))
    table = pandas.DataFrame(rows).set_index("start")
    floats = [name for name in table.columns if name not in ("end", "n", "predictions")]
    return table.astype(dict.fromkeys(floats, float))


def _numbers(bucket: Any, but: set[str]) -> dict[str, Any]:
    return {
        field.name: getattr(bucket, field.name) for field in fields(bucket) if field.name not in but
    }


def _bounds(bucket: Any) -> dict[str, float | None]:
    """Return the bounds of the intervals of a bucket by their column; none without a confidence."""
    intervals = getattr(bucket, "intervals", None)
    if intervals is None:
        return {}
    return {
        f"{field.name}_{bound}": getattr(getattr(intervals, field.name), bound, None)
        for field in fields(intervals)
        for bound in ("low", "high")
    }
