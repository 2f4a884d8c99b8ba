"""The worst slices of a model: its headline metric with each value of each tag."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.query.basis import basis_of
from app.query.measures import TRUTHS, leading
from app.query.question import Basis
from app.query.slices import Slice, slices_basis, worst_slices
from app.store.registry import Kind
from app.web import markup as html
from app.web.basis import of_model
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import label_of
from app.web.question import Question, query_string
from app.web.request_links import with_tag
from app.web.tables import note, table
from app.web.units import format_number

# More are in the CSV.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of a model, the worst first; none for a kind without a headline metric."""

    kind: Kind | None
    slices: Sequence[Slice]


def find(context: PanelContext) -> Slices:
    """Query the slices of the selected scope."""
    query = of_model(context)
    kind = query.subject.kind
    if not leading(kind):
        return Slices(kind, [])
    return Slices(kind, worst_slices(context.conn, query.over(context.question.window)))


def show(question: Question, result: Slices) -> list[Node] | None:
    """A row per slice, with links that show only its predictions."""
    measures = leading(result.kind)
    if not measures:
        return None
    if not result.slices:
        return [note("No prediction with a known truth has tags in this window.")]
    headline = measures[0]
    label = label_of(question, headline)
    heads = [
        ("Tag", ""),
        ("Value", "text"),
        TRUTHS["n"].label,
        label,
        f"{label} before",
        ("Changed", "text"),
    ]
    rows = [
        [
            html.Span(one.key, className="class", title=one.key),
            html.Td(html.A(one.value, href=_only(question, one)), className="text"),
            format_number(one.truths.now, TRUTHS["n"].unit),
            format_number(one.headline.now, headline.unit),
            format_number(one.headline.previous, headline.unit),
            html.Td(_changed(one), className="text"),
        ]
        for one in result.slices[:SHOWN]
    ]
    return [table("Worst slices", heads, rows, kind="classes"), *_more(result)]


def _only(question: Question, one: Slice) -> str:
    """A link to this slice."""
    return "/model" + query_string({**question.members, **with_tag(question, one.key, one.value)})


def _changed(one: Slice) -> str:
    if one.change is None:
        return "too few truths"
    return "more than noise" if one.change.significant else "no more than noise"


def _more(result: Slices) -> list[Node]:
    hidden = len(result.slices) - SHOWN
    return [note(f"{hidden} more are in the CSV.")] if hidden > 0 else []


def rows(_: Question, result: Slices) -> Rows:
    """A line per slice."""
    yield ["key", "value", "n", "previous_n", "headline", "previous_headline", "significant"]
    for one in result.slices:
        yield [
            one.key,
            one.value,
            one.truths.now,
            one.truths.previous,
            one.headline.now,
            one.headline.previous,
            one.change.significant if one.change else None,
        ]


def basis(context: PanelContext) -> Basis:
    """The basis of both periods; that of nothing for a kind without a headline metric."""
    query = of_model(context).over(context.question.window)
    if not leading(query.subject.kind):
        return basis_of(context.conn, query)
    return slices_basis(context.conn, query)


PANEL = Panel("slices", "Worst slices", find, show, rows, basis)
