"""Right or wrong: what Seldon's metrics server counts for a prediction beside its truth.

Each way of counting has the name of the vendor's class. A "true negative" is the vendor's: it is
counted for the class of a true positive, and of no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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

Scalar = bool | int | float | str
PREFIX = "CLASS_"
# numpy prints other numbers with an exponent.
SMALLEST_IN_DIGITS, LARGEST_IN_DIGITS = 1e-4, 1e8


class MetricKind(StrEnum):
    """How answers are read and counted. The last is ours: a value is neither right nor wrong."""

    ONE_HOT = "MulticlassOneHot"
    NUMERIC = "MultiClassNumeric"
    BINARY = "BinaryMetrics"
    REGRESSION = "Regression"


@dataclass(frozen=True, slots=True)
class Answer:
    """An array as it came: a list of rows, or, if it is `flat`, of scalars."""

    rows: Sequence[Sequence[Scalar]]
    flat: bool

    def kind(self) -> MetricKind:
        """How an answer of this shape is read where nobody has said it."""
        vector = len(self.rows[0]) > 1 or (self.flat and len(self.rows) > 1)
        return MetricKind.ONE_HOT if vector else MetricKind.NUMERIC


@dataclass(frozen=True, slots=True)
class Class:
    """One class: its name here, and how the vendor's server prints it."""

    name: str
    printed: str
    confidence: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """One thing to count: a counter's name, and of which class, if of any."""

    name: str
    class_: str | None


def classes(kind: MetricKind, answer: Answer) -> list[Class]:
    """The class of each row of an answer.

    Raises:
        InvalidInput: the answer is not of this kind.
    """
    if kind is MetricKind.ONE_HOT:
        vectors = [[row[0] for row in answer.rows]] if answer.flat else answer.rows
        return [_most_probable(vector) for vector in vectors]
    values = _single_values(kind, answer)
    if kind is MetricKind.BINARY:
        return [_truncated(value) for value in values]
    return [_printed(value, flat=answer.flat) for value in values]


def values(answer: Answer) -> list[float]:
    """The value of each row of a regressor's answer.

    Raises:
        InvalidInput: the answer is not of this kind.
    """
    kind = MetricKind.REGRESSION
    return [float(_number(kind, value)) for value in _single_values(kind, answer)]


def counts(kind: MetricKind, predicted: Class, actual: Class) -> list[Count]:
    """What one prediction and its truth add to the counters, each by one."""
    right = predicted.name == actual.name
    if kind is MetricKind.BINARY:
        positive = actual.name != f"{PREFIX}0"
        name = f"{'true' if right else 'false'}_{'positive' if positive == right else 'negative'}"
        return [Count(f"seldon_metric_{name}", None)]
    if right:
        return [
            Count("seldon_metric_true_positive", actual.printed),
            Count("seldon_metric_true_negative", predicted.printed),
        ]
    return [
        Count("seldon_metric_false_negative", actual.printed),
        Count("seldon_metric_false_positive", predicted.printed),
    ]


def _single_values(kind: MetricKind, answer: Answer) -> list[Scalar]:
    if any(len(row) != 1 for row in answer.rows):
        raise InvalidInput(f"{kind} expects one value per row, not a vector")
    return [row[0] for row in answer.rows]


def _most_probable(vector: Sequence[Scalar]) -> Class:
    """The first of the greatest."""
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
    """A label as numpy prints it: within a row of its own it is an array of one."""
    if isinstance(value, str):
        text = _short(value)
        inner = f"'{value}'"
    else:
        number = _number(MetricKind.NUMERIC, value)
        text = number_text(number)
        inner = _in_an_array(value) if isinstance(value, float) else str(value)
    return Class(f"{PREFIX}{text}", f"{PREFIX}{value}" if flat else f"{PREFIX}[{inner}]")


def _short(label: str) -> str:
    """The label, if it can be kept.

    Raises:
        InvalidInput: it can't.
    """
    if len(label) > (longest := MAX_NAME_LENGTH - len(PREFIX)):
        raise InvalidInput(f"a label must have at most {longest} characters")
    if problem := text_problem(label):
        raise InvalidInput(f"a label {problem}")
    return label


def _in_an_array(number: float) -> str:
    """A number as numpy prints an array of it: eight decimals at most, no zeros at their end."""
    if number and not SMALLEST_IN_DIGITS <= abs(number) < LARGEST_IN_DIGITS:
        mantissa, exponent = f"{number:.8e}".split("e")
        return f"{mantissa.rstrip('0')}e{exponent}"
    return f"{number:.8f}".rstrip("0")


def _number(kind: MetricKind, value: Scalar) -> int | float:
    """The value, if it is a number; NaN and infinity are none.

    Raises:
        InvalidInput: it isn't.
    """
    if isinstance(value, str):
        raise InvalidInput(f"{kind} expects numbers, not the text {value[:40]!r}")
    if not -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
        raise InvalidInput(f"{kind} expects finite numbers of a magnitude up to {MAX_MAGNITUDE}")
    return value
