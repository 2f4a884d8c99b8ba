"""The basis of a panel's numbers: queried with them, and shown if they are not exact."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.phrases import first_few
from app.query.basis import basis_of
from app.query.question import Basis, Counted
from app.query.question import Question as Query
from app.query.settle import look_up
from app.query.subjects import Subject
from app.query.window import Grid, Window
from app.store.registry import Registry
from app.web.panels import PanelContext, Rows
from app.web.question import Question, iso_utc
from app.web.units import moment

BasisQuery = Callable[[PanelContext], Basis]
BOTH = (Counted.OUTCOME, Counted.PREDICTION)


def panel_context(
    conn: Connection,
    registry: Registry,
    workspace_id: int,
    question: Question,
    *,
    may_change: bool = False,
) -> PanelContext:
    """Settle the moment that all panels of a page can show, and look up its model.

    It must be the first statement of a transaction.

    Raises:
        InvalidWindow: the requested moment is in the future, or the database does not know the
        zone.
    """
    query = look_up(conn, question.as_query(workspace_id), *Counted)
    return PanelContext(conn, registry, question, query, may_change=may_change)


def of_model(context: PanelContext) -> Query[Subject]:
    """The question about the selected scope of a model.

    Raises:
        UnknownModel: the workspace has no such model, or no predictions in this scope.
    """
    context.query.subject.require()
    return context.query


def basis_within(context: PanelContext, window: Window, grid: Grid, *counted: Counted) -> Basis:
    """The basis of these subjects in other buckets."""
    return basis_of(context.conn, of_model(context).over(window, grid), *counted)


def of_all(*basis_queries: BasisQuery) -> BasisQuery:
    """The common basis of several answers, of which the first has the requested moment."""

    def shared_basis(context: PanelContext) -> Basis:
        return merged([basis_query(context) for basis_query in basis_queries])

    return shared_basis


def merged(bases: Sequence[Basis]) -> Basis:
    """The common basis of answers, of which the first has the requested moment."""
    snapped = dict.fromkeys(edge for basis in bases for edge in basis.snapped)
    return Basis(bases[0].moment, list(snapped), None)


def basis_text(question: Question, basis: Basis) -> str:
    """The basis of numbers, as a sentence."""
    until = question.local(basis.moment.effective_as_of)
    text = f"{'As known at' if basis.moment.as_of else 'Everything stored by'} {moment(until)}"
    if basis.exact:
        return f"{text}, exact to the last row."
    edges = list(dict.fromkeys((edge.asked, edge.answered) for edge in basis.snapped))
    pairs = [f"{_moment(question, start)} to {_moment(question, end)}" for start, end in edges]
    moved = first_few(pairs)
    reason = "; older rows are dropped"
    return f"{text}, not exact: moved {moved}{reason}." if moved else f"{text}, not exact{reason}."


def _moment(question: Question, instant: datetime) -> str:
    return moment(question.local(instant))


def marked(rows: Rows, basis: Basis) -> Rows:
    """Rows of a CSV with two more columns: whether they are exact, and as of when."""
    columns = (str(basis.exact).lower(), iso_utc(basis.moment.effective_as_of))
    for index, row in enumerate(rows):
        yield [*row, *(columns if index else ("exact", "asOf"))]
