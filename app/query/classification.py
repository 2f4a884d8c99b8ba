"""Metrics of classifiers: accuracy, averages and confusion matrices, per bucket.

`sql/views/60_classification.sql` defines the metrics; this module queries and names them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from app.errors import TooLarge
from app.query.basis import (
    OF_TRUTHS,
    OF_TRUTHS_AND_PREDICTIONS,
    basis_of,
    columns_of,
    coverage_of,
    covered,
    pieces_of,
)
from app.query.intervals import NO_INTERVALS, ByPlace, Intervals, classification_intervals
from app.query.measures import CLASS, CLASSIFICATION
from app.query.parts import divided, parts_of
from app.query.question import Answer, Division, Part, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.window import EDGES
from app.store.database import Prepared
from app.store.registry import Kind, Registry


@dataclass(frozen=True, slots=True)
class Counts:
    """One class versus all others."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """`values[actual][predicted]` counts truths, ordered by `categories`. Empty without truths."""

    categories: list[str]
    values: list[list[int]]

    def cells(self) -> dict[tuple[str, str], int]:
        """The counts by actual and predicted category, in the order of the rows."""
        return {
            (actual, predicted): n
            for actual, row in zip(self.categories, self.values, strict=True)
            for predicted, n in zip(self.categories, row, strict=True)
        }

    def counts(self) -> list[Counts]:
        """Each category versus all others, in order."""
        total = sum(map(sum, self.values))
        predicted = [sum(column) for column in zip(*self.values, strict=True)]
        return [
            Counts(
                true_positive=row[index],
                false_positive=predicted[index] - row[index],
                false_negative=sum(row) - row[index],
                true_negative=total - sum(row) - predicted[index] + row[index],
            )
            for index, row in enumerate(self.values)
        ]


class Average(StrEnum):
    """How the metrics of the classes are averaged: see docs/metrics.md."""

    MACRO = "macro"
    MICRO = "micro"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class versus all others; None if a denominator is zero. `support` counts truths.

    `intervals` is set if a confidence was requested.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    intervals: Intervals | None = None


@dataclass(frozen=True, slots=True)
class ClassificationBucket:
    """Metrics are fractions of 1, and None if `n` is 0; `n` counts truths.

    `harmonic_f1` is the harmonic mean of the averaged precision and recall, `f1` the average of
    the F1 of the classes. `classes` contains those that occur in the bucket, in the matrix's order.
    `intervals` is set if a confidence was requested.
    """

    start: datetime
    end: datetime
    n: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    harmonic_f1: float | None
    matthews_correlation: float | None
    classes: list[ClassMetrics]
    matrix: ConfusionMatrix
    intervals: Intervals | None = None


def classification(
    conn: Connection,
    registry: Registry,
    question: Question[Scope],
    *,
    average: Average = Average.MACRO,
    confidence: float | None = None,
    with_predictions: bool = False,
    explained: bool = False,
    division: Division | None = None,
) -> Answer[ClassificationBucket]:
    """Metrics of one model in the buckets of a grid, as of now or as of an earlier moment.

    Shape: that of `classification_buckets`; `with_predictions` adds the coverage of each bucket,
           which the basis then includes. `explained` adds the pieces that were read, `division`
           the metrics of each part, without intervals.
    Cost:  three statements, and one each for `confidence`, `explained` and `division`; one of them
           over the cells of the window.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `settle`.
        TooLarge: as in `classification_buckets`.
    """
    counted = OF_TRUTHS_AND_PREDICTIONS if with_predictions else OF_TRUTHS
    settled = settle(conn, question, *counted, kind=Kind.CLASSIFICATION)
    rows = _rows(conn, settled, average, _COVERED if with_predictions else _METRICS)
    return Answer(
        _buckets(conn, registry, settled, rows, average, confidence),
        basis_of(conn, settled, *counted),
        coverage_of(rows) if with_predictions else (),
        pieces_of(conn, settled) if explained else None,
        _parts(conn, registry, settled, average, division) if division else None,
    )


def _parts(
    conn: Connection,
    registry: Registry,
    question: Question[Subject],
    average: Average,
    division: Division,
) -> list[Part[ClassificationBucket]]:
    def buckets_of(rows: Sequence[Row[Any]]) -> list[ClassificationBucket]:
        return [
            replace(bucket, start=row.asked_start, end=row.asked_end)
            for row, bucket in zip(
                rows, _buckets(conn, registry, question, rows, average, None), strict=True
            )
        ]

    classes = {"declared": question.subject.declared, "average": average}
    parts = parts_of(conn, question, division, _PARTS, classes, buckets_of)
    cells = sum(len(bucket.matrix.categories) ** 2 for part in parts for bucket in part.buckets)
    if cells > MAX_MATRIX_CELLS:
        raise TooLarge(f"the confusion matrices have {cells} cells; {FEWER}")
    return parts


def classification_buckets(
    conn: Connection,
    registry: Registry,
    question: Question[Subject],
    average: Average = Average.MACRO,
    confidence: float | None = None,
) -> list[ClassificationBucket]:
    """Metrics of a classifier whose series are known.

    Shape: one bucket per width, oldest first, clipped to the window; a single one without width.
           A matrix has the declared categories first, then the undeclared ones by name. With a
           `confidence`, metrics have intervals.
    Cost:  one statement over the cells of the window, and one for intervals; names of labels are
           cached.

    Raises:
        UnknownModel, WrongKind: as in `Subject.require`.
        TooLarge: the matrices have more than MAX_MATRIX_CELLS cells in total.
    """
    question.subject.require(Kind.CLASSIFICATION)
    rows = _rows(conn, question, average, _METRICS)
    return _buckets(conn, registry, question, rows, average, confidence)


def _rows(
    conn: Connection, question: Question[Subject], average: Average, statement: Prepared
) -> Sequence[Row[Any]]:
    classes = {"declared": question.subject.declared, "average": average.value}
    return statement.rows(conn, parameters(question) | classes)


def _buckets(
    conn: Connection,
    registry: Registry,
    question: Question[Subject],
    rows: Sequence[Row[Any]],
    average: Average,
    confidence: float | None,
) -> list[ClassificationBucket]:
    declared = question.subject.declared
    names = registry.label_names(conn, _ids(declared, rows))
    categories = _in_order(declared, names)
    _check_size(len(categories), sum(row.n > 0 for row in rows))
    intervals = NO_INTERVALS
    if confidence is not None:
        intervals = classification_intervals(conn, rows, len(categories), average, confidence)
    return [
        _bucket(row, categories, names, _Found(intervals, place, confidence is not None))
        for place, row in enumerate(rows, 1)
    ]


# Two hundred matrices of a hundred classes. A label per customer is not a class.
MAX_MATRIX_CELLS = 2_000_000
FEWER = "ask for fewer buckets"


def _check_size(classes: int, buckets: int) -> None:
    if classes * classes * buckets > MAX_MATRIX_CELLS:
        raise TooLarge(
            f"{buckets} confusion matrices of {classes} classes are more than {MAX_MATRIX_CELLS}"
            f" cells; {FEWER}"
        )


_CALL = f"""truthline_internal.classification_metrics(
        CAST(:series AS integer[]), {EDGES}, CAST(:declared AS integer[]), :average)"""
_OF_CELLS = ("predicted", "actual", "counts")
_OF_CLASSES = ("classes", "class_precision", "class_recall", "class_f1", "support")
_COLUMNS = columns_of("metrics", CLASSIFICATION, *_OF_CELLS, *_OF_CLASSES)
_METRICS = Prepared(f"SELECT {_COLUMNS} FROM {_CALL} AS metrics")
_COVERED = covered(_CALL, _COLUMNS)
_PARTS = divided("classification_metrics", ", CAST(:declared AS integer[]), :average")


def _ids(declared: Iterable[int], rows: Iterable[Row[Any]]) -> set[int]:
    return set(declared).union(*(row.predicted for row in rows), *(row.actual for row in rows))


def _in_order(declared: Sequence[int], names: Mapping[int, str]) -> list[int]:
    undeclared = sorted(names.keys() - set(declared), key=names.__getitem__)
    return [*declared, *undeclared]


@dataclass(frozen=True, slots=True)
class _Found:
    """The intervals of a bucket, if they were requested."""

    intervals: ByPlace
    place: int
    requested: bool

    def of(self, label: int | None) -> Intervals | None:
        """Those of a class, or of the whole bucket; each is None without truths."""
        if not self.requested:
            return None
        nothing: Intervals = dict.fromkeys(
            _WITH_INTERVAL if label is None else _CLASS_WITH_INTERVAL
        )
        return self.intervals.get((self.place, label), nothing)


_WITH_INTERVAL = [measure.name for measure in CLASSIFICATION.values() if measure.interval]
_CLASS_WITH_INTERVAL = [measure.name for measure in CLASS.values() if measure.interval]


def _bucket(
    row: Row[Any], categories: Sequence[int], names: Mapping[int, str], found: _Found
) -> ClassificationBucket:
    return ClassificationBucket(
        start=row.bucket_start,
        end=row.bucket_end,
        n=row.n,
        **{name: getattr(row, name) for name in CLASSIFICATION},
        classes=_classes(row, categories, names, found),
        matrix=_matrix(row, categories, names),
        intervals=found.of(None),
    )


def _classes(
    row: Row[Any], categories: Sequence[int], names: Mapping[int, str], found: _Found
) -> list[ClassMetrics]:
    index_of = {label: index for index, label in enumerate(row.classes)}
    metrics = (row.class_precision, row.class_recall, row.class_f1, row.support)
    by_class = list(zip(*metrics, strict=True))
    return [
        ClassMetrics(names[label], *by_class[index_of[label]], found.of(label))
        for label in categories
        if label in index_of
    ]


def _matrix(row: Row[Any], categories: Sequence[int], names: Mapping[int, str]) -> ConfusionMatrix:
    if not row.n:
        return ConfusionMatrix([], [])
    index_of = {label: index for index, label in enumerate(categories)}
    row_of = {label: [0] * len(categories) for label in categories}
    for predicted, actual, count in zip(row.predicted, row.actual, row.counts, strict=True):
        row_of[actual][index_of[predicted]] = count
    return ConfusionMatrix([names[label] for label in categories], list(row_of.values()))
