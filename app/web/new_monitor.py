"""Make a monitor of a chart: a form with its fields filled in, which works without a script."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from app.errors import InvalidInput
from app.ingest.fields import read_field
from app.ingest.validation_errors import rejection_of
from app.monitors.definition import Compare, MonitorDefinition, Rule
from app.monitors.metrics import METRICS, QUANTILE, Family, metric_named
from app.monitors.receivers import receivers_of
from app.monitors.stored_monitors import monitors_of, put_monitor
from app.monitors.suggestion import Suggestion, suggestion, worse_side
from app.query.classification import Average
from app.query.noise import FEW
from app.web import markup as html
from app.web.basis import of_model
from app.web.markup import Tag
from app.web.panels import Node, Page, Panel, PanelContext
from app.web.question import TAGS, Question, query_string
from app.web.tables import note
from app.web.units import format_number

Select, Option, Fieldset, Legend = map(Tag, ("select", "option", "fieldset", "legend"))
PATH = "/new-monitor"
WINDOWS = ("5m", "15m", "1h", "6h", "1d", "1w")
DEFAULT_WINDOW, DEFAULT_QUANTILE = "1h", "0.95"
SIDES = {"below": "below", "above": "above", "outside": "on either side of"}
COMPARED = {
    "value": "the value",
    "previous": "the period before",
    "trailing": "the periods before, as one",
}
BY = {"value": "by its unit", "percent": "by percent", "significance": "by significance"}
SEVERITIES = {"critical": "critical", "warning": "warning"}
PERIODS = "7"
# Members of a definition that the form passes on from the page.
PASSED_ON = ("namespace", "pipeline", "model", "version", "deployment", "average", "tag")
READ_ONLY = "Your key can read, but not create monitors: log in with one of the role admin."


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form begins with: a metric that can be watched, a name, a limit, and receivers."""

    name: str
    metric: str
    metrics: dict[str, str]
    side: str
    suggested: Suggestion
    receivers: Sequence[str]
    may_change: bool


def link_to_new(question: Question, metric: str) -> str:
    """The URL of the form for a metric of what a page shows."""
    return PATH + query_string({**question.members, "watch": metric})


def find_draft(context: PanelContext) -> Draft:
    """What the form begins with, of the model and the window of the page. Cost: six statements.

    Raises:
        UnknownModel: the workspace has no such model.
        InvalidInput: the URL names no metric that can be watched.
    """
    query, question = of_model(context), context.question
    metric = metric_named(question.members.get("watch", ""))
    kind = query.subject.kind
    metrics = {
        one.name: one.title
        for one in METRICS.values()
        if one.kind in (None, kind) and one.family is not Family.DRIFT
    }
    watched = _watched(question, metric.name)
    span = (question.window.start, question.window.end)
    as_of = query.settled_moment.effective_as_of
    workspace = context.workspace_id
    return Draft(
        _free_name(context.conn, workspace, f"{question.model.name}-{metric.name}"),
        metric.name,
        metrics,
        worse_side(watched),
        suggestion(context.conn, workspace, watched, span, as_of),
        [one.name for one in receivers_of(context.conn, workspace)],
        context.may_change,
    )


def _watched(question: Question, metric: str) -> MonitorDefinition:
    name, scope = question.model, question.scope
    return MonitorDefinition(
        model=name.name,
        namespace=name.namespace,
        pipeline=name.pipeline,
        deployment=scope.deployment,
        version=scope.version,
        tags=tuple(scope.tags.texts),
        metric=metric,
        quantile=float(DEFAULT_QUANTILE) if metric == QUANTILE else None,
        average=Average(question.members.get("average", Average.MACRO)).value,
        window=DEFAULT_WINDOW,
        compare=Compare(with_="value", value=0.0),
        rule=Rule(is_="below"),
    )


def _free_name(conn: Connection, workspace_id: int, name: str) -> str:
    """The name, with a number if there is a monitor of this name."""
    taken = {monitor.name for monitor in monitors_of(conn, workspace_id)}
    name = name.replace("/", "-")
    others = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in others if one not in taken)


# --- the form -------------------------------------------------------------------------------


def show_draft(question: Question, draft: Draft) -> list[Node]:
    """The form, and what its limit is derived from."""
    passed_on = [
        html.Input(type="hidden", name=name, value=value)
        for name in PASSED_ON
        for value in question.members.get(name, "").split(TAGS if name == "tag" else None)
        if value
    ]
    send = html.Button("Create monitor", type="submit", className="primary")
    form = html.Form(
        [*passed_on, *_fields(draft), html.Div(send if draft.may_change else note(READ_ONLY))],
        action="/monitors",
        method="post",
        className="new-monitor",
    )
    back = html.A(question.model.name, href="/model" + query_string(question.members))
    return [html.P(["Of ", back], className="sides"), form, note(_derived(draft))]


