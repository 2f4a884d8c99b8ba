"""What a figure needs of an answer. Answers import figures, and figures import no answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class Span(Protocol):
    """A half-open span of time."""

    @property
    def start(self) -> datetime:
        """First instant."""

    @property
    def end(self) -> datetime:
        """First instant after it."""


class Bucket(Span, Protocol):
    """A span of time, its truths, and the predictions that they are of."""

    @property
    def n(self) -> int:
        """Truths."""

    @property
    def predictions(self) -> int:
        """Successful requests."""


class Metrics(Protocol):
    """Buckets of a window, oldest first, and what they are about."""

    @property
    def subject(self) -> object:
        """Has a name for people as its text."""

    @property
    def time_zone(self) -> str:
        """Whose clocks are shown."""

    @property
    def exact(self) -> bool:
        """Whether no edge was moved."""

    @property
    def buckets(self) -> Sequence[Bucket]:
        """The buckets; each has its metrics as further fields."""


class AveragedMetrics(Metrics, Protocol):
    """Metrics of a classifier."""

    @property
    def average(self) -> str:
        """How its classes were averaged."""


class Matrix(Span, Protocol):
    """A confusion matrix of one bucket."""

    @property
    def subject(self) -> object:
        """Has a name for people as its text."""

    @property
    def time_zone(self) -> str:
        """Whose clocks are shown."""

    @property
    def categories(self) -> Sequence[str]:
        """Names of the classes."""

    @property
    def values(self) -> Sequence[Sequence[int]]:
        """A row per true class, a column per predicted one."""


class Requests(Span, Protocol):
    """Requests of a span of time."""

    @property
    def predictions(self) -> int:
        """Successful requests."""

    @property
    def failures(self) -> int:
        """Failed requests."""

    @property
    def latency_ms(self) -> float | None:
        """Mean latency."""


class Quartiles(Span, Protocol):
    """How the values of a span of time are spread."""

    @property
    def minimum(self) -> float:
        """The least value."""

    @property
    def quartile1(self) -> float:
        """First quartile."""

    @property
    def median(self) -> float:
        """Second quartile."""

    @property
    def quartile3(self) -> float:
        """Third quartile."""

    @property
    def maximum(self) -> float:
        """The greatest value."""


class Health(Protocol):
    """The health of a deployment over time."""

    @property
    def deployment(self) -> str:
        """Its name."""

    @property
    def total_predictions(self) -> int | None:
        """Successful requests in all."""

    @property
    def mean_latency_ms(self) -> float | None:
        """Mean latency of all."""

    @property
    def buckets(self) -> Sequence[Requests]:
        """Oldest first."""

    @property
    def spreads(self) -> Sequence[Quartiles] | None:
        """Of buckets with values; None of a model that predicts none."""


class Compared(Protocol):
    """A number of a window and of the one before."""

    @property
    def now(self) -> float | None:
        """Of the window."""

    @property
    def previous(self) -> float | None:
        """Of the window before."""

    @property
    def change(self) -> float | None:
        """The ratio by which it grew."""


class ModelStats(Protocol):
    """A model, whose text is its full name."""

    @property
    def inferences(self) -> Compared | None:
        """Successful requests."""

    @property
    def error_rate(self) -> Compared | None:
        """Errors per request."""

    @property
    def latency_seconds(self) -> Compared | None:
        """Mean latency."""


class Totals(Protocol):
    """All models together."""

    @property
    def inferences(self) -> Compared | None:
        """Successful requests."""


class InferenceStats(Span, Protocol):
    """Models in a window and in the one before."""

    @property
    def totals(self) -> Totals | None:
        """All models together."""

    @property
    def models(self) -> Sequence[ModelStats]:
        """The busiest first."""


class CountedModel(Protocol):
    """A model, whose text is its full name, and its requests."""

    @property
    def inferences(self) -> int | None:
        """Successful requests."""

    @property
    def errors(self) -> int | None:
        """Failed requests."""


class Models(Span, Protocol):
    """Models and their requests in a window."""

    @property
    def models(self) -> Sequence[CountedModel]:
        """By name."""
