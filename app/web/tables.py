"""Parts of pages: tables, numbers compared with previous ones, sparklines. No queries here."""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from markupsafe import Markup

from app.query.inferences import Compared
from app.query.intervals import Interval
from app.query.measure import Better, Measure
from app.web import markup as html
from app.web.units import UNKNOWN, Delta, all_digits, bounds, delta, format_number, margin

Child = str | None
Row = TypeVar("Row")
# Sizes of sparklines, in pixels; EDGE is free space above and below for the width of the line.
WIDTH, HEIGHT, EDGE = 96, 24, 3
# Of the intervals that pages show.
CONFIDENCE = 0.95
TINY = 1e-12


# For graphics that only repeat the text next to them.
UNHEARD: dict[str, Any] = {"aria-hidden": "true"}


def labelled(words: str) -> dict[str, Any]:
    """The label of a part for screen readers."""
    return {"aria-label": words}


def sorted_rows(
    rows: Iterable[Row], key: Callable[[Row], Any], *, descending: bool = False
) -> list[Row]:
    """Rows by a key, those whose key is None last in either order."""
    keyed = [(key(row), row) for row in rows]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=itemgetter(0), reverse=descending)
    return [row for _, row in known] + [row for value, row in keyed if value is None]


def table(
    caption: str,
    heads: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    kind: str = "",
) -> Markup:
    """A table whose first column names its rows; a header with a CSS class is a pair."""
    return html.Div(
        html.Table(
            [
                html.Caption(caption, className="hidden"),
                html.Thead(html.Tr([_head(head) for head in heads])),
                html.Tbody([_row(row) for row in rows]),
            ],
            className=f"table {kind}".strip(),
        ),
        className="scroll",
        tabIndex=0,
        role="region",
        **labelled(caption),
    )


def _head(head: Any) -> Markup:
    text, class_name = head if isinstance(head, tuple) else (head, "number")
    return html.Th(text, scope="col", className=class_name)


def _row(cells: Sequence[Any]) -> Markup:
    first, *rest = cells
    return html.Tr(
        [
            html.Th(first, scope="row"),
            *(cell if _is_cell(cell) else _cell(cell) for cell in rest),
        ]
    )


def _is_cell(child: Child) -> bool:
    return isinstance(child, Markup) and child.startswith("<td")


def _cell(child: Child) -> Markup:
    return html.Td(child, className="number")


NOISE = "no more than noise, or too few to tell"


def both(
    numbers: Compared[Any],
    measure: Measure,
    *,
    certain: bool = True,
    said: str = NOISE,
    interval: Interval | None = None,
) -> Markup:
    """A number after, what it was before, and the difference: coloured unless it may be noise.

    `said` describes a difference that is not `certain`. `interval` is the confidence interval of
    the number after.
    """
    unit = measure.unit
    parts = [
        html.Span(
            [
                html.Span(format_number(numbers.now, unit), title=all_digits(numbers.now, unit)),
                _margin(interval, measure) if interval else None,
            ],
            className="now",
        )
    ]
    if numbers.previous is not None:
        other = f"vs {format_number(numbers.previous, unit)}"
        before = html.Span(other, className="was", title=all_digits(numbers.previous, unit))
        difference = _difference(numbers, measure, certain=certain, said=said)
        parts.append(html.Span([before, *difference]))
    return html.Span(parts, className="both")


def _margin(interval: Interval, measure: Measure) -> Markup:
    title = bounds(interval, measure.unit, CONFIDENCE)
    return html.Span(f" {margin(interval, measure.unit)}", className="margin", title=title)


def _difference(
    numbers: Compared[Any], measure: Measure, *, certain: bool, said: str
) -> Sequence[Markup]:
    difference = delta(numbers, measure.unit, measure.better if certain else Better.NEITHER)
    if difference is None:
        return []
    tone = difference.tone
    said = tone if certain else said
    shown = html.Span(difference.text, className=f"change {tone}", title=said)
    return [shown, html.Span(f" ({said})", className="hidden")] if tone != "same" else [shown]


def change(difference: Delta | None) -> Markup:
    """A difference as text and colour."""
    if difference is None:
        return html.Span("", className="change none")
    return html.Span(
        [difference.text, html.Span(f" ({difference.in_words})", className="hidden")],
        className=f"change {difference.tone}",
        title=difference.in_words,
    )


def sparkline(values: Sequence[float | None], words: str, *, from_zero: bool = True) -> Markup:
    """A line without axes, with gaps where values are missing; an isolated point is a dot."""
    known = [value for value in values if value is not None]
    if not known:
        return html.Span(UNKNOWN, className="spark none")
    low = 0.0 if from_zero else min(known)
    path = html.Path(d=_path(values, low, max(*known, low + TINY)))
    box = f"-2 0 {WIDTH + 4} {HEIGHT}"
    return html.Svg(path, className="spark", role="img", viewBox=box, **labelled(words))


def _path(values: Sequence[float | None], low: float, high: float) -> str:
    """The line as an SVG path."""
    step = WIDTH / max(len(values) - 1, 1)
    path, pen = "", "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = HEIGHT - EDGE - _between(value, low, high) * (HEIGHT - 2 * EDGE)
        path += f"{pen}{index * step:.1f} {y:.1f}" + ("h.1" if pen == "M" else "")
        pen = "L"
    return path


def _between(value: float, low: float, high: float) -> float:
    """The position of a value between the lowest, 0, and the highest, 1.

    Computed with halves, because the difference of two doubles may overflow.
    """
    span = high / 2 - low / 2
    return max((value / 2 - low / 2) / span, 0.0) if span else 0.0


def tile(title: str, value: Child, below: Child = None) -> Markup:
    """One number with its name."""
    return html.Div([html.Dt(title), html.Dd([value, below] if below else value)], className="tile")


def note(words: str) -> Markup:
    """A short text below a panel or instead of it."""
    return html.P(words, className="quiet")
