"""The first page: every model of the workspace, now against the period before."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app.query.inferences import Totals, inference_totals
from app.query.overview import ModelOverview, overview
from app.store.registry import Kind, ModelName
from app.web.panels import Look, Page, Panel, Rows
from app.web.question import Question, common, query
from app.web.tables import compared, nothing, sparkline, table, tile
from app.web.units import Good, Unit

HEADLINES = {
    Kind.CLASSIFICATION: ("accuracy", Unit.SHARE, Good.UP),
    Kind.REGRESSION: ("RMSE", Unit.OWN, Good.DOWN),
}
NO_HEADLINE = ("", Unit.OWN, Good.NEITHER)
NO_MODELS = (
    "No model has sent anything yet. Send predictions to /api/v1/predictions, or to an endpoint of"
    " Seldon's, H2O's or Roboflow's that your models already use."
)


def find_totals(look: Look) -> Totals:
    """All inferences of the workspace."""
    return inference_totals(look.conn, workspace_id=look.workspace_id, window=look.question.window)


def show_totals(_: Question, found: Totals) -> Component:
    """Four numbers."""
    tiles = (
        tile("Inferences", compared(found.inferences, Unit.COUNT)),
        tile("Error rate", compared(found.error_rate, Unit.SHARE, Good.DOWN)),
        tile("Mean latency per output", compared(found.latency, Unit.SECONDS, Good.DOWN)),
        tile("Mean confidence", compared(found.confidence, Unit.SHARE)),
    )
    return html.Dl(tiles, className="tiles")


def find_models(look: Look) -> list[ModelOverview]:
    """All models of the workspace."""
    asked = look.question
    return overview(
        look.conn, workspace_id=look.workspace_id, window=asked.window, as_of=asked.as_of
    )


def show_models(question: Question, found: Sequence[ModelOverview]) -> Component:
    """A row per model."""
    if not found:
        return nothing(NO_MODELS)
    heads = [
        ("Model", ""),
        ("Kind", "text"),
        "Inferences",
        ("", "spark-head"),
        "Error rate",
        "Latency",
        "Truths",
        "Headline",
        ("", "spark-head"),
    ]
    rows = [_model(question, one) for one in found]
    return table("Models of the workspace", heads, rows, kind="models")


def _model(question: Question, one: ModelOverview) -> list[Any]:
    name, unit, good = HEADLINES.get(one.kind, NO_HEADLINE) if one.kind else NO_HEADLINE
    return [
        named(question, one.name),
        html.Td(one.kind or "not known yet", className="text quiet"),
        compared(one.inferences, Unit.COUNT),
        html.Td(sparkline(one.volumes, "Inferences over the window"), className="spark-cell"),
        compared(one.error_rate, Unit.SHARE, Good.DOWN),
        compared(one.latency, Unit.SECONDS, Good.DOWN),
        compared(one.truths, Unit.COUNT),
        html.Span([html.Span(name, className="metric"), compared(one.headline, unit, good)]),
        html.Td(
            sparkline(one.headlines, f"{name} over the window", from_zero=False),
            className="spark-cell",
        ),
    ]


def named(question: Question, name: ModelName) -> Component:
    """A model's name, which leads to its page, and what it belongs to."""
    return html.Div(
        [
            dcc.Link(name.name, href=model_link(question, name), className="name"),
            html.Span(" / ".join(filter(None, name[:2])), className="quiet place"),
        ]
    )


def model_link(question: Question, name: ModelName) -> str:
    """The URL of a model's page, with the same window."""
    members = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    return "/model" + query(members | common(question.members))


def model_rows(_: Question, found: Sequence[ModelOverview]) -> Rows:
    """A line per model; `prev_` is the period before."""
    measures = ("inferences", "errors", "error_rate", "latency_seconds", "truths", "headline")
    pairs = [name for measure in measures for name in (measure, f"prev_{measure}")]
    yield ["namespace", "pipeline", "model", "kind", *pairs]
    for one in found:
        numbers = (
            one.inferences,
            one.errors,
            one.error_rate,
            one.latency,
            one.truths,
            one.headline,
        )
        yield [*one.name, one.kind, *(n for pair in numbers for n in (pair.now, pair.before))]


PAGE = Page(
    "/",
    "Models",
    (
        Panel("totals", "", find_totals, show_totals),
        Panel("models", "Models", find_models, show_models, model_rows),
    ),
)
