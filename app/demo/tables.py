"""Metrics as tables for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from app.query.classification import ClassificationBucket, ConfusionMatrix
from app.query.regression import RegressionBucket
from app.query.versions import Version

Bucket = ClassificationBucket | RegressionBucket


def accuracy_table(buckets: Sequence[ClassificationBucket], versions: Sequence[Version]) -> Table:
    """Accuracy and F1 as fractions of 1, over all versions and for each."""
    table = _metric_table("Digits: accuracy per half hour", ("accuracy", "F1"), versions)
    for bucket, *by_version in _rows(buckets, versions):
        measures = (bucket.accuracy, bucket.f1, *by_version)
        table.add_row(*_when(bucket), *(_number(measure, 3) for measure in measures))
    return table


def error_table(buckets: Sequence[RegressionBucket], versions: Sequence[Version]) -> Table:
    """Root mean squared and mean absolute error, over all versions; the first also for each."""
    table = _metric_table("Diabetes: error per hour", ("RMSE", "MAE"), versions)
    for bucket, *by_version in _rows(buckets, versions):
        measures = (bucket.root_mean_squared_error, bucket.mean_absolute_error, *by_version)
        table.add_row(*_when(bucket), *(_number(measure, 1) for measure in measures))
    return table


def confusion_table(matrix: ConfusionMatrix) -> Table:
    """Numbers of truths: a row per truth, a column per prediction."""
    table = _table("Digits: confusion matrix, a row per truth and a column per prediction")
    table.add_column("truth", style="bold")
    for category in matrix.categories:
        table.add_column(category, justify="right", min_width=4)
    for place, (category, counts) in enumerate(zip(matrix.categories, matrix.values, strict=True)):
        table.add_row(category, *_confusions(counts, place))
    return table


def _rows(buckets: Sequence[Bucket], versions: Sequence[Version]) -> Iterator[tuple[Any, ...]]:
    """Each bucket, with the headline metric of each version in it."""
    yield from zip(buckets, *(version.headlines for version in versions), strict=True)


def _confusions(counts: Sequence[int], diagonal: int) -> Iterator[str]:
    for place, count in enumerate(counts):
        if place == diagonal:
            yield f"[bold green]{count}[/]"
        else:
            yield str(count) if count else "[dim]·[/]"


def _metric_table(title: str, measures: Sequence[str], versions: Sequence[Version]) -> Table:
    table = _table(title)
    table.add_column("from")
    table.add_column("to")
    for heading in (
        "truths",
        *measures,
        *(f"{version.name} {measures[0]}" for version in versions),
    ):
        table.add_column(heading, justify="right")
    return table


def _table(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", title_style="bold")


def _when(bucket: Bucket) -> tuple[str, str, str]:
    return f"{bucket.start:%H:%M}", f"{bucket.end:%H:%M}", f"{bucket.n:,}"


def _number(measure: float | None, digits: int) -> str:
    return "-" if measure is None else f"{measure:.{digits}f}"
