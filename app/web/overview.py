"""The first page: which model got worse. A line per model, compared with the preceding period."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.query.inferences import Compared, error_rate
from app.query.measure import Better, Measure
from app.query.measures import MODEL, TRUTHS
from app.query.noise import FEW
from app.query.overview import ModelOverview, overview, overview_basis
from app.query.question import Basis
from app.query.question import Question as Query
from app.query.subjects import ALL, Selection
from app.query.window import Grid
from app.store.registry import ModelName
from app.web import markup as html
from app.web.monitors import FIRING_NOW
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import DAY, EVERY, Question, automatic_interval, common, grid_of, query_string
from app.web.request_links import finder
from app.web.selects import select
from app.web.tables import change, labelled, note, sparkline
from app.web.triage import (
    COLUMNS,
    DEFAULT_SORT,
    DESCENDING,
    NO_NAMESPACE,
    STATES,
    Column,
    failing,
    headline_of,
    in_state,
    kind_of,
    moved,
    namespace_of,
    selected,
    silent,
    sort_models,
)
from app.web.units import Delta, all_digits, delta, format_number, weighed

# As many points as a sparkline has room for. In windows of several days each point is a day, for
# which cells exist.
POINTS, BY_DAYS = 31, 4 * DAY
NO_MODELS = (
    "No model has sent anything yet. Send predictions to /api/v1/predictions, or to an endpoint of"
    " Seldon's, H2O's or Roboflow's that your models already use."
)
SILENT = Delta("silent", "worse", f"no requests, after at least {FEW} in the preceding period")
# Why a model is high in the list, where a narrow screen shows no more than the headline metric.
REASONS = (("failing", failing), ("silent", silent))
MOST_SHOWN = 500  # a browser takes seconds for more; the CSV has all


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


def show_models(question: Question, models: Sequence[ModelOverview]) -> list[Node]:
    """A line per model, filtered and sorted as the URL says."""
    if not models:
        return [note(NO_MODELS)]
    chosen = selected(question, models)
    matching = sort_models(question.members, in_state(question.members.get("show", ""), chosen))
    rows = [_row(question, model) for model in matching[:MOST_SHOWN]]
    left_out = len(matching) - len(rows)
    return [
        dash_html.Div(_filters(question, models), className="filters"),
        html.Div([_states(question, chosen), _totals(chosen)], className="triage"),
        _table(question, rows) if rows else note(f"None of {len(models)} models matches."),
        finder(question),
        *(
            [note(f"{left_out:,} more are not shown: filter them, or see the CSV.")]
            * (left_out > 0)
        ),
    ]


def _filters(question: Question, models: Sequence[ModelOverview]) -> list[Component]:
    """Inputs for a part of the name, the namespace and the kind; none for what all have alike."""
    names = sorted({namespace_of(model) for model in models})
    kinds = sorted({kind_of(model) for model in models})
    labels = {NO_NAMESPACE: "no namespace"}
    finder = dmc.TextInput(
        id={"choice": "q"},
        value=question.members.get("q", ""),
        placeholder="Find a model",
        size="xs",
        debounce=300,
        className="finder",
        **labelled("Find a model by name"),
    )
    choices = [("namespace", "namespaces", names), ("kind", "kinds", kinds)]
    selects = [
        _choice(question, name, f"all {plural}", {value: labels.get(value, value) for value in of})
        for name, plural, of in choices
        if len(of) > 1 or question.members.get(name)
    ]
    return [finder, *selects]


def _choice(question: Question, name: str, every: str, labels: dict[str, str]) -> Component:
    value = question.members.get(name) or EVERY
    known = {EVERY: every, **({} if value == EVERY else {value: value}), **labels}
    options = [{"value": value, "label": label} for value, label in known.items()]
    words = labelled(name.capitalize())
    return select({"choice": name}, options, value=value, searchable=True, **words)


def _states(question: Question, models: Sequence[ModelOverview]) -> Markup:
    """How many models are in each state, each a link that shows them alone."""
    shown = question.members.get("show", "")
    counted = [("", "All", "all models", len(models))] + [
        (state.name, state.title, state.meaning, sum(map(state.holds, models))) for state in STATES
    ]
    return html.Div(
        [
            html.A(
                [title, html.Strong(f"{number:,}")],
                href=_link(question, show=name),
                title=meaning,
                className=f"state {name} {'none' if not number else ''}".strip(),
                **({"aria-current": "true"} if name == shown else {}),
            )
            for name, title, meaning, number in counted
            if number or name in ("", "worse", shown)
        ],
        className="states",
        role="group",
        **labelled("Models by state"),
    )


def _totals(models: Sequence[ModelOverview]) -> Markup:
    """Requests to the selected models."""
    inferences, errors = (
        Compared(sum(one.now for one in numbers), sum(one.previous for one in numbers))
        for numbers in ([m.inferences for m in models], [m.errors for m in models])
    )
    shares = error_rate(inferences, errors)
    parts = []
    for numbers, measure in ((inferences, MODEL["inferences"]), (shares, MODEL["error_rate"])):
        parts += [
            html.Strong(format_number(numbers.now, measure.unit)),
            f" {measure.title.lower()} ",
            change(delta(numbers, measure.unit, Better.NEITHER)),
            " ",
        ]
    return html.P(parts, className="quiet totals")


def _link(question: Question, **members: str) -> str:
    return "/" + query_string({**question.members, **members})


def _table(question: Question, rows: Sequence[Markup]) -> Markup:
    heads = [_head(question, column) for column in COLUMNS]
    heads.insert(SPARK_AT, html.Th("Trend", scope="col", className="trend"))
    return html.Div(
        html.Table(
            [
                html.Caption("Models of the workspace", className="hidden"),
                html.Thead(html.Tr(heads)),
                html.Tbody(rows),
            ],
            className="table models",
        ),
        className="scroll",
        tabIndex=0,
        role="region",
        **labelled("Models of the workspace"),
    )


# The sparkline of the headline metric is next to its number of truths.
SPARK_AT = 4


def _head(question: Question, column: Column) -> Markup:
    """A header that sorts: numbers in descending order first, changes with the worst first."""
    sort = question.members.get("sort", DEFAULT_SORT)
    current = sort.removeprefix(DESCENDING) == column.name
    down = sort.startswith(DESCENDING)
    order = column.opposite if current and sort == column.first + column.name else column.first
    attributes = {"aria-sort": "descending" if down else "ascending"} if current else {}
    mark = html.Span("↓" if down else "↑", className="mark", **{"aria-hidden": "true"})
    link = html.A(
        [column.title, mark if current else None],
        href=_link(question, sort=order + column.name),
        title=f"Sort by {column.title.lower()}",
    )
    class_name = "" if column.name == "name" else "number"
    return html.Th(link, scope="col", className=class_name, **attributes)


def _row(question: Question, model: ModelOverview) -> Markup:
    return html.Tr(
        [
            _name(question, model),
            *_headline(model),
            _number(model.truths, TRUTHS["n"], None, "truths"),
            html.Td(_trend(model), className="trend"),
            _number(model.inferences, MODEL["inferences"], _volume(model), "inferences"),
            _number(model.error_rate, MODEL["error_rate"], _failures(model), "errors"),
            _number(model.latency, MODEL["latency"], _drift(model), "latency"),
        ]
    )


def _headline(model: ModelOverview) -> tuple[Markup, Markup]:
    """The metric with its name, and its change."""
    measure = headline_of(model)
    difference = delta(model.headline, measure.unit, measure.better)
    judged = difference and weighed(difference, model.headline_change, model.headline, measure.unit)
    name = html.Span(measure.label or kind_of(model), className="metric")
    number = format_number(model.headline.now, measure.unit)
    digits = all_digits(model.headline.now, measure.unit)
    reason = next((words for words, holds in REASONS if holds(model) and moved(model) >= 0), None)
    pill = html.Span(reason, className="change worse reason") if reason else None
    return (
        html.Td([name, number], className="number headline", title=f"{measure.title}: {digits}"),
        html.Td([change(judged), pill], className="number judged"),
    )


def _number(
    numbers: Compared[Any], measure: Measure, difference: Delta | None, class_name: str
) -> Markup:
    shown = [format_number(numbers.now, measure.unit)]
    return html.Td(
        [*shown, change(difference) if difference else None], className=f"number {class_name}"
    )


def _volume(model: ModelOverview) -> Delta | None:
    if silent(model):
        return SILENT
    return delta(model.inferences, MODEL["inferences"].unit, MODEL["inferences"].better)


def _failures(model: ModelOverview) -> Delta | None:
    measure, numbers = MODEL["error_rate"], model.error_rate
    difference = delta(numbers, measure.unit, measure.better)
    return difference and weighed(difference, model.failure_change, numbers, measure.unit)


def _drift(model: ModelOverview) -> Delta | None:
    """The change of a latency, never judged: its variance is not kept."""
    return delta(model.latency, MODEL["latency"].unit, Better.NEITHER)


def _trend(model: ModelOverview) -> Markup:
    label = headline_of(model).label or "Headline metric"
    return sparkline(model.bucket_headlines, f"{label} over the window", from_zero=False)


def _name(question: Question, model: ModelOverview) -> Markup:
    """A model's name as a link to its page, and where it belongs; cut to the width there is."""
    place = " / ".join(filter(None, (model.name.namespace, model.name.pipeline)))
    full = f"{model.name.name} · {place}" if place else model.name.name
    link = html.A(model.name.name, href=model_link(question, model.name), className="name")
    parts = [link, html.Span(place, className="quiet place") if place else None]
    return html.Th(
        html.Div(parts, className="one-line", title=full), scope="row", className="model"
    )


