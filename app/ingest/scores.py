"""Scores of a classifier: a probability per class, in little memory."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

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
        self.best = self.labels.index(max(scores, key=scores.__getitem__))
        self.numbers = array("d", (min(max(0.0, score), 1.0) for score in scores.values()))

    @classmethod
    def of(cls, scores: Mapping[str, float]) -> "Scores":
        """These scores, converted unless they are of this class already."""
        return scores if isinstance(scores, cls) else cls(scores)

    @property
    def top(self) -> Top:
        """The prediction that the scores make."""
        return Top(self.labels[self.best], self.numbers[self.best])

    def at(self, places: Sequence[int]) -> list[float | None]:
        """The scores at the places of their classes, from 1; None between them.

        `places` are those of `labels`, in their order.
        """
        row: list[float | None] = [None] * max(places)
        for place, number in zip(places, self.numbers, strict=True):
            row[place - 1] = number
        return row

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
