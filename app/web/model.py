"""A model's page: how good it was, what it answered, how fast, and how its versions compare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.query.health import Load, load
from app.query.inferences import Compared, error_rate, periods
from app.query.measures import MODEL, REQUESTS, TRUTHS, leading
from app.query.models import Portrait, portrait
from app.query.question import Basis
from app.web import markup as html
from app.web import quality, traffic, versions
from app.web.basis import BOTH, basis_within, in_words, of_model
from app.web.markup import drawn
from app.web.panels import Look, Page, Panel, Part
from app.web.question import EVERY, Question
from app.web.tables import compared, tile


@dataclass(frozen=True, slots=True)
class Summary:
    """A model at a glance: both periods, the one before first, and what they rest on."""

    portrait: Portrait
    load: Load
    qualities: Sequence[quality.Bucket]
    basis: Basis


def find_summary(look: Look) -> Summary:
    """Two periods side by side.

    Raises:
        UnknownModel: the workspace has no such model.
        InvalidWindow: there is no window of this length before it.
    """
    found = portrait(look.conn, workspace_id=look.workspace_id, name=look.question.model)
    both, halves = periods(look.question.window)
    return Summary(
        found,
        load(look.conn, of_model(look).over(both, halves)),
        quality.metrics(look, both, halves),
        basis_within(look, both, halves, *BOTH),
    )


def show_summary(question: Question, found: Summary) -> list[Part]:
    """The model's name, its parts to choose from, and its numbers."""
    return [
        dash_html.Div(
            [drawn(_name(question, found.portrait)), *_choices(question, found.portrait)],
            className="model-head",
        ),
        html.Dl([*_quality_tiles(found), *_load_tiles(found.load)], className="tiles"),
        html.P(in_words(question, found.basis), className="quiet basis"),
    ]


def _name(question: Question, found: Portrait) -> Markup:
    name = question.model
    place = " / ".join(filter(None, (name.namespace, name.pipeline)))
    return Markup("").join(
        (
            html.Span(place, className="quiet place") if place else "",
            html.H1(name.name, className="model-name"),
            html.Span(found.kind or "kind not known yet", className="kind"),
        )
    )


def _choices(question: Question, found: Portrait) -> Iterator[Component]:
    """Which part of the model is looked at; nothing to choose of what has no name."""
    if found.versions:
        yield _choice(question, "version", found.versions)
    if found.deployments:
        yield _choice(question, "deployment", found.deployments)


# More are found by typing.
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


def _quality_tiles(found: Summary) -> Iterator[Markup]:
    if not found.qualities:
        return
    before, now = found.qualities
    for measure in leading(found.portrait.kind)[:2]:
        numbers = Compared(getattr(now, measure.name), getattr(before, measure.name))
        yield tile(measure.label, compared(numbers, measure))
    yield tile("Truths known", compared(Compared(now.n, before.n), TRUTHS["n"]))


def _load_tiles(found: Load) -> Iterator[Markup]:
    before, now = found.buckets
    answered, failed = Compared(now.answered, before.answered), Compared(now.failed, before.failed)
    latency = Compared(now.mean_latency_ms, before.mean_latency_ms)
    for numbers, measure in (
        (answered, REQUESTS["answered"]),
        (error_rate(answered, failed), MODEL["error_rate"]),
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