def _derived(draft: Draft) -> str:
    unit = metric_named(draft.metric).unit
    if draft.suggested.limit is None:
        return "The metric has no value in the window of the page, so you choose the limit."
    value, limit = (
        format_number(one, unit) for one in (draft.suggested.value, draft.suggested.limit)
    )
    return (
        f"It is {value} in the window of the page; {limit} is half again worse. It fires once its"
        " whole confidence interval is beyond the limit, if it has one. Shares are fractions of 1."
    )


def _fields(draft: Draft) -> Iterator[Markup]:
    limit = draft.suggested.limit
    yield _field("Name", _input("name", draft.name, required="required", maxlength="200"))
    yield _field("Metric", _select("metric", draft.metrics, draft.metric))
    if draft.metric == QUANTILE:
        yield _field("Quantile", _input("quantile", DEFAULT_QUANTILE))
    yield _field("Fires if it is", _select("is", SIDES, draft.side))
    yield _field("Compared with", _select("with", COMPARED, "value"))
    yield _field("Value", _input("value", "" if limit is None else f"{limit:g}"))
    yield _field("Periods before", _input("windows", PERIODS))
    yield _field("How far", _select("by", BY, "value"))
    yield _field("Amount", _input("amount", "", placeholder="any"))
    yield _field("Window", _select("window", dict(zip(WINDOWS, WINDOWS, strict=True)), "1h"))
    yield _field("Every", _input("every", "", placeholder="as the window"))
    least = str(FEW) if metric_named(draft.metric).has_interval else "0"
    yield _field("At least n", _input("n", least))
    yield _field("Severity", _select("severity", SEVERITIES, "critical"))
    yield _receivers(draft.receivers)


def _field(words: str, control: Markup) -> Markup:
    return html.Label([html.Span(words), control])


def _input(name: str, value: str, **more: str) -> Markup:
    return html.Input(type="text", name=name, value=value, autocomplete="off", **more)


def _select(name: str, options: dict[str, str], chosen: str) -> Markup:
    listed = [
        Option(words, value=value, **({"selected": "selected"} if value == chosen else {}))
        for value, words in options.items()
    ]
    return Select(listed, name=name)


def _receivers(names: Sequence[str]) -> Markup:
    boxes = [
        html.Label([html.Input(type="checkbox", name="notify", value=name), html.Span(name)])
        for name in names
    ]
    return Fieldset([Legend("Notifies"), *(boxes or [note("There are no receivers yet.")])])


# --- what it sends --------------------------------------------------------------------------


def create(conn: Connection, workspace_id: int, form: MultiDict[str, str]) -> str:
    """Create the monitor that a form describes; returns its name.

    Raises:
        InvalidInput: it is incomplete, contradicts itself, or there is a monitor of this name.
        WrongKind: the model is of another kind than the metric.
    """
    name = form.get("name", "").strip()
    if not name or not name.isprintable() or "/" in name:
        raise InvalidInput("a name must not be empty, nor contain / or control characters")
    if monitors_of(conn, workspace_id, name):
        raise InvalidInput(f"there is a monitor {name} already")
    return put_monitor(conn, workspace_id, name, definition_of(form)).name


def definition_of(form: MultiDict[str, str]) -> MonitorDefinition:
    """The definition that a form describes.

    Raises:
        InvalidInput: a field is not of its type.
    """
    try:
        return msgspec.convert(_body(form), MonitorDefinition, dec_hook=read_field)
    except msgspec.ValidationError as error:
        rejection = rejection_of(error)
        raise InvalidInput(f"{rejection.field} {rejection.reason}".strip()) from None


def _body(form: MultiDict[str, str]) -> dict[str, Any]:
    given = {name: form.get(name, "").strip() for name in form}
    body: dict[str, Any] = {
        name: given[name]
        for name in (*PASSED_ON, "metric", "window", "every", "severity")
        if given.get(name) and name != "tag"
    }
    body |= {"tags": form.getlist("tag"), "notify": form.getlist("notify")}
    body["compare"] = {"with": given.get("with", "")}
    body["rule"] = {"is": given.get("is", ""), "by": given.get("by", "")}
    body["minimum"] = {"n": _number("n", given.get("n") or "0")}
    if given.get("with") == "value":
        body["compare"]["value"] = _number("value", given.get("value", ""))
    if given.get("with") == "trailing":
        body["compare"]["windows"] = _number("windows", given.get("windows", ""))
    if given.get("amount"):
        body["rule"]["amount"] = _number("amount", given["amount"])
    if given.get("metric") == QUANTILE:
        body["quantile"] = _number("quantile", given.get("quantile") or DEFAULT_QUANTILE)
    return body


def _number(name: str, text: str) -> float | int:
    """A number, whole where it is written so.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise InvalidInput(f"{name} must be a number") from None


PAGE = Page(PATH, "", (Panel("new-monitor", "Make a monitor", find_draft, show_draft),))
