"""Arrays as classes or values: how Seldon's metrics server interprets a model's answers.

Each interpretation has the name of the vendor's class.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from app.errors import InvalidInput
from app.ingest.fields import (
    LEAST_FRACTION,
    MAX_MAGNITUDE,
    MAX_NAME_LENGTH,
    MOST_FRACTION,
    Fraction,
    number_text,
    text_problem,
)

Scalar = bool | int | float | str | None
Read = TypeVar("Read")
Row = TypeVar("Row")
PREFIX = "CLASS_"
# numpy prints other numbers with an exponent.
_PLACE = re.compile(r"0|[1-9][0-9]{0,8}")
_ONE_VECTOR = "truth is one vector of several values; labels of several rows are like [[2], [0]]"
SMALLEST_IN_DIGITS, LARGEST_IN_DIGITS = 1e-4, 1e8


class MetricKind(StrEnum):
    """How answers are interpreted and counted. Regression, our addition, counts nothing."""

    ONE_HOT = "MulticlassOneHot"
    NUMERIC = "MultiClassNumeric"
    BINARY = "BinaryMetrics"
    REGRESSION = "Regression"


@dataclass(frozen=True, slots=True)
class Answer:
    """An array as received: a list of rows, or, if `flat`, of scalars.

    Scalars are one vector, unless they are `labels` of so many rows.
    """

    rows: Sequence[Sequence[Scalar]]
    flat: bool
    labels: bool = False

    def kind(self) -> MetricKind:
        """How an answer of this shape is interpreted if nothing is configured."""
        scalars = self.flat and not self.labels
        vector = len(self.rows[0]) > 1 or (scalars and len(self.rows) > 1)
        return MetricKind.ONE_HOT if vector else MetricKind.NUMERIC


@dataclass(frozen=True, slots=True)
class Class:
    """A class: our name of it, and how the vendor's server prints it."""

    name: str
    printed: str
    confidence: Fraction | None = None


def classes(kind: MetricKind, answer: Answer) -> list[Class | InvalidInput]:
    """The class of each row of an answer; an invalid row is replaced by its error.

    Raises:
        InvalidInput: the answer is not of this kind.
    """
    if kind is MetricKind.ONE_HOT:
        return _each(_most_probable, _vectors(answer))
    values = _single_values(kind, answer)
    if kind is MetricKind.BINARY:
        return _each(_truncated, values)
    return _each(lambda value: _printed(value, flat=answer.flat), values)


def classes_of_both(
    answer: Answer, truth: Answer, configured: MetricKind | None
) -> tuple[list[Class | InvalidInput], list[Class | InvalidInput]]:
    """The classes of an answer and of its truth, each as `classes` interprets it.

    If no kind is `configured`, each is interpreted by its own shape, as if it came alone: the class
    of a vector is the position of its maximum, and a label next to a vector is such a position.

    Raises:
        InvalidInput: one is not of its kind, or they can't be about the same rows and classes.
    """
    kinds = configured or answer.kind(), configured or truth.kind()
    predicted, actual = classes(kinds[0], answer), classes(kinds[1], truth)
    vectors = [kind is MetricKind.ONE_HOT for kind in kinds]
    if vectors[1] and truth.flat and len(predicted) > 1:
        raise InvalidInput(_ONE_VECTOR)
    if all(vectors):
        _check_lengths(answer, truth)
    elif any(vectors):
        length = _length(answer if vectors[0] else truth)
        predicted, actual = _as_places(predicted, length), _as_places(actual, length)
    return predicted, actual


def _check_lengths(answer: Answer, truth: Answer) -> None:
    if (truth_length := _length(truth)) != (length := _length(answer)):
        raise InvalidInput(
            f"response has {length} values per row, and truth {truth_length}; truth must have as"
            " many, or be the position of one"
        )


def check_truth(truth: Answer, configured: MetricKind | None) -> None:
    """Reject a truth that would be interpreted as a wrong class, whatever the answer is.

    Raises:
        InvalidInput: a vector of one value, or labels of several rows in a list that is a vector.
    """
    if configured is MetricKind.ONE_HOT and _length(truth) == 1:
        raise InvalidInput(f"{configured} expects a vector of several values as truth, not of one")
    if configured is None and truth.flat and not truth.labels and len(truth.rows) > 1:
        numbers = [row[0] for row in truth.rows if isinstance(row[0], int | float)]
        if not all(0 <= number <= 1 for number in numbers):
            raise InvalidInput(_ONE_VECTOR)


