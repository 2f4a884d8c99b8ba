"""A model's page: quality, requests and latency, after and before, and its versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.query.classification import Average
from app.query.health import RequestVolume
from app.query.measures import TRUTHS, leading
from app.query.models import Portrait, portrait
from app.query.question import Basis
from app.query.window import Window
from app.store.registry import Kind
from app.web import late_truths, quality, score_curves, scores, slices, traffic, versions
from app.web import markup as html
from app.web.basis import BOTH, basis_text
from app.web.comparison import (
    VERSION,
    WINDOW,
    Pair,
    choice,
    described,
    sides_basis,
    spans,
    words,
)
from app.web.markup import to_component
from app.web.panels import Node, Page, Panel, PanelContext
from app.web.question import EVERY, NOTHING, SELECTED, Question, query_string
from app.web.request_links import requests_link
from app.web.selects import select
from app.web.tables import tile
from app.web.units import count


@dataclass(frozen=True, slots=True)
class Summary:
    """A model at a glance: both windows, and their basis."""

    portrait: Portrait
    spans: Pair[Window]
    volumes: Pair[RequestVolume]
    qualities: Pair[quality.Bucket | None]
    differences: quality.Differences
    basis: Basis


def find_summary(context: PanelContext) -> Summary:
    """Both windows.

    Raises:
        UnknownModel: the workspace has no such model.
    """
    name = context.question.model
    return Summary(
        portrait(context.conn, workspace_id=context.workspace_id, name=name),
        spans(context),
        traffic.both_volumes(context),
        quality.both_qualities(context),
        quality.differences(context),
        sides_basis(*BOTH)(context),
    )


def show_summary(question: Question, summary: Summary) -> list[Node]:
    """The model's name, what to show and to compare with, and its numbers."""
    tiles = [*_quality_tiles(question, summary), *traffic.volume_tiles(summary.volumes)]
    return [
        dash_html.Div(
            [
                to_component(_name(question, summary.portrait), "model-title"),
                dash_html.Div([*_choices(question, summary.portrait)], className="choices"),
            ],
            className="model-head",
        ),
        to_component(_compared(question, summary.spans), "compared-with"),
        *_tagged(question),
        html.Dl(tiles, className="tiles"),
        html.P(basis_text(question, summary.basis), className="quiet basis"),
    ]


def _name(question: Question, portrait: Portrait) -> Markup:
    name = question.model
    place = " / ".join(filter(None, (name.namespace, name.pipeline)))
    return Markup("").join(
        (
            html.Span(place, className="quiet place", title=place) if place else "",
            html.H1(name.name, className="model-name", title=name.name),
            html.Span(portrait.kind or "kind not known yet", className="kind"),
        )
    )


def _compared(question: Question, windows: Pair[Window]) -> Markup:
    """What is shown, and what it is compared with; a link ends a selection."""
    version = question.scope.version
    after = words(question, windows.after) + (f", {version}" if version else "")
    parts = [html.Span([html.Span(className="swatch after"), after], className="side")]
    if windows.before:
        before = f"{described(question)}: {words(question, windows.before)}"
        swatch = html.Span(className="swatch before")
        parts.append(html.Span([swatch, f"vs {before}"], className="side"))
        drift = "/drift" + query_string(question.members)
        parts.append(html.A("drift, and what changed", href=drift))
    if any(question.members.get(name) for name in CHOSEN):
        ended = {**question.members, **dict.fromkeys(CHOSEN)}
        parts.append(html.A("end the comparison", href="/model" + query_string(ended)))
    return html.P(parts, className="sides")


def _tagged(question: Question) -> list[Node]:
    """Which predictions count, if not all; a link ends the choice."""
    if not question.scope.tags:
        return []
    every = "/model" + query_string({**question.members, "tag": None})
    words = f"Only predictions with {question.scope.tags}"
    return [html.P([html.Span(words), " ", html.A("show all", href=every)], className="sides")]


CHOSEN = (*SELECTED, "beforeVersion")


# --- what to choose -----------------------------------------------------------------------


def _choices(question: Question, portrait: Portrait) -> Iterator[Component]:
    """Inputs for the version, the deployment, the average, and what is compared."""
    if portrait.versions:
        yield _scope(question, "version", portrait.versions)
    if portrait.deployments:
        yield _scope(question, "deployment", portrait.deployments)
    if portrait.kind is Kind.CLASSIFICATION:
        data = [{"value": name.value, "label": name.value} for name in Average]
        yield _select("average", "Average", data, quality.average(question), w=100)
    yield _select("compare", "Compare with", _others(question, portrait), choice(question), w=160)
    if question.before:
        yield _window("after", "After", question)
        yield _window("before", "Before", question)


# Longer lists are searchable.
MANY = 8


def _scope(question: Question, part: str, names: Sequence[str]) -> Component:
    every = {
        "value": EVERY,
        "label": f"all {len(names)} {part}s" if len(names) > 1 else f"any {part}",
    }
    data = [every, *({"value": name, "label": name} for name in names)]
    return _select(part, part.capitalize(), data, question.members.get(part) or EVERY, w=140)


def _others(question: Question, portrait: Portrait) -> list[dict[str, str]]:
    """What can be compared with."""
    version = question.scope.version
    others = [name for name in portrait.versions if name != version]
    return [
        {"value": EVERY, "label": "the period before"},
        *({"value": VERSION + name, "label": f"version {name}"} for name in others),
        {"value": WINDOW, "label": "another time …"},
        {"value": NOTHING, "label": "nothing"},
    ]


def _select(name: str, label: str, data: list[dict[str, str]], value: str, w: int) -> Component:
    return select(
        {"choice": name}, data, label=label, w=w, value=value, searchable=len(data) > MANY
    )


def _window(name: str, label: str, question: Question) -> Component:
    """Two times, to be typed or pasted."""
    return dmc.TextInput(
        id={"choice": name},
        label=label,
        size="xs",
        w=330,
        value=question.members.get(name, ""),
        placeholder=words(question, question.window),
        debounce=True,
    )


# --- numbers ------------------------------------------------------------------------------


def _quality_tiles(question: Question, summary: Summary) -> Iterator[Markup]:
    pair = summary.qualities
    if pair.after is None:
        return
    for measure in (*leading(summary.portrait.kind)[:2], TRUTHS["n"]):
        of_truths = measure is TRUTHS["n"]
        title = "Truths known" if of_truths else quality.label_of(question, measure)
        below = _without_truth(question, summary) if of_truths else None
        yield tile(title, quality.both_of(pair, measure, summary.differences), below)


def _without_truth(question: Question, summary: Summary) -> Markup | None:
    """How many requests have no truth yet, as a link to them."""
    known = getattr(summary.qualities.after, "n", 0)
    missing = summary.volumes.after.answered - known
    if missing <= 0:
        return None
    href = requests_link(question, summary.spans.after, {"unlabelled": "true"})
    return html.A(f"{count(missing)} still without", href=href, className="without-truth")


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
        scores.PANEL,
        slices.PANEL,
        versions.PANEL,
        late_truths.PANEL,
        score_curves.PANEL,
    ),
)
