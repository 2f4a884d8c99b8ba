"""The metrics of each class, before and after, sorted by any of them or by its change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.errors import InvalidInput
from app.query.classification import ClassificationBucket, ClassMetrics
from app.query.inferences import Compared
from app.query.measure import Measure, Unit
from app.query.measures import CLASS
from app.web import markup as html
from app.web.changes import certain_class
from app.web.comparison import Pair
from app.web.question import Question, query_string
from app.web.request_links import Link
from app.web.tables import both, sorted_rows, table

# Truths first, then F1, which is both of the others in one.
MEASURES = sorted(CLASS.values(), key=lambda one: (one.unit is not Unit.COUNT, one.name != "f1"))
CHANGE, NAME, DOWN = "change", "name", "-"
Class = Pair[ClassMetrics | None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table, its name in the URL, and what it is sorted by."""

    title: str
    name: str
    key: Callable[[Class], Any]


def _column(measure: Measure) -> Column:
    return Column(measure.label, measure.name, lambda one: _numbers(one, measure).now)


def _numbers(one: Class, measure: Measure) -> Compared[Any]:
    return one.of(lambda metrics: getattr(metrics, measure.name, None))


def change_of(one: Class) -> float | None:
    """The difference of F1: what classes are sorted by first, the largest loss on top."""
    f1 = _numbers(one, CLASS["f1"])
    return None if f1.now is None or f1.previous is None else f1.now - f1.previous


COLUMNS = (
    Column("Class", NAME, lambda _: 0),
    *map(_column, MEASURES),
    Column("Change of F1", CHANGE, change_of),
)


def classes_table(
    question: Question, pair: Pair[ClassificationBucket | None], link: Link
) -> Markup:
    """A row per class that occurs in either window, with a link to its wrong requests.

    Raises:
        InvalidInput: the URL sorts by something else.
    """
    compared = pair.before is not None and pair.before.n > 0
    columns = COLUMNS if compared else COLUMNS[:-1]
    ordered = _sorted(question, pair, compared)
    largest = max((abs(change_of(one) or 0.0) for _, one in ordered), default=0.0)
    rows = [_row(name, one, largest if compared else None, link) for name, one in ordered]
    heads = [(_head(question, column, compared), "number") for column in columns]
    return html.Div(
        [html.H3("Classes"), table("Metrics of each class", heads, rows, kind="classes")],
        className="classes-table",
    )


def paired(pair: Pair[ClassificationBucket | None]) -> dict[str, Class]:
    """The classes of both windows by name, in the order of the matrix."""
    after, before = (_by_name(bucket) for bucket in (pair.after, pair.before))
    return {name: Pair(after.get(name), before.get(name)) for name in {**after, **before}}


def _by_name(bucket: ClassificationBucket | None) -> Mapping[str, ClassMetrics]:
    return {one.label: one for one in bucket.classes} if bucket else {}


def _sort(question: Question, compared: bool) -> tuple[str, bool]:
    """The column to sort by, and whether descending."""
    text = question.members.get("classes", CHANGE if compared else NAME)
    return text.removeprefix(DOWN), text.startswith(DOWN)


def _sorted(
    question: Question, pair: Pair[ClassificationBucket | None], compared: bool
) -> Sequence[tuple[str, Class]]:
    name, down = _sort(question, compared)
    column = next((column for column in COLUMNS if column.name == name), None)
    if column is None:
        raise InvalidInput(f"classes must be one of {', '.join(column.name for column in COLUMNS)}")
    items = list(paired(pair).items())
    if down and name == NAME:
        return items[::-1]
    return sorted_rows(items, lambda item: column.key(item[1]), descending=down)


def _head(question: Question, column: Column, compared: bool) -> Markup:
    """A header that sorts: by name and by change ascending first, by numbers descending."""
    name, down = _sort(question, compared)
    current = name == column.name
    first = column.name if column.name in (NAME, CHANGE) else DOWN + column.name
    other = column.name if down else DOWN + column.name
    return html.A(
        [column.title, html.Span(("↓" if down else "↑") if current else "", className="mark")],
        href="/model" + query_string({**question.members, "classes": other if current else first}),
        title=f"Sort by {column.title}",
    )


def _row(name: str, one: Class, largest: float | None, link: Link) -> list[Any]:
    """A row; with a bar if there is a largest change to compare with."""
    after, before = one.after, one.before
    cells = [
        both(
            _numbers(one, measure),
            measure,
            certain=after is not None and certain_class(after, before, measure),
        )
        for measure in MEASURES
    ]
    href = link({"actualLabel": name, "wrong": "true"})
    named = html.A(name, href=href, className="class", title=f"{name}: its wrong requests")
    return [named, *cells, *([] if largest is None else [_bar(one, largest)])]


def _bar(one: Class, largest: float) -> Markup:
    """The change as a bar to the left or to the right."""
    change = change_of(one)
    certain = one.after is not None and certain_class(one.after, one.before, CLASS["f1"])
    tone = "none" if not change else "same" if not certain else "worse" if change < 0 else "better"
    size = f"{50 * abs(change or 0.0) / (largest or 1):.1f}%"
    return html.Td(
        html.Span(
            className=f"swing {tone} {'down' if (change or 0) < 0 else 'up'}",
            style={"--size": size},
        ),
        className="swing-cell",
        title="" if change is None else f"F1 {100 * change:+.1f} pt",
    )
