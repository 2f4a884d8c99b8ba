"""Expected answers, in plain Python, and the cases that the properties are tested on.

A case is a set of requests with their truths, sent in a few rounds. In each round predictions
and truths arrive as one batch each, in an order of its own. A request may be answered by two
versions of the model; its truth is then stored with both predictions.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.query.window import Window
from app.store.database import Database
from app.store.registry import Kind, ModelName
from app.store.subscriptions import subscribe
from tests.doubles import taken

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Six hours before the clocks of New York went forward.
EARLIEST_START = datetime(2024, 3, 10, 1, tzinfo=UTC)
ROUNDS = 3
MAX_BUCKETS = 9

_numbers = itertools.count()

# A class, a value, scores by class, or a class and its confidence.
Output = str | float | dict[str, float] | tuple[str, float]
Truth = str | float
Pairs = Iterable[tuple[datetime, Output, Output]]  # time, predicted, actual


@dataclass(frozen=True)
class Question:
    """A window and perhaps a bucket width."""

    window: Window
    width: timedelta | None

    def edges(self) -> list[datetime]:
        """First instants of the buckets, and the end of the last."""
        buckets = plain_buckets(self.window.start, self.window.end, self.width)
        return [start for start, _ in buckets] + [self.window.end]


@dataclass(frozen=True)
class Answer:
    """What one version of the model predicted, when, and in which round it is sent."""

    version: str
    time: datetime
    predicted: Output
    told_in: int


@dataclass(frozen=True)
class Request:
    """A request with the answers of one or two versions, and truths as (round, truth)."""

    answers: tuple[Answer, ...]
    truths: tuple[tuple[int, str | float], ...]
    batch_index: int = 0
    id: str = ""

    @property
    def actual(self) -> Output | None:
        """The latest truth sent, None if there is none."""
        return self.truths[-1][1] if self.truths else None


@dataclass(frozen=True)
class Case:
    """Requests, the query about them, and which of a round's batches is sent first."""

    question: Question
    requests: tuple[Request, ...]
    feedback_first: tuple[bool, ...]
    declared: tuple[str, ...] = ()

    def pairs(self) -> list[tuple[datetime, Output, Output]]:
        """(time, predicted, actual) of every prediction whose truth is known in the end."""
        return [
            (answer.time, answer.predicted, request.truths[-1][1])
            for request in self.requests
            if request.truths
            for answer in request.answers
        ]


# --- plain answers ------------------------------------------------------------------------


def plain_buckets(
    start: datetime, end: datetime, width: timedelta | None = None, origin: datetime | None = None
) -> list[tuple[datetime, datetime]]:
    """(first instant, end) of each bucket, clipped to the window."""
    grid = plain_grid(start, end, width, origin)
    return [(max(at, start), min(until, end)) for at, until in grid]


def plain_grid(
    start: datetime, end: datetime, width: timedelta | None = None, origin: datetime | None = None
) -> list[tuple[datetime, datetime]]:
    """(first instant, end) of each bucket on the grid of `origin`, not clipped."""
    origin = start if origin is None or width is None else origin
    width = width or end - start
    first = (start - origin) // width
    last = (end - MICROSECOND - origin) // width
    return [(origin + i * width, origin + (i + 1) * width) for i in range(first, last + 1)]


def within(pairs: Pairs, start: datetime, end: datetime) -> list[tuple[Output, Output]]:
    """Predicted and actual of the pairs of a half-open window."""
    return [(predicted, actual) for time, predicted, actual in pairs if start <= time < end]


def categories_of(case: Case) -> list[Output]:
    """Those declared, in order, and then those that only occur in the window, by name."""
    window = case.question.window
    occurring = set(itertools.chain(*within(case.pairs(), window.start, window.end)))
    return [*case.declared, *sorted(occurring - set(case.declared), key=str)]


def plain_matrix(
    pairs: Iterable[tuple[Output, Output]], categories: Sequence[Output]
) -> list[list[int]]:
    """Counts by actual (rows) and predicted (columns)."""
    count = Counter(pairs)
    return [[count[predicted, actual] for predicted in categories] for actual in categories]


def plain_counts(
    pairs: Iterable[tuple[Output, Output]], category: Output
) -> tuple[int, int, int, int]:
    """TP, FP, FN and TN of one category."""
    sides = Counter((actual == category, predicted == category) for predicted, actual in pairs)
    return sides[True, True], sides[False, True], sides[True, False], sides[False, False]


# --- cases --------------------------------------------------------------------------------

