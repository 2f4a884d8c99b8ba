"""Step metrics of training pipelines: scalars over executions, and lists as curves."""

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
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import Question, iso_utc, query_string
from app.web.tables import note, table
from app.web.units import all_digits, format_number, moment

UNIT = STEPS["last"].unit
PAGE_SIZE = 25
# More lines than colours can't be distinguished.
CURVES = len(charts.COLOURS)
NOTHING = (
    "No execution has recorded anything yet. Use this server as the environment of Craft AI's SDK,"
    " or post to /api/v1/metrics/single-value and /list-values."
)


@dataclass(frozen=True, slots=True)
class ShownExecutions:
    """The executions of one page, newest first, and what they recorded.

    `scalars` contains values by execution and name; `behind` counts newer executions, on previous
    pages, `total` all.
    """

    executions: Sequence[Execution]
    names: Sequence[str]
    scalars: Mapping[tuple[str, str], float]
    lists: Sequence[StepMetric]
    behind: int
    total: int


def find(context: PanelContext) -> ShownExecutions:
    """One page of executions, or the selected one.

    Raises:
        InvalidInput: the offset is not a number of executions.
        UnknownExecution: there is no such execution.
    """
    chosen, behind, total = _chosen_execution(context) or _latest_executions(context)
    names = [execution.execution for execution in chosen]
    recordings = recorded(context.conn, workspace_id=context.workspace_id, executions=names)
    return ShownExecutions(
        chosen,
        list(dict.fromkeys(metric.name for metric in recordings.scalars)),
        {(metric.execution, metric.name): metric.value for metric in recordings.scalars},
        recordings.lists,
        behind,
        total,
    )


def _chosen_execution(context: PanelContext) -> tuple[list[Execution], int, int] | None:
    name = context.question.members.get("execution")
    if not name:
        return None
    return [execution(context.conn, workspace_id=context.workspace_id, name=name)], 0, 1


def _latest_executions(context: PanelContext) -> tuple[list[Execution], int, int]:
    """Offsets count from the oldest execution, but the page starts with the newest."""
    members = context.question.members
    behind = _behind(members.get("offset", "0"))
    list_executions = functools.partial(
        executions,
        context.conn,
        workspace_id=context.workspace_id,
        pipeline=members.get("pipeline"),
        deployment=members.get("deployment"),
    )
    total = list_executions(size=0).total
    last = max(total - behind, 0)
    first = max(last - PAGE_SIZE, 0)
    return list_executions(size=last - first, offset=first).executions[::-1], behind, total


