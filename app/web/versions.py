"""The versions of a model side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.query.question import Basis, Counted
from app.query.versions import MEASURES as FIELDS
from app.query.versions import Version, versions
from app.query.window import Grid
from app.store.registry import Kind
from app.web import charts
from app.web.basis import BOTH, basis_within, of_all, of_model, of_window
from app.web.panels import Look, Panel, Part, Rows
from app.web.quality import FORMS, MEASURES, average
from app.web.question import Question
from app.web.tables import nothing, table
from app.web.units import Unit, said

NO_VERSION = "(no version)"


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of what is looked at, and what the model does."""

    kind: Kind | None
    versions: Sequence[Version]


def find(look: Look) -> Versions:
    """Ask for each version."""
    asked = of_model(look)
    found = versions(look.conn, asked, average(look.question))
    return Versions(asked.subject.kind, found)


def show(question: Question, found: Versions) -> list[Part]:
    """A row per version, and a line for each over time."""
    if not found.versions:
        return [nothing("No version has answered anything yet.")]
    measures = {one.name: one for one in MEASURES.get(found.kind, ())}
    shown = [measures[name] for name in FIELDS.get(found.kind, ())]
    heads: list[Any] = [
        ("Version", ""),
        "Inferences",
        "Failed",
        "Mean latency",
        "Truths",
        *(one.title for one in shown),
    ]
    rows = [
        [
            one.name or NO_VERSION,
            said(one.answered, Unit.COUNT),
            said(one.failed, Unit.COUNT),
            said(one.mean_latency_ms, Unit.MILLISECONDS),
            said(one.truths, Unit.COUNT),
            *(said(n, m.unit) for m, n in zip(shown, one.measures, strict=True)),
        ]
        for one in found.versions
    ]
    return [table("Versions side by side", heads, rows), *_lines(question, found)]


def _lines(question: Question, found: Versions) -> list[Part]:
    known = [one for one in found.versions if one.truths]
    if not known:
        return []
    title = MEASURES[found.kind][0].title
    return [
        charts.lines(
            f"{title} of each version over time",
            question,
            known[0].starts,
            {f"{title} of {one.name or NO_VERSION}": one.headlines for one in known},
            form=FORMS[found.kind],
        )
    ]


def rows(_: Question, found: Versions) -> Rows:
    """A line per version."""
    yield ["version", "answered", "failed", "mean_latency_ms", "n", *FIELDS.get(found.kind, ())]
    for one in found.versions:
        numbers = (one.answered, one.failed, one.mean_latency_ms, one.truths)
        yield [one.name, *numbers, *one.measures]


def of_whole_window(look: Look) -> Basis:
    """What the numbers of the table rest on."""
    return basis_within(look, look.question.window, Grid(), *BOTH)


RESTS_ON = of_all(of_whole_window, of_window(Counted.OUTCOME))
PANEL = Panel("versions", "Versions", find, show, rows, RESTS_ON)