widths = st.one_of(
    st.integers(1, 40).map(lambda n: timedelta(microseconds=n)),
    st.integers(1, 10**8).map(lambda n: timedelta(microseconds=n)),
    st.integers(1, 3 * 86_400).map(lambda n: timedelta(seconds=n)),
    st.integers(1, 30).map(lambda n: timedelta(days=n)),
)
starts = st.one_of(
    st.just(EARLIEST_START),
    st.integers(0, 10**13).map(lambda n: EARLIEST_START + n * MICROSECOND),
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Whole buckets and perhaps a shorter last one; or no width at all."""
    start, width = draw(starts), draw(widths)
    tail = draw(st.integers(0, width // MICROSECOND - 1)) * MICROSECOND
    window = Window(start, start + draw(st.integers(1, MAX_BUCKETS - 1)) * width + tail)
    return Question(window, draw(st.sampled_from([width, width, window.length, None])))


def times(question: Question) -> st.SearchStrategy[datetime]:
    """Instants on, next to and between the edges of a query's buckets, some outside."""
    window = question.window
    around = question.window.length // 10 + MICROSECOND
    beside = st.tuples(st.sampled_from(question.edges()), st.sampled_from([-1, 0, 1]))
    between = st.integers(-(around // MICROSECOND), (window.length + around) // MICROSECOND)
    return st.one_of(
        beside.map(lambda drawn: drawn[0] + drawn[1] * MICROSECOND),
        between.map(lambda n: window.start + n * MICROSECOND),
    )


@st.composite
def requests(
    draw: st.DrawFn,
    question: Question,
    predicted: st.SearchStrategy[Output],
    actual: st.SearchStrategy[Truth],
) -> Request:
    """A request and its story: one or two answers, and none to several truths."""
    versions = draw(st.sampled_from([("v1",), ("v1",), ("v2",), ("v1", "v2")]))
    rounds = st.integers(0, ROUNDS - 1)
    answers = tuple(
        Answer(version, draw(times(question)), draw(predicted), draw(rounds))
        for version in versions
    )
    told = draw(st.lists(st.tuples(rounds, actual), max_size=4))
    truths = tuple(sorted(told, key=lambda truth: truth[0]))
    return Request(answers, truths, batch_index=draw(st.sampled_from([0, 0, 0, 1, 2**31 - 1])))


@st.composite
def cases(
    draw: st.DrawFn,
    predicted: st.SearchStrategy[Output],
    actual: st.SearchStrategy[Truth],
    declared: Sequence[str] = (),
    max_requests: int = 25,
) -> Case:
    """A query and requests around it, in the order in which they are sent."""
    question = draw(questions())
    some = draw(st.lists(requests(question, predicted, actual), min_size=1, max_size=max_requests))
    numbered = tuple(replace(request, id=f"r{i}") for i, request in enumerate(some))
    first = draw(st.tuples(*[st.booleans()] * ROUNDS))
    return Case(question, numbered, first, tuple(declared))


label_names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6
)


@st.composite
def classification_cases(draw: st.DrawFn) -> Case:
    """Up to six classes: some only predicted, some only true, some declared and absent."""
    names = draw(st.lists(label_names, min_size=1, max_size=6, unique=True))
    some_names = st.lists(st.sampled_from(names), min_size=1, unique=True)
    predicted, actual = draw(some_names), draw(some_names)
    declared = draw(st.one_of(st.just([]), st.permutations(names), some_names))
    return draw(cases(st.sampled_from(predicted), st.sampled_from(actual), declared))


values = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e3, 1e3), taken)
truth_values = st.one_of(values, st.sampled_from([1e12, -1e12, 1e80, -1e100]))


def regression_cases() -> st.SearchStrategy[Case]:
    """Values of every size, and truths that were wildly wrong at first."""
    return cases(values, truth_values)


# --- telling them -------------------------------------------------------------------------


def new_name() -> ModelName:
    """A model name that no other example has."""
    return ModelName("space", "pipe", f"model-{next(_numbers)}")


def tell(
    database: Database,
    workspace_id: int,
    name: ModelName,
    case: Case,
    begin: Callable[[int], object] | None = None,
) -> None:
    """Ingest a case under a model's name, round by round; before each, `begin` is called."""
    for number in range(ROUNDS):
        if begin:
            begin(number)
        steps: list[tuple[Callable[..., object], list[Any]]] = [
            (ingest_predictions, list(_predictions(name, case, number))),
            (ingest_feedback, list(_feedback(name, case, number))),
        ]
        for ingest, batch in reversed(steps) if case.feedback_first[number] else steps:
            if batch:
                ingest(database, workspace_id, batch)


def declare(
    database: Database, workspace_id: int, name: ModelName, categories: Sequence[str]
) -> None:
    """Subscribe a classifier, if it declares any categories."""
    if not categories:
        return
    model = database.registry.register_models(workspace_id, {name: Kind.CLASSIFICATION})[name]
    ids = database.registry.register_labels(workspace_id, categories)
    with database.writing() as conn:
        subscribe(conn, model_id=model.id, features=[], categories=[ids[c] for c in categories])


def _predictions(name: ModelName, case: Case, number: int) -> Iterator[Prediction]:
    for request in case.requests:
        for answer in request.answers:
            if answer.told_in == number:
                yield Prediction(
                    model=name.name,
                    namespace=name.namespace,
                    pipeline=name.pipeline,
                    version=answer.version,
                    request_id=request.id,
                    batch_index=request.batch_index,
                    time=answer.time,
                    **said(answer.predicted),
                )


def _feedback(name: ModelName, case: Case, number: int) -> Iterator[Feedback]:
    for request in case.requests:
        for told_in, truth in request.truths:
            if told_in == number:
                yield Feedback(
                    model=name.name,
                    namespace=name.namespace,
                    pipeline=name.pipeline,
                    request_id=request.id,
                    batch_index=request.batch_index,
                    **said(truth),
                )


def said(output: Output) -> dict[str, Any]:
    """A label, a value, scores, or a label with its confidence, as the members that carry it."""
    if isinstance(output, dict):
        return {"scores": output}
    if isinstance(output, tuple):
        return {"label": output[0], "confidence": output[1]}
    return {"label": output} if isinstance(output, str) else {"value": output}
