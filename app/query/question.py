"""A question and its answer, as values.

An endpoint, a page or the demo makes a `Question` once. `settle` (app/query/settle.py) finds its
subject and its moment, and everything asked about it in that request takes the settled question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from app.query.subjects import InSql
from app.query.window import Grid, Window, bounds

About_co = TypeVar("About_co", covariant=True)
Other = TypeVar("Other")
Known = TypeVar("Known", bound=InSql)
Bucket_co = TypeVar("Bucket_co", covariant=True)


class Counted(StrEnum):
    """What is counted, and dropped, apart from the rest: the subjects of cells.

    Metrics with truths are made of outcomes; volumes, means and inference stats of predictions;
    quantiles of confidence and of values of scores; those of latency of latencies.
    """

    OUTCOME = "outcome"
    PREDICTION = "prediction"
    SCORE = "score"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an answer is of.

    `taken` is the database's clock: what was stored by then is in the answer. `as_of` is None
    without a moment asked for, and the moment that is answered for otherwise; `held_back` says
    that it is earlier than the one asked for.
    """

    taken: datetime
    as_of: datetime | None = None
    held_back: bool = False

    @property
    def known_at(self) -> datetime:
        """What was stored by then is counted."""
        return self.as_of or self.taken


@dataclass(frozen=True, slots=True)
class Question(Generic[About_co]):
    """What is asked: about which subject, in which buckets of a window, as known at a moment.

    `subject` is a `Scope` at first, and a `Subject` once it is settled; or a `Selection` of
    models, or a deployment. `as_of` None means now. `moment` is what `settle` found: `as_of` is
    then the moment that is answered for.
    """

    workspace_id: int
    subject: About_co
    window: Window
    grid: Grid = Grid()  # noqa: RUF009 - frozen
    as_of: datetime | None = None
    moment: Moment | None = None

    def over(self, window: Window, grid: Grid = Grid()) -> "Question[About_co]":  # noqa: B008 - frozen
        """The same of another window, in other buckets: by default in one."""
        return replace(self, window=window, grid=grid)

    def about(self, subject: Other) -> "Question[Other]":
        """The same about another subject."""
        return Question(self.workspace_id, subject, self.window, self.grid, self.as_of, self.moment)

    def now(self) -> "Question[About_co]":
        """The same as it is now, whatever moment it was asked for."""
        taken = Moment(self.moment.taken) if self.moment else None
        return replace(self, as_of=None, moment=taken)


def parameters(question: Question[InSql]) -> dict[str, Any]:
    """A question as parameters of a statement: the subject's, and those of `window.EDGES`."""
    subject = question.subject.parameters(question.workspace_id)
    return subject | bounds(question.window, question.grid, question.as_of)


@dataclass(frozen=True, slots=True)
class Snapped:
    """An edge of the answer that lies elsewhere than asked: the rows to divide a cell are gone.

    Of numbers that are made of `subject`; the same edge may lie elsewhere for others.
    """

    asked: datetime
    answered: datetime
    subject: Counted


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer rests on: the question as it was asked, or one with its edges on what is kept.

    What was received since `clean_until` was read from its rows: it is None while no level is
    filled.
    """

    moment: Moment
    snapped: Sequence[Snapped]
    clean_until: datetime | None

    @property
    def exact(self) -> bool:
        """Whether it is the answer to the question as it was asked."""
        return not self.snapped and not self.moment.held_back


@dataclass(frozen=True, slots=True)
class Coverage:
    """Predictions of a bucket, and truths per prediction: None without predictions.

    A failed request is no prediction.
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
class Answer(Generic[Bucket_co]):
    """Buckets, oldest first, and what they rest on, read in one snapshot.

    `coverage` has an element per bucket, and `pieces` is there, where the question was for them.
    """

    buckets: Sequence[Bucket_co]
    basis: Basis
    coverage: Sequence[Coverage] = ()
    pieces: Sequence[Piece] | None = None
