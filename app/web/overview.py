"""The first page: every model of the workspace, now against the period before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import dash_mantine_components as dmc
from markupsafe import Markup

from app.errors import InvalidInput
from app.query.inferences import Totals, inference_totals
from app.query.measure import Better, Measure, Unit
from app.query.measures import MODEL, TOTALS, TRUTHS, leading
from app.query.overview import ModelOverview, overview, overview_basis
from app.query.question import Basis
from app.query.question import Question as Asked
from app.query.subjects import ALL, Selection
from app.query.window import Grid
from app.store.registry import ModelName
from app.web import markup as html
from app.web.basis import of_totals
from app.web.panels import Look, Page, Panel, Part, Rows
from app.web.question import DAY, Question, automatic_interval, common, grid_of, query
from app.web.tables import change, compared, labelled, nothing, sparkline, table, tile
from app.web.units import delta, said

# As many points as a sparkline has room for. From some days on they are days, of which there are
# cells.
POINTS, BY_DAYS = 31, 4 * DAY
# What is shorter than this share of its neighbour was clipped by the window.
WHOLE = 0.9
NO_HEADLINE = Measure("headline", "", Unit.NUMBER, Better.NEITHER, "of a kind without metrics")
NO_MODELS = (
    "No model has sent anything yet. Send predictions to /api/v1/predictions, or to an endpoint of"
    " Seldon's, H2O's or Roboflow's that your models already use."
)

TOTALS_ARE_OF_NOW = "Totals are as they are now; the models below are as of the moment asked for."


def find_totals(look: Look) -> Totals:
    """All inferences of the workspace."""
    return inference_totals(look.conn, look.asked.about(ALL))


def show_totals(question: Question, found: Totals) -> list[Markup]:
    """Four numbers."""
    tiles = (
        tile(TOTALS[name].title, compared(getattr(found, name), TOTALS[name]))
        for name in ("inferences", "error_rate", "latency", "confidence")
    )
    shown = html.Dl(tiles, className="tiles")
    return [shown, nothing(TOTALS_ARE_OF_NOW)] if question.as_of else [shown]


def find_models(look: Look) -> list[ModelOverview]:
    """All models of the workspace."""
    return overview(look.conn, _of_sparks(look))


def models_rest_on(look: Look) -> Basis:
    """What the models' numbers rest on."""
    return overview_basis(look.conn, _of_sparks(look))


def _of_sparks(look: Look) -> Asked[Selection]:
    return look.asked.about(ALL).over(look.question.window, sparks(look.question))


def sparks(asked: Question) -> Grid:
    """The buckets of sparklines, on bounds of the clock: between them no rows are cut."""
    interval = automatic_interval(asked.window, POINTS)
    if asked.window.length >= BY_DAYS and interval.endswith("h"):
        interval = "1d"
    return grid_of(interval, asked.window, asked.zone)


