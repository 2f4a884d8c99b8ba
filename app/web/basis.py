"""What a panel's numbers rest on: asked for beside them, and said where it isn't what was asked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from app.query.basis import Counted, Moment, Reach, moment_of, reach_of
from app.query.inferences import ALL, Selection, stats_reach
from app.query.models import series_of_part
from app.query.window import Grid, Window, bounds
from app.store.registry import Registry
from app.web.panels import Look, Rows
from app.web.question import Question, written
from app.web.units import moment

RestsOn = Callable[[Look], Reach]
# Moved edges that a line names; the API names all.
FEW = 3
BOTH = (Counted.OUTCOME, Counted.PREDICTION)


def look_at(conn: Connection, registry: Registry, workspace_id: int, question: Question) -> Look:
    """Settle the moment that all panels of a page can show: the first question of a transaction.

    Raises:
        InvalidWindow: the moment asked for is still to come, or the database lacks the zone.
    """
    shown = moment_of(conn, *Counted, as_of=question.as_of, zone=question.zone)
    return Look(conn, registry, workspace_id, replace(question, as_of=shown.as_of), shown)


def series_of(look: Look) -> list[int]:
    """The series of the part of a model that is looked at.

    Raises:
        UnknownModel: the workspace has no such model, or nothing of that part.
    """
    asked = look.question
    return series_of_part(
        look.conn, workspace_id=look.workspace_id, name=asked.model, part=asked.part
    )


def of_window(*counted: Counted) -> RestsOn:
    """Of what is counted in the buckets of the window, of the part of a model."""
    return lambda look: reach_within(look, look.question.window, look.question.grid, counted)


def reach_within(look: Look, window: Window, grid: Grid, counted: Sequence[Counted]) -> Reach:
    """The same in other buckets."""
    question = bounds(window, grid, look.moment.as_of)
    asked = [(question, counted)]
    return reach_of(look.conn, look.moment, series=series_of(look), questions=asked)


def of_stats(*quantiles: Counted) -> RestsOn:
    """Of inference stats of the whole model as it is now, with quantiles of the window."""
    return lambda look: _stats(look, Selection(models=[look.question.model.name]), quantiles)


def of_totals(look: Look) -> Reach:
    """Of all models' inferences as they are now."""
    return _stats(look, ALL, ())


def _stats(look: Look, selection: Selection, quantiles: Sequence[Counted]) -> Reach:
    return stats_reach(
        look.conn,
        Moment(look.moment.taken),
        workspace_id=look.workspace_id,
        window=look.question.window,
        selection=selection,
        quantiles=quantiles,
    )


def of_all(*parts: RestsOn) -> RestsOn:
    """Of a panel that shows several answers."""

    def rests_on(look: Look) -> Reach:
        reaches = [part(look) for part in parts]
        snapped = dict.fromkeys(one for reach in reaches for one in reach.snapped)
        return Reach(look.moment, list(snapped), None)

    return rests_on


def in_words(question: Question, reach: Reach) -> str:
    """What numbers rest on, as a sentence."""
    until = question.local(reach.moment.known_at)
    said = f"{'As known at' if reach.moment.as_of else 'All that was stored by'} {moment(until)}"
    if reach.exact:
        return f"{said}, exact to the last row."
    edges = list(dict.fromkeys((one.asked, one.answered) for one in reach.snapped))
    pairs = [f"{_moment(question, one)} to {_moment(question, other)}" for one, other in edges]
    more = [f"and {len(pairs) - FEW} more"] if len(pairs) > FEW else []
    moved = ", ".join([*pairs[:FEW], *more])
    reason = "; older rows are dropped"
    return f"{said}, not exact: moved {moved}{reason}." if moved else f"{said}, not exact{reason}."


def _moment(question: Question, instant: datetime) -> str:
    return moment(question.local(instant))


def marked(rows: Rows, reach: Reach) -> Rows:
    """Rows of a CSV with two more columns: whether they are exact, and as of when."""
    basis = (str(reach.exact).lower(), written(reach.moment.known_at))
    for place, row in enumerate(rows):
        yield [*row, *(basis if place else ("exact", "asOf"))]
