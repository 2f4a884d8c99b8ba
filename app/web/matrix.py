"""Confusion matrices of two windows side by side, and where they differ most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.query.classification import ClassificationBucket, ConfusionMatrix
from app.query.noise import Share
from app.web import markup as html
from app.web.changes import certain_share
from app.web.request_links import Link
from app.web.tables import labelled, table
from app.web.units import MINUS, count

# With more classes a cell shows its colour alone, and its numbers in a tooltip.
LEGIBLE = 12
# With more classes the difference has no room next to the two matrices.
NARROW = 5
# The confusions that changed most, as many as are read.
MOST_CHANGED = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """Truths of one class that were predicted as one class, and all truths of the class."""

    actual: str
    predicted: str
    n: int
    total: int

    @property
    def share(self) -> float:
        """The share of the class's truths."""
        return self.n / self.total if self.total else 0.0

    @property
    def hit(self) -> bool:
        """Whether the prediction was right."""
        return self.actual == self.predicted


@dataclass(frozen=True, slots=True)
class Change:
    """A cell of both matrices, and whether its share changed by more than noise."""

    after: Cell
    before: Cell
    certain: bool

    @property
    def points(self) -> float | None:
        """The difference of the shares, in points; None without truths of the class in both."""
        if not self.after.total or not self.before.total:
            return None
        return 100 * (self.after.share - self.before.share)

    @property
    def better(self) -> bool:
        """Whether more of the class is right, or less is wrong."""
        return ((self.points or 0) > 0) is self.after.hit


Rows = Sequence[Sequence[Cell]]


def matrices(
    after: ClassificationBucket,
    before: ClassificationBucket | None,
    titles: tuple[str, str],
    links: tuple[Link, Link | None],
) -> list[Markup]:
    """The matrix after, or the matrices before and after and their difference.

    `titles` describe after and before, and `links` lead to the requests of their cells. All have
    the same classes, in the same order.
    """
    if before is None or not before.n:
        alone = _cells(after.matrix, after.matrix.categories)
        return [_framed("Confusion matrix", _matrix("Confusion matrix", alone, links[0]))]
    names = _names(after.matrix, before.matrix)
    now, then = (_cells(one.matrix, names) for one in (after, before))
    changes = [
        [_change(*cells) for cells in zip(*rows, strict=True)]
        for rows in zip(now, then, strict=True)
    ]
    return [
        _framed(titles[1], _matrix(f"Confusion matrix: {titles[1]}", then, links[1]), "before"),
        _framed(titles[0], _matrix(f"Confusion matrix: {titles[0]}", now, links[0]), "after"),
        _framed("Difference, in points of a row", _differences(changes)),
        *_most_changed(changes),
    ]


def _names(after: ConfusionMatrix, before: ConfusionMatrix) -> list[str]:
    return list(dict.fromkeys((*after.categories, *before.categories)))


def _cells(matrix: ConfusionMatrix, names: Sequence[str]) -> Rows:
    """The cells of a matrix for these classes, which include its own."""
    counts = matrix.cells()
    totals = {name: sum(row) for name, row in zip(matrix.categories, matrix.values, strict=True)}
    return [
        [Cell(actual, name, counts.get((actual, name), 0), totals.get(actual, 0)) for name in names]
        for actual in names
    ]


def _change(after: Cell, before: Cell) -> Change:
    shares = (Share(cell.n, cell.total) for cell in (after, before))
    return Change(after, before, certain_share(*shares))


def _framed(title: str, drawn: Markup, role: str = "") -> Markup:
    head = html.H3([html.Span(className=f"swatch {role}") if role else None, title])
    return html.Div([head, drawn], className="one-matrix")


def _matrix(title: str, rows: Rows, link: Link | None) -> Markup:
    """Counts, and the share within each row: how truths of one class were predicted."""
    return _grid(
        title,
        [cells[0].actual for cells in rows],
        [
            [
                *(_matrix_cell(cell, link) for cell in cells),
                html.Td(count(cells[0].total), className="number sum"),
            ]
            for cells in rows
        ],
        last="truths",
    )


