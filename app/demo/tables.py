"""Metrics as tables for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from app.query.classification import ClassificationBucket, ConfusionMatrix
from app.query.versions import Version
from app.query.window import Window
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class Judged:
    """A model in a window of `n` truths and in the one before: accuracy, or a regressor's MAE."""

    name: ModelName
    kind: Kind
    n: int
    before: float | None
    since: float | None


def comparison_table(models: Sequence[Judged], since: Window) -> Table:
    """One row per model."""
    hours = since.length.total_seconds() / 3600
    table = _table(f"Since {since.start:%F %H:%M} UTC, and in the {hours:g} hours before")
    table.add_column("model", style="bold")
    table.add_column("metric")
    for heading in ("before", "since", "truths since"):
        table.add_column(heading, justify="right")
    for model in models:
        metric, digits = ("MAE", 1) if model.kind is Kind.REGRESSION else ("accuracy", 3)
        numbers = (_number(model.before, digits), _number(model.since, digits), f"{model.n:,}")
        table.add_row(model.name.name, metric, *numbers)
    return table


def accuracy_table(buckets: Sequence[ClassificationBucket], versions: Sequence[Version]) -> Table:
    """Accuracy and F1 as fractions of 1, over all versions and for each."""
    table = _table("Digits: accuracy per four hours")
    table.add_column("from")
    table.add_column("to")
    by_version = [f"{version.name} accuracy" for version in versions]
    for heading in ("truths", "accuracy", "F1", *by_version):
        table.add_column(heading, justify="right")
    for bucket, *headlines in _rows(buckets, versions):
        measures = (bucket.accuracy, bucket.f1, *headlines)
        table.add_row(*_when(bucket), *(_number(measure, 3) for measure in measures))
    return table


def confusion_table(matrix: ConfusionMatrix) -> Table:
    """Numbers of truths: a row per truth, a column per prediction."""
    table = _table(
        "Digits since then: confusion matrix, a row per truth and a column per prediction"
    )
    table.add_column("truth", style="bold")
    for category in matrix.categories:
        table.add_column(category, justify="right", min_width=4)
    for place, (category, counts) in enumerate(zip(matrix.categories, matrix.values, strict=True)):
        table.add_row(category, *_confusions(counts, place))
    return table


def _rows(
    buckets: Sequence[ClassificationBucket], versions: Sequence[Version]
) -> Iterator[tuple[Any, ...]]:
    """Each bucket, with the headline metric of each version in it."""
    yield from zip(buckets, *(version.headlines for version in versions), strict=True)


def _confusions(counts: Sequence[int], diagonal: int) -> Iterator[str]:
    for place, count in enumerate(counts):
        if place == diagonal:
            yield f"[bold green]{count}[/]"
        else:
            yield str(count) if count else "[dim]·[/]"


def _table(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", title_style="bold")


def _when(bucket: ClassificationBucket) -> tuple[str, str, str]:
    return f"{bucket.start:%a %H:%M}", f"{bucket.end:%a %H:%M}", f"{bucket.n:,}"


def _number(measure: float | None, digits: int) -> str:
    return "-" if measure is None else f"{measure:.{digits}f}"
