"""A model's page: quality, requests, latency, and a comparison of its versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.query.health import RequestVolume, request_volume
from app.query.inferences import Compared, error_rate, periods
from app.query.measures import MODEL, REQUESTS, TRUTHS, leading
from app.query.models import Portrait, portrait
from app.query.question import Basis
from app.web import markup as html
from app.web import quality, traffic, versions
from app.web.basis import BOTH, basis_text, basis_within, of_model
from app.web.markup import to_component
from app.web.panels import Node, Page, Panel, PanelContext
from app.web.question import EVERY, Question
from app.web.tables import compared, tile


@dataclass(frozen=True, slots=True)
class Summary:
    """A model at a glance: the preceding period, the window, and their basis."""

    portrait: Portrait
    volume: RequestVolume
    qualities: Sequence[quality.Bucket]
    basis: Basis


def find_summary(context: PanelContext) -> Summary:
    """The window compared with the preceding one.

    Raises:
        UnknownModel: the workspace has no such model.
        InvalidWindow: no window of this length precedes it.
    """
    both, halves = periods(context.question.window)
    return Summary(
        portrait(context.conn, workspace_id=context.workspace_id, name=context.question.model),
        request_volume(context.conn, of_model(context).over(both, halves)),
        quality.metric_buckets(context, both, halves),
        basis_within(context, both, halves, *BOTH),
    )


def show_summary(question: Question, summary: Summary) -> list[Node]:
    """The model's name, the scopes to choose from, and its numbers."""
    return [
        dash_html.Div(
            [
                to_component(_name(question, summary.portrait)),
                *_choices(question, summary.portrait),
            ],
            className="model-head",
        ),
        html.Dl([*_quality_tiles(summary), *_volume_tiles(summary.volume)], className="tiles"),
        html.P(basis_text(question, summary.basis), className="quiet basis"),
    ]


def _name(question: Question, portrait: Portrait) -> Markup:
    name = question.model
    place = " / ".join(filter(None, (name.namespace, name.pipeline)))
    return Markup("").join(
        (
            html.Span(place, className="quiet place") if place else "",
            html.H1(name.name, className="model-name"),
            html.Span(portrait.kind or "kind not known yet", className="kind"),
        )
    )


def _choices(question: Question, portrait: Portrait) -> Iterator[Component]:
    """Inputs for the version and the deployment; none if the model has no named ones."""
    if portrait.versions:
        yield _choice(question, "version", portrait.versions)
    if portrait.deployments:
        yield _choice(question, "deployment", portrait.deployments)


# Longer lists are searchable.
MANY = 8


def _choice(question: Question, part: str, names: Sequence[str]) -> Component:
    every = {
        "value": EVERY,
        "label": f"all {len(names)} {part}s" if len(names) > 1 else f"any {part}",
    }
    return dmc.Select(
        id={"choice": part},
        label=part.capitalize(),
        size="xs",
        w=160,
        allowDeselect=False,
        data=[every, *({"value": name, "label": name} for name in names)],
        value=question.members.get(part) or EVERY,
        searchable=len(names) > MANY,
    )


def _quality_tiles(summary: Summary) -> Iterator[Markup]:
    if not summary.qualities:
        return
    previous, now = summary.qualities
    for measure in leading(summary.portrait.kind)[:2]:
        numbers = Compared(getattr(now, measure.name), getattr(previous, measure.name))
        yield tile(measure.label, compared(numbers, measure))
    yield tile("Truths known", compared(Compared(now.n, previous.n), TRUTHS["n"]))


def _volume_tiles(volume: RequestVolume) -> Iterator[Markup]:
    previous, now = volume.buckets
    inferences, errors = (
        Compared(now.answered, previous.answered),
        Compared(now.failed, previous.failed),
    )
    latency = Compared(now.mean_latency_ms, previous.mean_latency_ms)
    for numbers, measure in (
        (inferences, REQUESTS["answered"]),
        (error_rate(inferences, errors), MODEL["error_rate"]),
        (latency, REQUESTS["mean_latency_ms"]),
    ):
        yield tile(measure.title, compared(numbers, measure))


PAGE = Page(
    "/model",
    "",
    (
        Panel("summary", "", find_summary, show_summary),
        quality.OVER_TIME,
        quality.BUCKET,
        traffic.VOLUME,
        traffic.LATENCY,
        traffic.STATS,
        traffic.CONFIDENCE,
        traffic.VALUES,
        versions.PANEL,
    ),
)