def _grid(
    caption: str, names: Sequence[str], rows: Sequence[Sequence[Markup]], last: str = ""
) -> Markup:
    crowded = len(names) > LEGIBLE
    heads: list[Any] = [
        ("truth ↓ predicted →", "corner"),
        *((html.Span(name, className="class", title=name), "") for name in names),
        *([(last, "number sum")] if last else []),
    ]
    named = [
        [html.Span(name, className="class", title=name), *cells]
        for name, cells in zip(names, rows, strict=True)
    ]
    return table(caption, heads, named, kind="matrix crowded" if crowded else "matrix")


def _matrix_cell(cell: Cell, link: Link | None) -> Markup:
    shown = [
        html.Span(count(cell.n) if cell.n else "·", className="n"),
        html.Span(_row_share(cell), className="share"),
    ]
    words = f"{cell.actual} → {cell.predicted}: {cell.n:,} of {cell.total:,}"
    if link and cell.n:
        href = link({"actualLabel": cell.actual, "predictedLabel": cell.predicted})
        shown = [html.A(shown, href=href, **labelled(f"{words}: the requests"))]
    return html.Td(
        shown,
        className="hit" if cell.hit else "miss" if cell.n else "empty",
        style={"--share": f"{cell.share:.3f}"},
        title=words,
    )


def _row_share(cell: Cell) -> str:
    if not cell.n:
        return ""
    return f"{100 * cell.share:.0f} %" if 200 * cell.n >= cell.total else "<1 %"


def _differences(changes: Sequence[Sequence[Change]]) -> Markup:
    names = [row[0].after.actual for row in changes]
    rows = [[_difference_cell(change) for change in row] for row in changes]
    return _grid("Difference of the confusion matrices", names, rows)


def _difference_cell(change: Change) -> Markup:
    after, before, points = change.after, change.before, change.points
    seen = bool(after.n or before.n)
    tone = ("better" if change.better else "worse") if change.certain and points else "same"
    return html.Td(
        html.Span(_points(points) if seen else "·", className="n"),
        className=f"difference {tone}" if seen else "empty",
        style={"--share": f"{min(abs(points or 0) / 100, 1):.3f}"},
        title=f"{after.actual} → {after.predicted}: {_of(before)} before, {_of(after)} after",
    )


def _of(cell: Cell) -> str:
    return f"{cell.n:,} of {cell.total:,}"


def _points(points: float | None) -> str:
    if points is None:
        return "–"
    text = f"{points:+.0f}" if abs(points) >= 10 else f"{points:+.1f}"  # noqa: PLR2004 - digits
    return "±0" if not text.strip("+-0.") else text.replace("-", MINUS)


def _most_changed(changes: Sequence[Sequence[Change]]) -> Iterator[Markup]:
    """The confusions that changed by more than noise, the largest change first."""
    flat = [change for row in changes for change in row if change.certain and change.points]
    worst = sorted(flat, key=lambda change: -abs(change.points or 0))[:MOST_CHANGED]
    if not worst:
        yield _framed(
            "Largest changes",
            html.P("No cell changed by more than noise explains.", className="quiet"),
        )
        return
    rows = [
        [
            f"{change.after.actual} → {change.after.predicted}",
            f"{100 * change.before.share:.1f} %",
            f"{100 * change.after.share:.1f} %",
            html.Span(
                f"{_points(change.points)} pt",
                className=f"change {'better' if change.better else 'worse'}",
            ),
        ]
        for change in worst
    ]
    heads: list[Any] = [("truth → predicted", ""), "Before", "After", "Change"]
    yield _framed(
        "Largest changes", table("Largest changes of confusions", heads, rows, kind="top")
    )