def _behind(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise InvalidInput("offset must be a number of executions")
    return int(text[:9])


# --- scalars ------------------------------------------------------------------------------


def show_scalars(question: Question, shown: ShownExecutions) -> list[Node]:
    """A row per execution, a column per scalar; its header links to the chart of the scalar."""
    if not shown.executions:
        return [note(NOTHING)]
    names = shown.names
    heads = [("Execution", ""), ("Started", "text"), *(_head(question, name) for name in names)]
    rows = [_row(question, shown, execution) for execution in shown.executions]
    return [table("Scalars of executions", heads, rows), *_pager(question, shown)]


def _head(question: Question, name: str) -> Markup:
    href = "/executions" + query_string({**question.members, "metric": name})
    return html.A(name, href=href, title=f"Draw {name} over executions")


def _row(question: Question, shown: ShownExecutions, execution: Execution) -> list[Markup | str]:
    place = " / ".join(filter(None, (execution.pipeline, execution.deployment)))
    href = "/executions" + query_string({**question.members, "execution": execution.execution})
    named = [html.A(execution.execution, href=href, className="name")]
    if place:
        named.append(html.Span(place, className="quiet place"))
    return [
        html.Div(named),
        html.Td(_when(question, execution.started_at or execution.created_at), className="text"),
        *(_number(shown.scalars.get((execution.execution, name))) for name in shown.names),
    ]


def _number(value: float | None) -> Markup:
    return html.Span(format_number(value, UNIT), title=all_digits(value, UNIT))


def _when(question: Question, instant: datetime) -> str:
    return moment(question.local(instant).replace(microsecond=0))


def _pager(question: Question, shown: ShownExecutions) -> Iterator[Markup]:
    """The position among all executions, and links to the others."""
    if question.members.get("execution"):
        everything = {**question.members, "execution": None}
        yield html.P(html.A("All executions", href="/executions" + query_string(everything)))
        return
    count = len(shown.executions)
    words = f"{shown.behind + 1:,} to {shown.behind + count:,} of {shown.total:,}, newest first"
    links = [html.Span(words, className="quiet")]
    if shown.behind:
        links.append(_page_link(question, max(shown.behind - PAGE_SIZE, 0), "← newer"))
    if shown.behind + count < shown.total:
        links.append(_page_link(question, shown.behind + count, "older →"))
    yield html.P(links, className="walk pages")


def _page_link(question: Question, behind: int, words: str) -> Markup:
    members = {**question.members, "offset": str(behind) if behind else None}
    return html.A(words, href="/executions" + query_string(members))


def scalar_rows(_: Question, shown: ShownExecutions) -> Rows:
    """A line per execution; a cell is empty if the execution did not record the scalar."""
    names = shown.names
    yield ["execution", "pipeline", "deployment", "createdAt", *names]
    for run in shown.executions:
        values = [shown.scalars.get((run.execution, name)) for name in names]
        yield [
            run.execution,
            run.pipeline,
            run.deployment,
            iso_utc(run.created_at),
            *values,
        ]


# --- one scalar over executions -----------------------------------------------------------


def show_trend(question: Question, shown: ShownExecutions) -> list[Node] | None:
    """One scalar, from the oldest execution to the newest; None for a single execution."""
    if not shown.names or len(shown.executions) == 1:
        return None
    name = question.members.get("metric", "")
    name = name if name in shown.names else shown.names[0]
    oldest_first = [execution.execution for execution in reversed(shown.executions)]
    points = oldest_first, [shown.scalars.get((execution, name)) for execution in oldest_first]
    return [html.H3(name), charts.curves(f"{name} over executions", {name: points})]


# --- lists --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curves:
    """Lists by name, each with the values per execution that recorded it, newest first."""

    by_name: dict[str, dict[str, list[float]]]
    left_out: int


def find_curves(context: PanelContext) -> Curves:
    """The lists of the shown executions, as many as colours can distinguish."""
    shown = find(context)
    names = [execution.execution for execution in shown.executions]
    drawn = set(names[:CURVES])
    lists = [metric for metric in shown.lists if metric.execution in drawn]
    texts = list_values(driver(context.conn), lists)
    values = {metric: json.loads(f"[{text}]") for metric, text in zip(lists, texts, strict=True)}
    by_name: dict[str, dict[str, list[float]]] = {}
    for metric in sorted(lists, key=lambda metric: names.index(metric.execution)):
        by_name.setdefault(metric.name, {})[metric.execution] = values[metric]
    others = {metric.execution for metric in shown.lists} - drawn
    return Curves(by_name, len(others))


def show_curves(_: Question, curves: Curves) -> list[Node] | None:
    """A chart per list, a line per execution."""
    if not curves.by_name:
        return None
    nodes: list[Node] = []
    for name, lines in curves.by_name.items():
        points = {run: (list(range(1, len(values) + 1)), values) for run, values in lines.items()}
        nodes += [html.H3(name), charts.curves(f"{name} of each execution, value by value", points)]
    if curves.left_out:
        drawn = f"The newest {CURVES} executions are drawn"
        nodes.append(note(f"{drawn}; {curves.left_out} more on this page have lists."))
    return nodes


def curve_rows(_: Question, curves: Curves) -> Rows:
    """A line per value."""
    yield ["name", "execution", "place", "value"]
    for name, lines in curves.by_name.items():
        for run, values in lines.items():
            yield from ([name, run, place, value] for place, value in enumerate(values, 1))


PAGE = Page(
    "/executions",
    "Executions",
    (
        Panel("scalars", "Scalars", find, show_scalars, scalar_rows),
        Panel("trend", "Over executions", find, show_trend, scalar_rows),
        Panel("curves", "Lists", find_curves, show_curves, curve_rows),
    ),
)
