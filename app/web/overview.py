"""The first page: every model of the workspace, compared with the preceding period."""

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
from app.query.question import Question as Query
from app.query.subjects import ALL, Selection
from app.query.window import Grid
from app.store.registry import ModelName
from app.web import markup as html
from app.web.basis import of_totals
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import DAY, Question, automatic_interval, common, grid_of, query_string
from app.web.tables import change, compared, labelled, note, sparkline, table, tile
from app.web.units import delta, format_number

# As many points as a sparkline has room for. In windows of several days each point is a day, for
# which cells exist.
POINTS, BY_DAYS = 31, 4 * DAY
# A bucket shorter than this share of its neighbour was clipped by the window.
WHOLE = 0.9
NO_HEADLINE = Measure("headline", "", Unit.NUMBER, Better.NEITHER, "of a kind without metrics")
NO_MODELS = (
    "No model has sent anything yet. Send predictions to /api/v1/predictions, or to an endpoint of"
    " Seldon's, H2O's or Roboflow's that your models already use."
)

TOTALS_ARE_OF_NOW = "Totals are as of now; the models below are as of the requested moment."


def find_totals(context: PanelContext) -> Totals:
    """All inferences of the workspace."""
    return inference_totals(context.conn, context.query.about(ALL))


def show_totals(question: Question, totals: Totals) -> list[Markup]:
    """Four numbers."""
    tiles = (
        tile(TOTALS[name].title, compared(getattr(totals, name), TOTALS[name]))
        for name in ("inferences", "error_rate", "latency", "confidence")
    )
    shown = html.Dl(tiles, className="tiles")
    return [shown, note(TOTALS_ARE_OF_NOW)] if question.as_of else [shown]


def find_models(context: PanelContext) -> list[ModelOverview]:
    """All models of the workspace."""
    return overview(context.conn, _sparkline_query(context))


def models_basis(context: PanelContext) -> Basis:
    """The basis of the models' numbers."""
    return overview_basis(context.conn, _sparkline_query(context))


def _sparkline_query(context: PanelContext) -> Query[Selection]:
    return context.query.about(ALL).over(context.question.window, sparkline_grid(context.question))


def sparkline_grid(question: Question) -> Grid:
    """The buckets of sparklines, on full hours or days, so that no cells are cut."""
    interval = automatic_interval(question.window, POINTS)
    if question.window.length >= BY_DAYS and interval.endswith("h"):
        interval = "1d"
    return grid_of(interval, question.window, question.zone)


