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
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import average, form_of
from app.web.question import Question
from app.web.tables import note, table
from app.web.units import format_number

NO_VERSION = "(no version)"


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions in the selected scope, and the kind of the model."""

    kind: Kind | None
    versions: Sequence[Version]


def find(context: PanelContext) -> Versions:
    """Query all versions."""
    query = of_model(context)
    return Versions(query.subject.kind, versions(context.conn, query, average(context.question)))


def show(question: Question, result: Versions) -> list[Node]:
    """A row per version, and a line for each over time."""
    if not result.versions:
        return [note("No version has received requests yet.")]
    measures = [*REQUESTS.values(), TRUTHS["n"], *leading(result.kind)]
    heads: list[Any] = [("Version", ""), *(measure.label for measure in measures)]
    rows = [
        [
            version.name or NO_VERSION,
            *(format_number(n, m.unit) for m, n in zip(measures, _numbers(version), strict=True)),
        ]
        for version in result.versions
    ]
    return [table("Versions side by side", heads, rows), *_lines(question, result)]


def _lines(question: Question, result: Versions) -> list[Node]:
    with_truths = [version for version in result.versions if version.truths]
    if not with_truths:
        return []
    title = leading(result.kind)[0].label
    return [
        charts.lines(
            f"{title} of each version over time",
            question,
            with_truths[0].starts,
            {
                f"{title} of {version.name or NO_VERSION}": version.headlines
                for version in with_truths
            },
            form=form_of(result.kind),
        )
    ]


def rows(_: Question, result: Versions) -> Rows:
    """A line per version."""
    measures = [*REQUESTS.values(), TRUTHS["n"], *leading(result.kind)]
    yield ["version", *(measure.name for measure in measures)]
    for version in result.versions:
        yield [version.name, *_numbers(version)]


def _numbers(version: Version) -> list[float | None]:
    return [*(getattr(version, name) for name in REQUESTS), version.truths, *version.measures]


def of_whole_window(context: PanelContext) -> Basis:
    """The basis of the numbers in the table."""
    return basis_within(context, context.question.window, Grid(), *BOTH)


BASIS = of_all(of_whole_window, of_window(Counted.OUTCOME))
PANEL = Panel("versions", "Versions", find, show, rows, BASIS)