def unclipped(one: ModelOverview, end: datetime) -> Sequence[int]:
    """Volumes without those of a first or last bucket that the window clips: it would look idle."""
    edges = [*one.starts, end]
    lengths = [after - before for before, after in pairwise(edges)]
    if len(lengths) < 3:  # noqa: PLR2004 - without a middle one there is nothing to compare with
        return one.volumes
    first = lengths[0] < WHOLE * lengths[1]
    last = lengths[-1] < WHOLE * lengths[-2]
    return one.volumes[first : len(lengths) - last]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the overview: what it is headed, called in the URL, and sorted by."""

    title: str
    name: str
    of: Callable[[ModelOverview], Any]


COLUMNS = (
    Column("Model", "name", lambda one: one.name.name),
    Column(MODEL["inferences"].title, "inferences", lambda one: one.inferences.now),
    Column(MODEL["error_rate"].title, "errors", lambda one: one.error_rate.now),
    Column(MODEL["latency"].title, "latency", lambda one: one.latency.now),
    Column(TRUTHS["n"].title, "truths", lambda one: one.truths.now),
    Column("Headline metric", "headline", lambda one: one.headline.now),
)
DESCENDING = "-"
MOST_SHOWN = 500  # a browser takes seconds for more; the CSV has all


def show_models(question: Question, found: Sequence[ModelOverview]) -> list[Part]:
    """A row per model, in the order and of the names that the URL says."""
    if not found:
        return [nothing(NO_MODELS)]
    sought = question.members.get("q", "")
    fitting = [one for one in ordered(question, found) if _has(one, sought)]
    rows = [_model(question, one) for one in fitting[:MOST_SHOWN]]
    left_out = len(fitting) - len(rows)
    heads = [(_head(question, column), "number") for column in COLUMNS]
    return [
        dmc.TextInput(
            id={"choice": "q"},
            value=sought,
            placeholder="Find a model",
            size="xs",
            w=220,
            debounce=300,
            className="finder",
            **labelled("Find a model by name"),
        ),
        table("Models of the workspace", heads, rows, kind="models")
        if rows
        else nothing(f"None of {len(found)} models has “{sought}” in its name."),
        *(
            [nothing(f"{left_out:,} more models are not shown: find them by name.")]
            if left_out
            else []
        ),
    ]


def _has(one: ModelOverview, sought: str) -> bool:
    return sought.casefold() in str(one.name).casefold()


def ordered(question: Question, found: Sequence[ModelOverview]) -> Sequence[ModelOverview]:
    """Sorted by a column, what is not known last; the busiest first if the URL says nothing.

    Raises:
        InvalidInput: there is no such column.
    """
    sort = question.members.get("sort", "")
    if not sort:
        return found
    column = next((one for one in COLUMNS if one.name == sort.removeprefix(DESCENDING)), None)
    if column is None:
        raise InvalidInput(f"sort must be one of {', '.join(one.name for one in COLUMNS)}")
    known = [one for one in found if column.of(one) is not None]
    unknown = [one for one in found if column.of(one) is None]
    return sorted(known, key=column.of, reverse=sort.startswith(DESCENDING)) + unknown


def _head(question: Question, column: Column) -> Markup:
    """A head that sorts: downwards at first, for the largest is what people look for."""
    sort = question.members.get("sort", "")
    down = sort == DESCENDING + column.name
    first = column.name if column.name == "name" else DESCENDING + column.name
    other = column.name if down else DESCENDING + column.name
    mark = ("↓" if down else "↑") if sort.removeprefix(DESCENDING) == column.name else ""
    return html.A(
        [column.title, html.Span(mark, className="mark")],
        href="/" + query({**question.members, "sort": other if mark else first}),
        title=f"Sort by {column.title.lower()}",
    )


def _model(question: Question, one: ModelOverview) -> list[Any]:
    measure = next(iter(leading(one.kind)), NO_HEADLINE)
    number = said(one.headline.now, measure.unit)
    headline = html.Span([html.Span(measure.label, className="metric"), number])
    difference = change(delta(one.headline, measure.unit, measure.better))
    return [
        named(question, one),
        _drawn(
            unclipped(one, question.window.end),
            "inferences",
            compared(one.inferences, MODEL["inferences"]),
            from_zero=True,
        ),
        compared(one.error_rate, MODEL["error_rate"]),
        compared(one.latency, MODEL["latency"]),
        compared(one.truths, TRUTHS["n"]),
        _drawn(
            one.headlines,
            measure.label,
            html.Span([headline, difference], className="compared"),
            from_zero=False,
        ),
    ]


def _drawn(
    values: Sequence[float | None], title: str, number: Markup, *, from_zero: bool
) -> Markup:
    spark = sparkline(values, f"{title} over the window", from_zero=from_zero)
    return html.Div([spark, number], className="with-spark")


def named(question: Question, one: ModelOverview) -> Markup:
    """A model's name, which leads to its page, what it does and what it belongs to."""
    place = " / ".join(filter(None, (one.name.namespace, one.name.pipeline)))
    kind = one.kind or "kind not known yet"
    return html.Div(
        [
            html.A(one.name.name, href=model_link(question, one.name), className="name"),
            html.Span(f"{kind} · {place}" if place else kind, className="quiet place"),
        ]
    )


def model_link(question: Question, name: ModelName) -> str:
    """The URL of a model's page, with the same window."""
    members = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    return "/model" + query(members | common(question.members))


def model_rows(_: Question, found: Sequence[ModelOverview]) -> Rows:
    """A line per model; `prev_` is the period before."""
    counted = [MODEL[name] for name in ("inferences", "errors", "error_rate", "latency")]
    measures = [*(measure.client_name for measure in counted), "truths", "headline"]
    pairs = [name for measure in measures for name in (measure, f"prev_{measure}")]
    yield ["namespace", "pipeline", "model", "kind", *pairs]
    for one in found:
        numbers = (*(getattr(one, measure.name) for measure in counted), one.truths, one.headline)
        yield [*one.name, one.kind, *(n for pair in numbers for n in (pair.now, pair.before))]


PAGE = Page(
    "/",
    "Models",
    (
        Panel("totals", "", find_totals, show_totals, rests_on=of_totals),
        Panel("models", "Models", find_models, show_models, model_rows, models_rest_on),
    ),
)