def unclipped(model: ModelOverview, end: datetime) -> Sequence[int]:
    """Inferences per bucket without a clipped first or last bucket, which would look idle."""
    edges = [*model.bucket_starts, end]
    lengths = [end - start for start, end in pairwise(edges)]
    if len(lengths) < 3:  # noqa: PLR2004 - without a middle bucket there is none to compare with
        return model.bucket_inferences
    first = lengths[0] < WHOLE * lengths[1]
    last = lengths[-1] < WHOLE * lengths[-2]
    return model.bucket_inferences[first : len(lengths) - last]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the overview: its title, its name in the URL, and its sort key."""

    title: str
    name: str
    of: Callable[[ModelOverview], Any]


COLUMNS = (
    Column("Model", "name", lambda model: model.name.name),
    Column(MODEL["inferences"].title, "inferences", lambda model: model.inferences.now),
    Column(MODEL["error_rate"].title, "errors", lambda model: model.error_rate.now),
    Column(MODEL["latency"].title, "latency", lambda model: model.latency.now),
    Column(TRUTHS["n"].title, "truths", lambda model: model.truths.now),
    Column("Headline metric", "headline", lambda model: model.headline.now),
)
DESCENDING = "-"
MOST_SHOWN = 500  # a browser takes seconds for more; the CSV has all


def show_models(question: Question, models: Sequence[ModelOverview]) -> list[Node]:
    """A row per model, filtered and sorted as the URL says."""
    if not models:
        return [note(NO_MODELS)]
    sought = question.members.get("q", "")
    matching = [model for model in sort_models(question, models) if _has(model, sought)]
    rows = [_model(question, model) for model in matching[:MOST_SHOWN]]
    left_out = len(matching) - len(rows)
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
        else note(f"None of {len(models)} models has “{sought}” in its name."),
        *(
            [note(f"{left_out:,} more models are not shown: find them by name.")]
            if left_out
            else []
        ),
    ]


def _has(model: ModelOverview, sought: str) -> bool:
    return sought.casefold() in str(model.name).casefold()


def sort_models(question: Question, models: Sequence[ModelOverview]) -> Sequence[ModelOverview]:
    """Sorted by a column, unknown values last; by default the busiest model first.

    Raises:
        InvalidInput: there is no such column.
    """
    sort = question.members.get("sort", "")
    if not sort:
        return models
    column = next(
        (column for column in COLUMNS if column.name == sort.removeprefix(DESCENDING)), None
    )
    if column is None:
        raise InvalidInput(f"sort must be one of {', '.join(column.name for column in COLUMNS)}")
    with_value = [model for model in models if column.of(model) is not None]
    without_value = [model for model in models if column.of(model) is None]
    return sorted(with_value, key=column.of, reverse=sort.startswith(DESCENDING)) + without_value


def _head(question: Question, column: Column) -> Markup:
    """A header that sorts: numbers in descending order first."""
    sort = question.members.get("sort", "")
    down = sort == DESCENDING + column.name
    first = column.name if column.name == "name" else DESCENDING + column.name
    other = column.name if down else DESCENDING + column.name
    mark = ("↓" if down else "↑") if sort.removeprefix(DESCENDING) == column.name else ""
    return html.A(
        [column.title, html.Span(mark, className="mark")],
        href="/" + query_string({**question.members, "sort": other if mark else first}),
        title=f"Sort by {column.title.lower()}",
    )


def _model(question: Question, model: ModelOverview) -> list[Any]:
    measure = next(iter(leading(model.kind)), NO_HEADLINE)
    number = format_number(model.headline.now, measure.unit)
    headline = html.Span([html.Span(measure.label, className="metric"), number])
    difference = change(delta(model.headline, measure.unit, measure.better))
    return [
        name_cell(question, model),
        _drawn(
            unclipped(model, question.window.end),
            "inferences",
            compared(model.inferences, MODEL["inferences"]),
            from_zero=True,
        ),
        compared(model.error_rate, MODEL["error_rate"]),
        compared(model.latency, MODEL["latency"]),
        compared(model.truths, TRUTHS["n"]),
        _drawn(
            model.bucket_headlines,
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


def name_cell(question: Question, model: ModelOverview) -> Markup:
    """A model's name as a link to its page, its kind, namespace and pipeline."""
    place = " / ".join(filter(None, (model.name.namespace, model.name.pipeline)))
    kind = model.kind or "kind not known yet"
    return html.Div(
        [
            html.A(model.name.name, href=model_link(question, model.name), className="name"),
            html.Span(f"{kind} · {place}" if place else kind, className="quiet place"),
        ]
    )


def model_link(question: Question, name: ModelName) -> str:
    """The URL of a model's page, with the same window."""
    members = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    return "/model" + query_string(members | common(question.members))


def model_rows(_: Question, models: Sequence[ModelOverview]) -> Rows:
    """A line per model; `prev_` is the preceding period."""
    counted = [MODEL[name] for name in ("inferences", "errors", "error_rate", "latency")]
    measures = [*(measure.client_name for measure in counted), "truths", "headline"]
    pairs = [name for measure in measures for name in (measure, f"prev_{measure}")]
    yield ["namespace", "pipeline", "model", "kind", *pairs]
    for model in models:
        numbers = (
            *(getattr(model, measure.name) for measure in counted),
            model.truths,
            model.headline,
        )
        yield [*model.name, model.kind, *(n for pair in numbers for n in (pair.now, pair.previous))]


PAGE = Page(
    "/",
    "Models",
    (
        Panel("totals", "", find_totals, show_totals, basis=of_totals),
        Panel("models", "Models", find_models, show_models, model_rows, models_basis),
    ),
)