def model_link(question: Question, name: ModelName) -> str:
    """The URL of a model's page, with the same window."""
    members = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    return "/model" + query_string(members | common(question.members))


def model_rows(question: Question, models: Sequence[ModelOverview]) -> Rows:
    """A line per model, those selected, in the order of the page; `prev_` is the preceding period.

    `change_low` and `change_high` are the interval of the difference of the headline metric.
    """
    counted = [MODEL[name] for name in ("inferences", "errors", "error_rate", "latency")]
    measures = [*(measure.client_name for measure in counted), "truths", "headline"]
    pairs = [name for measure in measures for name in (measure, f"prev_{measure}")]
    yield ["namespace", "pipeline", "model", "kind", *pairs, "metric", "change_low", "change_high"]
    shown = in_state(question.members.get("show", ""), selected(question, models))
    for model in sort_models(question.members, shown):
        numbers = (
            *(getattr(model, measure.name) for measure in counted),
            model.truths,
            model.headline,
        )
        pair_values = [n for pair in numbers for n in (pair.now, pair.previous)]
        interval = model.headline_change
        bounds = [interval.low, interval.high] if interval else [None, None]
        yield [*model.name, model.kind, *pair_values, headline_of(model).name, *bounds]


PAGE = Page(
    "/",
    "",
    (FIRING_NOW, Panel("models", "Models", find_models, show_models, model_rows, models_basis)),
)
