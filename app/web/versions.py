"""The versions of a model side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.query.basis import basis_of
from app.query.measures import REQUESTS, TRUTHS, leading
from app.query.question import Basis, Counted
from app.query.versions import Version, versions
from app.query.window import Grid
from app.store.registry import Kind
from app.web import charts
from app.web import markup as html
from app.web.basis import BOTH, basis_within, of_all, of_model
from app.web.comparison import truths_grid
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import average, form_of, label_of
from app.web.question import Question, query_string
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
    query = of_model(context).over(context.question.window, truths_grid(context))
    return Versions(query.subject.kind, versions(context.conn, query, average(context.question)))


def show(question: Question, result: Versions) -> list[Node]:
    """A row per version, and a line for each over time."""
    if not result.versions:
        return [note("No version has received requests yet.")]
    measures = [*REQUESTS.values(), TRUTHS["n"], *leading(result.kind)]
    heads: list[Any] = [
        ("Version", ""),
        *(label_of(question, measure) for measure in measures),
        ("Side by side", "text"),
    ]
    rows = [
        [
            html.Span(version.name or NO_VERSION, className="class", title=version.name),
            *(format_number(n, m.unit) for m, n in zip(measures, _numbers(version), strict=True)),
            _compare(question, result.versions, nth),
        ]
        for nth, version in enumerate(result.versions)
    ]
    return [table("Versions side by side", heads, rows, kind="classes"), *_lines(question, result)]


def _compare(question: Question, versions: Sequence[Version], nth: int) -> Markup:
    """A link that shows a version and the one before it side by side, in every panel."""
    version, other = versions[nth], versions[nth - 1] if nth else versions[-1]
    if not version.name or not other.name or version is other:
        return html.Td("", className="text")
    chosen = {"version": version.name, "beforeVersion": other.name, "before": None}
    href = "/model" + query_string({**question.members, **chosen})
    return html.Td(html.A(f"compare with {other.name}", href=href), className="text")


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


def of_lines(context: PanelContext) -> Basis:
    """The basis of the lines."""
    query = of_model(context).over(context.question.window, truths_grid(context))
    return basis_of(context.conn, query, Counted.OUTCOME)


BASIS = of_all(of_whole_window, of_lines)
PANEL = Panel("versions", "Versions", find, show, rows, BASIS)
