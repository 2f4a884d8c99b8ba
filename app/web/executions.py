"""What training pipelines measured: scalars over executions, and lists as curves."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from app.errors import InvalidInput
from app.query.executions import Execution, execution, executions
from app.query.measures import STEPS
from app.query.steps import StepMetric, list_values, recorded
from app.store.database import driver
from app.web import charts
from app.web import markup as html
from app.web.panels import Look, Page, Panel, Part, Rows
from app.web.question import Question, query, written
from app.web.tables import nothing, table
from app.web.units import exact, moment, said

UNIT = STEPS["last"].unit
PAGE_SIZE = 25
# More lines than colours can't be told apart.
CURVES = len(charts.COLOURS)
NOTHING = (
    "No execution has recorded anything yet. Give Craft AI's SDK this server as its environment, or"
    " post to /api/v1/metrics/single-value and /list-values."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The executions of one page, the newest first, and what they recorded.

    `scalars` holds values by execution and name; `behind` counts newer executions, on pages
    before, `total` all.
    """

    executions: Sequence[Execution]
    names: Sequence[str]
    scalars: Mapping[tuple[str, str], float]
    lists: Sequence[StepMetric]
    behind: int
    total: int


def find(look: Look) -> Shown:
    """One page of executions, or the one that was chosen.

    Raises:
        InvalidInput: no number of executions to leave out.
        UnknownExecution: there is no such execution.
    """
    chosen, behind, total = _one(look) or _some(look)
    names = [one.execution for one in chosen]
    found = recorded(look.conn, workspace_id=look.workspace_id, executions=names)
    return Shown(
        chosen,
        list(dict.fromkeys(metric.name for metric in found.scalars)),
        {(metric.execution, metric.name): metric.value for metric in found.scalars},
        found.lists,
        behind,
        total,
    )


def _one(look: Look) -> tuple[list[Execution], int, int] | None:
    name = look.question.members.get("execution")
    if not name:
        return None
    return [execution(look.conn, workspace_id=look.workspace_id, name=name)], 0, 1


def _some(look: Look) -> tuple[list[Execution], int, int]:
    """They are numbered from the oldest on, and people look at the newest."""
    members = look.question.members
    behind = _behind(members.get("offset", "0"))
    page = functools.partial(
        executions,
        look.conn,
        workspace_id=look.workspace_id,
        pipeline=members.get("pipeline"),
        deployment=members.get("deployment"),
    )
    total = page(size=0).total
    last = max(total - behind, 0)
    first = max(last - PAGE_SIZE, 0)
    return page(size=last - first, offset=first).executions[::-1], behind, total


