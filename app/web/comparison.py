"""After and before: the two windows, or versions, that every panel of a model's page compares.

The window of the page is "after" unless the URL selects another, and "before" is the period of
equal length that precedes it unless the URL says otherwise. Each is asked the same; what a panel
shows as a difference is the one minus the other (`Compared`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from app.errors import InvalidWindow
from app.query.basis import shared_basis
from app.query.buckets import bucket_edges, truth_count
from app.query.inferences import Compared, preceding
from app.query.noise import FEW
from app.query.question import Basis, Counted
from app.query.question import Question as Query
from app.query.settle import look_up
from app.query.subjects import Subject
from app.query.window import Grid, Window
from app.web.basis import merged, of_model
from app.web.panels import PanelContext, once
from app.web.question import (
    AUTOMATIC_BUCKETS,
    EVERY,
    NOTHING,
    Question,
    automatic_interval,
    grid_of,
    iso_utc,
)
from app.web.units import moment

Result = TypeVar("Result")
# A chart has at least this many points if there are fewer truths than enough for each.
FEWEST_POINTS = 12
# Choices of what to compare with.
WINDOW, VERSION = "window", "version:"


@dataclass(frozen=True, slots=True)
class Pair(Generic[Result]):
    """The same about both windows; `before` is None if nothing is compared."""

    after: Result
    before: Result | None

    def of(self, get: Callable[[Result], Any]) -> Compared[Any]:
        """A number of each; None if it is not known."""
        return Compared(get(self.after), None if self.before is None else get(self.before))


Sides = Pair[Query[Subject]]
"""The question about each whole window."""


# --- the windows --------------------------------------------------------------------------


@once
def spans(context: PanelContext) -> Pair[Window]:
    """The windows that are compared.

    Cost: nothing, or two statements if the URL names a bucket.
    """
    question = context.question
    after = question.after or _bucket(context) or question.window
    if not question.compares:
        return Pair(after, None)
    if question.before or question.before_version:
        return Pair(after, question.before or after)
    try:
        return Pair(after, preceding(after))
    except InvalidWindow:  # none of this length precedes it
        return Pair(after, None)


@once
def sides(context: PanelContext) -> Sides:
    """The questions about them.

    Raises:
        UnknownModel: the workspace has no such model, or no predictions of one of the versions.
    """
    query, windows = of_model(context), spans(context)
    before = windows.before
    return Pair(
        query.over(windows.after),
        None if before is None else query.about(_earlier_subject(context)).over(before),
    )


def _earlier_subject(context: PanelContext) -> Subject:
    question = context.question
    if question.before_version is None:
        return context.query.subject
    scope = replace(question.scope, version=question.before_version)
    asked = question.as_query(context.workspace_id).about(scope).now()
    subject = look_up(context.conn, asked).subject
    subject.require()
    return subject


def ask(both: Sides, question: Callable[[Query[Subject]], Result]) -> Pair[Result]:
    """The answers to a question about each."""
    return Pair(question(both.after), None if both.before is None else question(both.before))


def sides_basis(
    *counted: Counted, over_time: Callable[[PanelContext], Grid] | None = None
) -> Callable[[PanelContext], Basis]:
    """The basis of both answers, which count these subjects, and of the buckets of the window.

    Cost: one statement, and another if two versions are compared.
    """

    def basis(context: PanelContext) -> Basis:
        both, window = sides(context), context.question.window
        after = [(both.after, counted)]
        if over_time:
            after.append((of_model(context).over(window, over_time(context)), counted))
        if both.before is None:
            return shared_basis(context.conn, *after)
        before = (both.before, counted)
        if both.before.subject == both.after.subject:
            return shared_basis(context.conn, *after, before)
        return merged([shared_basis(context.conn, *after), shared_basis(context.conn, before)])

    return basis


# --- buckets that have enough truths ------------------------------------------------------


@once
def truths_grid(context: PanelContext) -> Grid:
    """The buckets of metrics with truths.

    If the interval is automatic, they are wide enough for `FEW` truths each, on average, unless
    fewer than `FEWEST_POINTS` would remain.

    Cost: one statement over the cells of the window, if the interval is automatic.
    """
    question = context.question
    if question.members.get("interval"):
        return question.grid
    truths = truth_count(context.conn, of_model(context))
    buckets = min(max(truths // FEW, FEWEST_POINTS), AUTOMATIC_BUCKETS)
    return grid_of(automatic_interval(question.window, buckets), question.window, question.zone)


def _bucket(context: PanelContext) -> Window | None:
    """The bucket that the URL selects by one of its instants; None if it is not in the window."""
    instant, window = context.question.bucket, context.question.window
    if instant is None or not window.start <= instant < window.end:
        return None
    edges = bucket_edges(context.conn, of_model(context).over(window, truths_grid(context)))
    start = max(edge for edge in edges if edge <= instant)
    return Window(start, min(edge for edge in edges if edge > instant))


def neighbours(context: PanelContext, span: Window) -> tuple[Window | None, Window | None]:
    """The buckets before and after a selected window, within that of the page.

    Cost: two statements at most, of which one reads cells.
    """
    grid = truths_grid(context)
    edges = bucket_edges(context.conn, of_model(context).over(context.question.window, grid))
    earlier = [edge for edge in edges if edge <= span.start][-2:]
    later = [edge for edge in edges if edge >= span.end][:2]
    return _window(earlier), _window(later)


def _window(edges: Sequence[Any]) -> Window | None:
    return Window(*edges) if len(edges) == 2 else None  # noqa: PLR2004 - a start and an end


# --- words, and choices -------------------------------------------------------------------


def words(question: Question, window: Window) -> str:
    """A window, by the clocks of the question; a common day is written once."""
    start, end = question.local(window.start), question.local(window.end)
    last = moment(end)
    return f"{moment(start)} to {last[11:] if start.date() == end.date() else last}"


def interval_text(window: Window) -> str:
    """A window as URLs contain it."""
    return f"{iso_utc(window.start)}/{iso_utc(window.end)}"


def described(question: Question) -> str:
    """What "before" is: the name of its column."""
    if question.before_version:
        return question.before_version
    return "before" if question.before else "the period before"


def names_of_sides(question: Question, windows: Pair[Window]) -> tuple[str, str]:
    """What after and before are called in a legend: versions, or times."""
    if question.before_version and windows.before == windows.after:
        return question.scope.version or "all versions", question.before_version
    return "after", described(question)


def choice(question: Question) -> str:
    """What is compared with, as a value of the control."""
    if not question.compares:
        return NOTHING
    if question.before_version:
        return VERSION + question.before_version
    return WINDOW if question.before else EVERY


def chosen(question: Question, value: str) -> dict[str, str | None]:
    """The members of the URL that change if something else is compared with."""
    if value == choice(question):
        return {}
    if value.startswith(VERSION):
        return {"before": None, "beforeVersion": value.removeprefix(VERSION)}
    if value == WINDOW:
        span = question.after or question.window
        return {"before": interval_text(preceding(span)), "beforeVersion": None}
    return {"before": NOTHING if value == NOTHING else None, "beforeVersion": None}
