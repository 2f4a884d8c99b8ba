"""Which models need attention: their states, their order, and the filters of the overview."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput
from app.query.measure import Better, Measure, Unit
from app.query.measures import MODEL, TRUTHS, leading
from app.query.noise import FEW, Interval
from app.query.overview import ModelOverview
from app.store.registry import Kind
from app.web.question import Question
from app.web.tables import sorted_rows

NO_HEADLINE = Measure("headline", "", Unit.NUMBER, Better.NEITHER, "of a kind without metrics")
DESCENDING = "-"
# The namespace of models without one, which a URL could not tell from no choice at all.
NO_NAMESPACE = "()"
UNKNOWN_KIND = "unknown"


def headline_of(model: ModelOverview) -> Measure:
    """The measure that models of this kind are compared by."""
    return next(iter(leading(model.kind)), NO_HEADLINE)


def moved(model: ModelOverview) -> int:
    """The headline metric: 1 got better, -1 got worse, 0 for a change that may be noise."""
    change = model.headline_change
    if change is None or not change.significant:
        return 0
    return headline_of(model).better.value * (1 if change.low > 0 else -1)


def failing(model: ModelOverview) -> bool:
    """Whether more requests failed, beyond noise."""
    return model.failure_change is not None and model.failure_change.low > 0


def silent(model: ModelOverview) -> bool:
    """Whether requests stopped: there are none, after at least `FEW`."""
    before = model.inferences.previous + model.errors.previous
    return not (model.inferences.now or model.errors.now) and before >= FEW


@dataclass(frozen=True, slots=True)
class State:
    """What a model can be selected by: its name in the URL, title, meaning and test."""

    name: str
    title: str
    meaning: str
    holds: Callable[[ModelOverview], bool]


STATES = (
    State("worse", "Worse", "the headline metric got worse, beyond noise", lambda m: moved(m) < 0),
    State("failing", "More failures", "more requests failed, beyond noise", failing),
    State("silent", "Silent", "no requests, after at least 30 in the preceding period", silent),
    State(
        "better", "Better", "the headline metric got better, beyond noise", lambda m: moved(m) > 0
    ),
    State("unlabelled", "No truths", "no truths are known", lambda m: not m.truths.now),
)


def severity(model: ModelOverview) -> tuple[int, float] | None:
    """Sorts by attention needed, the worst lowest; None if there is nothing to compare.

    First models that got worse, by how much their errors grew; then those with more failures, and
    silent ones; then those whose change may be noise; those that got better are last.
    """
    if moved(model) < 0:
        return 0, -_growth(model)
    if failing(model):
        return 1, -(model.error_rate.now or 0.0)
    if silent(model):
        return 2, 0.0
    change = model.headline_change
    if change is None:
        return None
    if moved(model) > 0:
        return 4, -_growth(model)
    return 3, headline_of(model).better.value * _evidence(change)


def _growth(model: ModelOverview) -> float:
    """The logarithm of how many times more errors there are: 1 - accuracy, or the mean error."""
    now, previous = model.headline.now, model.headline.previous
    if model.kind is Kind.CLASSIFICATION:
        now, previous = 1 - (now or 0.0), 1 - (previous or 0.0)
    if not now or not previous:
        return math.inf * ((now or 0.0) - (previous or 0.0)) if now != previous else 0.0
    return math.log(now) - math.log(previous)


def _evidence(interval: Interval) -> float:
    """From -1 to 1: where in its interval a change that may be noise is."""
    width = interval.high / 2 - interval.low / 2
    return (interval.high / 2 + interval.low / 2) / width if width else 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the overview: its title, its name in the URL, and its sort key.

    `first` is the order of the first click: descending for numbers.
    """

    title: str
    name: str
    of: Callable[[ModelOverview], Any]
    first: str = DESCENDING

    @property
    def opposite(self) -> str:
        """The order of the second click."""
        return "" if self.first else DESCENDING


COLUMNS = (
    Column("Model", "name", lambda model: model.name.name.casefold(), ""),
    Column("Metric", "headline", lambda model: model.headline.now),
    Column("Change", "change", severity, ""),
    Column(TRUTHS["n"].title, "truths", lambda model: model.truths.now),
    Column(MODEL["inferences"].title, "inferences", lambda model: model.inferences.now),
    Column(MODEL["error_rate"].title, "errors", lambda model: model.error_rate.now),
    Column(MODEL["latency"].title, "latency", lambda model: model.latency.now),
)
DEFAULT_SORT = "change"


def sort_models(members: Mapping[str, str], models: Sequence[ModelOverview]) -> list[ModelOverview]:
    """Sorted by a column, unknown values last; by default the worst change first.

    Raises:
        InvalidInput: there is no such column.
    """
    sort = members.get("sort", DEFAULT_SORT)
    name = sort.removeprefix(DESCENDING)
    column = next((column for column in COLUMNS if column.name == name), None)
    if column is None:
        raise InvalidInput(f"sort must be one of {', '.join(column.name for column in COLUMNS)}")
    return sorted_rows(models, column.of, descending=sort.startswith(DESCENDING))


def namespace_of(model: ModelOverview) -> str:
    """The choice of a model's namespace."""
    return model.name.namespace or NO_NAMESPACE


def kind_of(model: ModelOverview) -> str:
    """The choice of a model's kind."""
    return model.kind or UNKNOWN_KIND


def selected(question: Question, models: Sequence[ModelOverview]) -> list[ModelOverview]:
    """The models of the chosen namespace and kind, whose name contains the text sought."""
    members = question.members
    wanted = {namespace_of: members.get("namespace"), kind_of: members.get("kind")}
    sought = members.get("q", "").casefold()
    return [
        model
        for model in models
        if all(value in (None, part(model)) for part, value in wanted.items())
        and sought in str(model.name).casefold()
    ]


def in_state(name: str, models: Sequence[ModelOverview]) -> list[ModelOverview]:
    """The models in a state; all of them for the empty name.

    Raises:
        InvalidInput: there is no such state.
    """
    if not name:
        return list(models)
    state = next((state for state in STATES if state.name == name), None)
    if state is None:
        raise InvalidInput(f"show must be one of {', '.join(state.name for state in STATES)}")
    return [model for model in models if state.holds(model)]
