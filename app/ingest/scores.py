"""Scores of a classifier: a probability per class, in little memory."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from app.ingest.fields import text_problem

# Scores are arrays over all classes of their model. If it has more classes than this, only the
# predicted one and its confidence are kept.
MAX_CLASSES = 10_000


class Top(NamedTuple):
    """The class with the largest score, the first of equals, and this score within [0, 1]."""

    label: str
    confidence: float


class Scores(Mapping[str, float]):
    """Scores by class, each within [0, 1], in the order in which they were sent.

    The rows of a batch repeat the classes of their model: they share one tuple of names, and their
    numbers are doubles instead of objects.
    """

    __slots__ = ("best", "labels", "numbers")

    def __init__(self, scores: Mapping[str, float]) -> None:
        """Copy scores; those that rounding took outside [0, 1] become 0 or 1."""
        self.labels = _shared(tuple(scores))
        numbers = [score + 0.0 for score in scores.values()]  # no -0.0
        high = max(numbers)
        self.best = numbers.index(high)
        if high > 1 or min(numbers) < 0:
            numbers = [min(max(0.0, number), 1.0) for number in numbers]
        self.numbers = array("d", numbers)

    @classmethod
    def of(cls, scores: Mapping[str, float]) -> "Scores":
        """These scores, converted unless they are of this class already."""
        return scores if type(scores) is cls else cls(scores)

    @property
    def top(self) -> Top:
        """The prediction that the scores make."""
        return Top(self.labels[self.best], self.numbers[self.best])

    def __getitem__(self, label: str) -> float:
        """The score of a class."""
        try:
            return self.numbers[self.labels.index(label)]
        except ValueError:
            raise KeyError(label) from None

    def __iter__(self) -> Iterator[str]:
        """The classes."""
        return iter(self.labels)

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.labels)


@lru_cache(maxsize=1000)
def _shared(labels: tuple[str, ...]) -> tuple[str, ...]:
    """One of all equal tuples."""
    return labels


# Scores in the order of their model's places, from those in the order in which they were sent.
Layout = Callable[[Sequence[float]], Sequence[float | None]]


def layout(places: Sequence[int]) -> Layout:
    """Puts scores at the places of their classes, which count from 1; None between them."""
    last = max(places)
    if len(places) == last > 1:
        return itemgetter(*sorted(range(last), key=places.__getitem__))

    def spread(numbers: Sequence[float]) -> Sequence[float | None]:
        row: list[float | None] = [None] * last
        for place, number in zip(places, numbers, strict=True):
            row[place - 1] = number
        return row

    return spread


def labels_problem(scores: Mapping[str, float]) -> str | None:
    """Why some of these classes can't be stored, or None."""
    return _problem(scores.labels if type(scores) is Scores else tuple(scores))


@lru_cache(maxsize=1000)
def _problem(labels: tuple[str, ...]) -> str | None:
    """The rows of a batch have the same classes, so they are checked once."""
    return text_problem(*labels)
