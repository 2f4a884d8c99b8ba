"""A question and its answer, as values.

An endpoint, a page or the demo creates a `Question` once. `settle` (app/query/settle.py) looks up
its subject and moment, and all queries of that request use the settled question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from app.query.subjects import InSql
from app.query.window import Grid, Window, window_parameters

About_co = TypeVar("About_co", covariant=True)
Other = TypeVar("Other")
Known = TypeVar("Known", bound=InSql)
Bucket_co = TypeVar("Bucket_co", covariant=True)


class Counted(StrEnum):
    """The subjects of cells, each counted and dropped separately.

    Metrics with truths are computed from outcomes; volumes, means and inference stats from
    predictions; quantiles of confidence and values from scores, and those of latency from
    latencies; metrics of scores with truths from `SCORED` and `RANKED`, or
    `VERSUS` for a declared class of more than two.
    """

    OUTCOME = "outcome"
    PREDICTION = "prediction"
    SCORE = "score"
    LATENCY = "latency"
    SCORED = "scored"
    RANKED = "ranked"
    VERSUS = "versus"


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an answer reflects.

    `snapshot_at` is the database's clock when the snapshot was taken: everything stored by then is
    included. `as_of` is None if no moment was requested; otherwise it is the moment that the answer
    reflects, and `moved_back` says whether that is earlier than requested. From a read replica,
    `snapshot_at` is up to when it has everything, which was `lag` ago.
    """

    snapshot_at: datetime
    as_of: datetime | None = None
    moved_back: bool = False
    lag: timedelta | None = None

    @property
    def effective_as_of(self) -> datetime:
        """Everything stored by then is counted."""
        return self.as_of or self.snapshot_at


@dataclass(frozen=True, slots=True)
class Question(Generic[About_co]):
    """One read of metrics: a subject, the buckets of a window, and as of when.

    `subject` is initially a `Scope`, and a `Subject` once the question is settled; or a `Selection`
    of models, or a deployment. `as_of` None means now. `settle` sets `moment`; `as_of` is then the
    moment that the answer reflects.
    """

    workspace_id: int
    subject: About_co
    window: Window
    grid: Grid = Grid()  # noqa: RUF009 - frozen
    as_of: datetime | None = None
    moment: Moment | None = None

    @property
    def settled_moment(self) -> Moment:
        """The moment of a settled question; before that it is unknown."""
        if self.moment is None:
            raise ValueError("the question is not settled")
        return self.moment

    def over(self, window: Window, grid: Grid = Grid()) -> "Question[About_co]":  # noqa: B008 - frozen
        """The same question for another window and grid; by default one bucket."""
        return replace(self, window=window, grid=grid)

    def about(self, subject: Other) -> "Question[Other]":
        """The same question about another subject."""
        return Question(self.workspace_id, subject, self.window, self.grid, self.as_of, self.moment)

    def now(self) -> "Question[About_co]":
        """The same question as of now, regardless of the requested moment."""
        moment = self.moment and replace(self.moment, as_of=None, moved_back=False)
        return replace(self, as_of=None, moment=moment)


def parameters(question: Question[InSql]) -> dict[str, Any]:
    """Parameters of a statement: those of the subject, and those of `window.EDGES`."""
    subject = question.subject.parameters(question.workspace_id)
    return subject | window_parameters(question.window, question.grid, question.as_of)


@dataclass(frozen=True, slots=True)
class Snapped:
    """An edge moved from `asked` to `answered`, because the rows needed to split a cell are gone.

    It affects the numbers computed from `subject`; for others the edge may be elsewhere.
    """

    asked: datetime
    answered: datetime
    subject: Counted


@dataclass(frozen=True, slots=True)
class Basis:
    """The moment of an answer, and the edges that were moved because rows were dropped.

    Rows received since `clean_until` were read one by one. It is None while no level is filled.
    """

    moment: Moment
    snapped: Sequence[Snapped]
    clean_until: datetime | None

    @property
    def exact(self) -> bool:
        """Whether the answer is exactly what was requested."""
        return not self.snapped and not self.moment.moved_back


@dataclass(frozen=True, slots=True)
class Coverage:
    """Predictions of a bucket, and truths per prediction: None without predictions.

    A failed request is not a prediction.
    """

    predictions: int
    labelled_share: float | None


@dataclass(frozen=True, slots=True)
class Piece:
    """Cells of a level, or rows of a raw table, learned within a span (None: until now)."""

    source: str
    learned_from: datetime
    learned_until: datetime | None
    rows: int


@dataclass(frozen=True, slots=True)
class Division:
    """Which parts an answer has: the `most` largest of the values of a tag, and the rest."""

    key: str
    most: int


@dataclass(frozen=True, slots=True)
class Part(Generic[Bucket_co]):
    """Predictions with one value of a tag, or the rest.

    `value` is None for predictions without the tag, and for the rest. `values` is the number of
    values: 1, or those in the rest. `n` counts the truths of the window, `predictions` its
    successful requests. `coverage` has an element per bucket.
    """

    value: str | None
    is_rest: bool
    values: int
    n: int
    predictions: int
    buckets: Sequence[Bucket_co]
    coverage: Sequence[Coverage]


@dataclass(frozen=True, slots=True)
class Answer(Generic[Bucket_co]):
    """Buckets, oldest first, and their basis, read in one snapshot.

    `coverage` (an element per bucket), `pieces` and `parts` are set if requested.
    """

    buckets: Sequence[Bucket_co]
    basis: Basis
    coverage: Sequence[Coverage] = ()
    pieces: Sequence[Piece] | None = None
    parts: Sequence[Part[Bucket_co]] | None = None
