"""The versions of a model side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.query.measures import REQUESTS, TRUTHS, leading
from app.query.question import Basis, Counted
from app.query.versions import Version, versions
from app.query.window import Grid
from app.store.registry import Kind
from app.web import charts
from app.web.basis import BOTH, basis_within, of_all, of_model, of_window
from app.web.panels import Look, Panel, Part, Rows
from app.web.quality import average, form_of
from app.web.question import Question
from app.web.tables import nothing, table
from app.web.units import said

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
    shown = [*REQUESTS.values(), TRUTHS["n"], *leading(found.kind)]
    heads: list[Any] = [("Version", ""), *(measure.label for measure in shown)]
    rows = [
        [
            one.name or NO_VERSION,
            *(said(n, m.unit) for m, n in zip(shown, _numbers(one), strict=True)),
        ]
        for one in found.versions
    ]
    return [table("Versions side by side", heads, rows), *_lines(question, found)]


def _lines(question: Question, found: Versions) -> list[Part]:
    known = [one for one in found.versions if one.truths]
    if not known:
        return []
    title = leading(found.kind)[0].label
    return [
        charts.lines(
            f"{title} of each version over time",
            question,
            known[0].starts,
            {f"{title} of {one.name or NO_VERSION}": one.headlines for one in known},
            form=form_of(found.kind),
        )
    ]


def rows(_: Question, found: Versions) -> Rows:
    """A line per version."""
    shown = [*REQUESTS.values(), TRUTHS["n"], *leading(found.kind)]
    yield ["version", *(measure.name for measure in shown)]
    for one in found.versions:
        yield [one.name, *_numbers(one)]


def _numbers(one: Version) -> list[float | None]:
    return [*(getattr(one, name) for name in REQUESTS), one.truths, *one.measures]


def of_whole_window(look: Look) -> Basis:
    """What the numbers of the table rest on."""
    return basis_within(look, look.question.window, Grid(), *BOTH)


RESTS_ON = of_all(of_whole_window, of_window(Counted.OUTCOME))
PANEL = Panel("versions", "Versions", find, show, rows, RESTS_ON)
