"""What a panel's numbers rest on: asked for beside them, and said where it isn't what was asked."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from app.phrases import first_few
from app.query.basis import basis_of
from app.query.inferences import stats_basis
from app.query.question import Basis, Counted
from app.query.question import Question as Asked
from app.query.settle import looked_up
from app.query.subjects import ALL, Selection, Subject
from app.query.window import Grid, Window
from app.store.registry import Registry
from app.web.panels import Look, Rows
from app.web.question import Question, written
from app.web.units import moment

RestsOn = Callable[[Look], Basis]
BOTH = (Counted.OUTCOME, Counted.PREDICTION)


def look_at(conn: Connection, registry: Registry, workspace_id: int, question: Question) -> Look:
    """Settle the moment that all panels of a page can show, and find the model that it is about.

    The first statement of a transaction.

    Raises:
        InvalidWindow: the moment asked for is still to come, or the database lacks the zone.
    """
    asked = looked_up(conn, question.asked(workspace_id), *Counted)
    return Look(conn, registry, question, asked)


def of_model(look: Look) -> Asked[Subject]:
    """The question about the part of a model that is looked at.

    Raises:
        UnknownModel: the workspace has no such model, or nothing in that scope.
    """
    look.asked.subject.require()
    return look.asked


def of_models(look: Look) -> Asked[Selection]:
    """The question about the models of that name, whole."""
    return look.asked.about(Selection(models=[look.question.model.name]))


def of_window(*counted: Counted) -> RestsOn:
    """Of what is counted in the buckets of the window, of the part of a model."""
    return lambda look: basis_of(look.conn, of_model(look), *counted)


def basis_within(look: Look, window: Window, grid: Grid, *counted: Counted) -> Basis:
    """The same in other buckets."""
    return basis_of(look.conn, of_model(look).over(window, grid), *counted)


def of_stats(*quantiles: Counted) -> RestsOn:
    """Of inference stats of the whole model as it is now, with quantiles of the window."""
    return lambda look: stats_basis(look.conn, of_models(look), *quantiles)


def of_totals(look: Look) -> Basis:
    """Of all models' inferences as they are now."""
    return stats_basis(look.conn, look.asked.about(ALL))


def of_all(*parts: RestsOn) -> RestsOn:
    """Of a panel that shows several answers, of which the first is of the moment asked for."""

    def rests_on(look: Look) -> Basis:
        bases = [part(look) for part in parts]
        snapped = dict.fromkeys(one for basis in bases for one in basis.snapped)
        return Basis(bases[0].moment, list(snapped), None)

    return rests_on


def in_words(question: Question, basis: Basis) -> str:
    """What numbers rest on, as a sentence."""
    until = question.local(basis.moment.known_at)
    said = f"{'As known at' if basis.moment.as_of else 'All that was stored by'} {moment(until)}"
    if basis.exact:
        return f"{said}, exact to the last row."
    edges = list(dict.fromkeys((one.asked, one.answered) for one in basis.snapped))
    pairs = [f"{_moment(question, one)} to {_moment(question, other)}" for one, other in edges]
    moved = first_few(pairs)
    reason = "; older rows are dropped"
    return f"{said}, not exact: moved {moved}{reason}." if moved else f"{said}, not exact{reason}."


def _moment(question: Question, instant: datetime) -> str:
    return moment(question.local(instant))


def marked(rows: Rows, basis: Basis) -> Rows:
    """Rows of a CSV with two more columns: whether they are exact, and as of when."""
    columns = (str(basis.exact).lower(), written(basis.moment.known_at))
    for place, row in enumerate(rows):
        yield [*row, *(columns if place else ("exact", "asOf"))]