def _behind(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise InvalidInput("offset must be a number of executions")
    return int(text[:9])


# --- scalars ------------------------------------------------------------------------------


def show_scalars(question: Question, found: Shown) -> list[Part]:
    """A row per execution, a column per scalar; a head draws its scalar over the executions."""
    if not found.executions:
        return [nothing(NOTHING)]
    names = found.names
    heads = [("Execution", ""), ("Started", "text"), *(_head(question, name) for name in names)]
    rows = [_row(question, found, one) for one in found.executions]
    return [table("Scalars of executions", heads, rows), *_pages(question, found)]


def _head(question: Question, name: str) -> Markup:
    href = "/executions" + query({**question.members, "metric": name})
    return html.A(name, href=href, title=f"Draw {name} over executions")


def _row(question: Question, found: Shown, one: Execution) -> list[Markup | str]:
    place = " / ".join(filter(None, (one.pipeline, one.deployment)))
    href = "/executions" + query({**question.members, "execution": one.execution})
    named = [html.A(one.execution, href=href, className="name")]
    if place:
        named.append(html.Span(place, className="quiet place"))
    return [
        html.Div(named),
        html.Td(_when(question, one.started_at or one.created_at), className="text"),
        *(_number(found.scalars.get((one.execution, name))) for name in found.names),
    ]


def _number(value: float | None) -> Markup:
    return html.Span(said(value, UNIT), title=exact(value, UNIT))


def _when(question: Question, instant: datetime) -> str:
    return moment(question.local(instant).replace(microsecond=0))


def _pages(question: Question, found: Shown) -> Iterator[Markup]:
    """Where somebody is among all executions, and the way to the others."""
    if question.members.get("execution"):
        everything = {**question.members, "execution": None}
        yield html.P(html.A("All executions", href="/executions" + query(everything)))
        return
    shown = len(found.executions)
    words = f"{found.behind + 1:,} to {found.behind + shown:,} of {found.total:,}, the newest first"
    links = [html.Span(words, className="quiet")]
    if found.behind:
        links.append(_page(question, max(found.behind - PAGE_SIZE, 0), "← newer"))
    if found.behind + shown < found.total:
        links.append(_page(question, found.behind + shown, "older →"))
    yield html.P(links, className="walk pages")


def _page(question: Question, behind: int, words: str) -> Markup:
    members = {**question.members, "offset": str(behind) if behind else None}
    return html.A(words, href="/executions" + query(members))


def scalar_rows(_: Question, found: Shown) -> Rows:
    """A line per execution; empty where it did not record a scalar."""
    names = found.names
    yield ["execution", "pipeline", "deployment", "createdAt", *names]
    for one in found.executions:
        values = [found.scalars.get((one.execution, name)) for name in names]
        yield [one.execution, one.pipeline, one.deployment, written(one.created_at), *values]


# --- one scalar over executions -----------------------------------------------------------


def show_trend(question: Question, found: Shown) -> list[Part] | None:
    """One scalar, from the oldest execution to the newest; a single execution makes no line."""
    if not found.names or len(found.executions) == 1:
        return None
    name = question.members.get("metric", "")
    name = name if name in found.names else found.names[0]
    oldest_first = [one.execution for one in reversed(found.executions)]
    points = oldest_first, [found.scalars.get((one, name)) for one in oldest_first]
    return [html.H3(name), charts.curves(f"{name} over executions", {name: points})]


# --- lists --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curves:
    """Lists by name, each with the values of the executions that recorded it, the newest first."""

    by_name: dict[str, dict[str, list[float]]]
    left_out: int


def find_curves(look: Look) -> Curves:
    """The lists of the executions that are shown, of as many as can be told apart."""
    shown = find(look)
    names = [one.execution for one in shown.executions]
    drawn = set(names[:CURVES])
    lists = [metric for metric in shown.lists if metric.execution in drawn]
    texts = list_values(driver(look.conn), lists)
    values = {one: json.loads(f"[{text}]") for one, text in zip(lists, texts, strict=True)}
    by_name: dict[str, dict[str, list[float]]] = {}
    for metric in sorted(lists, key=lambda one: names.index(one.execution)):
        by_name.setdefault(metric.name, {})[metric.execution] = values[metric]
    others = {metric.execution for metric in shown.lists} - drawn
    return Curves(by_name, len(others))


def show_curves(_: Question, found: Curves) -> list[Part] | None:
    """A chart per list, a line per execution."""
    if not found.by_name:
        return None
    parts: list[Part] = []
    for name, lines in found.by_name.items():
        points = {one: (list(range(1, len(values) + 1)), values) for one, values in lines.items()}
        parts += [html.H3(name), charts.curves(f"{name} of each execution, value by value", points)]
    if found.left_out:
        drawn = f"The newest {CURVES} executions are drawn"
        parts.append(nothing(f"{drawn}; {found.left_out} more on this page have lists."))
    return parts


def curve_rows(_: Question, found: Curves) -> Rows:
    """A line per value."""
    yield ["name", "execution", "place", "value"]
    for name, lines in found.by_name.items():
        for one, values in lines.items():
            yield from ([name, one, place, value] for place, value in enumerate(values, 1))


PAGE = Page(
    "/executions",
    "Executions",
    (
        Panel("scalars", "Scalars", find, show_scalars, scalar_rows),
        Panel("trend", "Over executions", find, show_trend, scalar_rows),
        Panel("curves", "Lists", find_curves, show_curves, curve_rows),
    ),
)