def values(answer: Answer) -> list[float | InvalidInput]:
    """The value of each row of a regressor's answer; an invalid row is replaced by its error.

    Raises:
        InvalidInput: the answer is not of this kind.
    """
    kind = MetricKind.REGRESSION
    return _each(lambda value: float(_number(kind, value)), _single_values(kind, answer))


def _each(read: Callable[[Row], Read], rows: Sequence[Row]) -> list[Read | InvalidInput]:
    results: list[Read | InvalidInput] = []
    for row in rows:
        try:
            results.append(read(row))
        except InvalidInput as error:
            results.append(error.with_traceback(None))  # there may be a hundred thousand
    return results


def _vectors(answer: Answer) -> Sequence[Sequence[Scalar]]:
    return [[row[0] for row in answer.rows]] if answer.flat else answer.rows


def _length(answer: Answer) -> int:
    return len(_vectors(answer)[0])


def _as_places(classes: Sequence[Class | InvalidInput], length: int) -> list[Class | InvalidInput]:
    """Classes next to vectors of this length: all are positions in them."""
    return [c if isinstance(c, InvalidInput) else _as_place(c, length) for c in classes]


def _as_place(class_: Class, length: int) -> Class | InvalidInput:
    place = class_.name.removeprefix(PREFIX)
    if not (_PLACE.fullmatch(place) and int(place) < length):
        return InvalidInput(f"label {place[:40]!r} is no position in a vector of {length} values")
    return Class(class_.name, class_.name, class_.confidence)


def _single_values(kind: MetricKind, answer: Answer) -> list[Scalar]:
    if any(len(row) != 1 for row in answer.rows):
        raise InvalidInput(f"{kind} expects one value per row, not a vector")
    return [row[0] for row in answer.rows]


def _most_probable(vector: Sequence[Scalar]) -> Class:
    """The first of the largest values."""
    numbers = [_number(MetricKind.ONE_HOT, value) for value in vector]
    place = max(range(len(numbers)), key=numbers.__getitem__)
    confidence = float(numbers[place])
    name = f"{PREFIX}{place}"
    probable = LEAST_FRACTION <= confidence <= MOST_FRACTION
    return Class(name, name, confidence if probable else None)


def _truncated(value: Scalar) -> Class:
    name = f"{PREFIX}{int(_number(MetricKind.BINARY, value))}"
    return Class(name, name)


def _printed(value: Scalar, *, flat: bool) -> Class:
    """A label as numpy prints it: in a row of its own it is an array of one."""
    if isinstance(value, str):
        text = _short(value)
        inner = f"'{value}'"
    else:
        number = _number(MetricKind.NUMERIC, value)
        text = number_text(number)
        inner = _in_an_array(value) if isinstance(value, float) else str(value)
    return Class(f"{PREFIX}{text}", f"{PREFIX}{value}" if flat else f"{PREFIX}[{inner}]")


def _short(label: str) -> str:
    """The label, if it can be stored.

    Raises:
        InvalidInput: it can't.
    """
    if len(label) > (longest := MAX_NAME_LENGTH - len(PREFIX)):
        raise InvalidInput(f"a label must have at most {longest} characters")
    if problem := text_problem(label):
        raise InvalidInput(f"a label {problem}")
    return label


def _in_an_array(number: float) -> str:
    """A number as numpy prints it in an array: at most eight decimals, no trailing zeros."""
    if number and not SMALLEST_IN_DIGITS <= abs(number) < LARGEST_IN_DIGITS:
        mantissa, exponent = f"{number:.8e}".split("e")
        return f"{mantissa.rstrip('0')}e{exponent}"
    return f"{number:.8f}".rstrip("0")


def _number(kind: MetricKind, value: Scalar) -> int | float:
    """The value, if it is a number; NaN and infinity are not.

    Raises:
        InvalidInput: it isn't.
    """
    if value is None:
        raise InvalidInput(f"{kind} expects numbers, not null")
    if isinstance(value, str):
        raise InvalidInput(f"{kind} expects numbers, not the text {value[:40]!r}")
    if not -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
        raise InvalidInput(f"{kind} expects finite numbers of a magnitude up to {MAX_MAGNITUDE}")
    return value
