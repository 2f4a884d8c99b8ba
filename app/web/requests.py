"""The requests behind a number: predictions of a model with their truths, newest first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.errors import InvalidInput
from app.query.cursors import RequestCursor, packed, unpacked
from app.query.measure import Unit
from app.query.question import Question as Query
from app.query.requests import Request, RequestFilter, RequestPage, requests_page
from app.query.settle import moment_of
from app.query.subjects import Subject
from app.store.registry import Kind
from app.web import markup as html
from app.web.basis import of_model
from app.web.markup import to_component
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import Question, iso_utc, query_string
from app.web.request_links import finder, request_link, with_tag
from app.web.tables import labelled, note, table
from app.web.units import UNKNOWN, all_digits, format_number, moment

PAGE_SIZE = 50
FLAGS = {"true": True, "false": False}
NO_ID = "no id"


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of requests, and the kind of their model."""

    page: RequestPage
    kind: Kind | None


def find(context: PanelContext) -> Listed:
    """A page of the requests that the URL asks for.

    Raises:
        InvalidInput: a filter or the cursor is invalid.
        UnknownModel: the workspace has no such model, or no predictions in this scope.
    """
    query, after = of_model(context), _cursor(context.question)
    if after:
        query = _as_of(query, after.as_of)
    page = requests_page(
        context.conn,
        query,
        filter_of(context.question),
        size=PAGE_SIZE,
        after=after.position if after else None,
    )
    return Listed(page, query.subject.kind)


def _as_of(query: Query[Subject], as_of: datetime) -> Query[Subject]:
    moment = moment_of(as_of, query.settled_moment.snapshot_at)
    return replace(query, as_of=as_of, moment=moment)


def _cursor(question: Question) -> RequestCursor | None:
    text = question.members.get("cursor")
    if not text:
        return None
    try:
        return unpacked(text, RequestCursor)
    except ValueError:
        raise InvalidInput("the cursor is not one of a link to older requests") from None


def filter_of(question: Question) -> RequestFilter:
    """The filter that the URL names.

    Raises:
        InvalidInput: a parameter is invalid, or no request can meet all of them.
    """
    unlabelled = _flag(question, "unlabelled")
    return RequestFilter(
        predicted=question.members.get("predictedLabel"),
        actual=question.members.get("actualLabel"),
        wrong=_flag(question, "wrong"),
        labelled=None if unlabelled is None else not unlabelled,
        failed=_flag(question, "failed"),
        least_confidence=_number(question, "minConfidence", most=1),
        most_confidence=_number(question, "maxConfidence", most=1),
        least_error=_number(question, "minError", most=2e100),
    )


def _flag(question: Question, name: str) -> bool | None:
    text = question.members.get(name)
    if text is None:
        return None
    if text not in FLAGS:
        raise InvalidInput(f"{name} must be true or false")
    return FLAGS[text]


def _number(question: Question, name: str, *, most: float) -> float | None:
    text = question.members.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise InvalidInput(f"{name} must be a number from 0 to {most:g}")
    return number


# --- what is asked ------------------------------------------------------------------------


def show(question: Question, listed: Listed) -> list[Node]:
    """The filters, a row per request, and how far the search went."""
    return [
        to_component(html.Div([_heading(question), finder(question)], className="requests-head")),
        to_component(html.Div(_states(question, listed.kind), **STATES), "request-states"),
        dash_html.Div(list(_inputs(question, listed.kind)), className="choices request-filters"),
        _table(question, listed) if listed.page.requests else note(_nothing(listed.page)),
        html.P(list(_walk(question, listed.page)), className="walk pages"),
        html.P(_basis(question, listed.page), className="quiet basis"),
    ]


STATES: dict[str, Any] = {"className": "states", "role": "group", **labelled("Requests by state")}


def _heading(question: Question) -> Markup:
    members = {**question.members, **dict.fromkeys(OF_LIST)}
    name = question.model
    place = " / ".join(filter(None, (name.namespace, name.pipeline)))
    part = ", ".join(filter(None, (question.scope.version, question.scope.deployment)))
    link = html.A(name.name, href="/model" + query_string(members), className="name")
    words = [html.Span(text, className="quiet place") for text in (part, place) if text]
    return html.P([link, *words, *_tagged(question)], className="of-model")


def _tagged(question: Question) -> Iterator[Markup]:
    """Which tags the requests have, if they are chosen; a link ends the choice."""
    if question.scope.tags:
        every = "/requests" + query_string({**question.members, "tag": None, "cursor": None})
        yield html.Span(f"only with {question.scope.tags}", className="place")
        yield html.A("show all", href=every)


# Parameters of the list alone.
OF_LIST = (
    *("wrong", "unlabelled", "failed", "predictedLabel", "actualLabel"),
    *("minConfidence", "maxConfidence", "minError", "cursor"),
)
# States of requests: their title and parameter, and whether they are of classes.
STATE_LINKS: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("All", {}, False),
    ("Wrong", {"wrong": "true"}, True),
    ("Right", {"wrong": "false"}, True),
    ("With a truth", {"unlabelled": "false"}, False),
    ("Without a truth", {"unlabelled": "true"}, False),
    ("Failed", {"failed": "true"}, False),
)


def _states(question: Question, kind: Kind | None) -> Iterator[Markup]:
    """Links to the requests of each state; what can't be combined with it is dropped."""
    none = dict.fromkeys(("wrong", "unlabelled", "failed", "cursor"))
    for title, state, of_classes in STATE_LINKS:
        if of_classes and kind is Kind.REGRESSION:
            continue
        asked = {**question.members, **none, **state}
        if state.get("unlabelled") == "true" or "failed" in state:
            asked |= {"actualLabel": None, "minError": None}
        names = ("wrong", "unlabelled", "failed")
        current = all(question.members.get(name) == state.get(name) for name in names)
        yield html.A(
            title,
            href="/requests" + query_string(asked),
            className="state",
            **({"aria-current": "true"} if current else {}),
        )


def _inputs(question: Question, kind: Kind | None) -> Iterator[Component]:
    """Fields for classes, confidence and error, as the kind of the model has them."""
    if kind is Kind.REGRESSION:
        yield _field(question, "minError", "Error of at least")
        return
    yield _field(question, "predictedLabel", "Predicted class")
    if kind is not Kind.DETECTION:
        yield _field(question, "actualLabel", "True class")
    yield _field(question, "minConfidence", "Confidence from", "0")
    yield _field(question, "maxConfidence", "to", "1")


def _field(question: Question, name: str, label: str, placeholder: str = "any") -> Component:
    return dmc.TextInput(
        id={"choice": name},
        label=label,
        size="xs",
        w=130,
        value=question.members.get(name, ""),
        placeholder=placeholder,
        debounce=True,
    )


# --- what was found -----------------------------------------------------------------------


def _table(question: Question, listed: Listed) -> Markup:
    values = listed.kind is Kind.REGRESSION
    heads: list[Any] = [("Request", ""), ("Predicted", "text"), ("Truth", "text")]
    heads += ["Error"] if values else ["Confidence"]
    heads += [("Made", "text"), ("Truth learned", "text"), ("Version", "text"), "Latency"]
    tagged = any(request.part.tags for request in listed.page.requests)
    heads += [("Tags", "text")] if tagged else []
    rows = [
        [
            *_row(question, request, values=values),
            *([_tags(question, request.part.tags)] if tagged else []),
        ]
        for request in listed.page.requests
    ]
    return table("Requests, newest first", heads, rows, kind="requests")


def _row(question: Question, request: Request, *, values: bool) -> list[Any]:
    return [
        _id(question, request),
        _text(predicted(request), "failed" if request.failed else ""),
        _truth(request),
        _measured(request.error, Unit.OWN) if values else _measured(request.confidence, Unit.SHARE),
        _text(_at(question, request.time)),
        _text(_learned(question, request)),
        _text(" · ".join(filter(None, (request.part.version, request.part.deployment))) or UNKNOWN),
        _measured(request.latency_seconds, Unit.SECONDS),
    ]


def _id(question: Question, request: Request) -> Markup:
    if request.request_id is None:
        return html.Span(NO_ID, className="quiet")
    href = request_link(question, request.request_id, question.model, request.time)
    place = f" [{request.batch_index}]" if request.batch_index else ""
    shown = html.A(request.request_id, href=href, className="class", title=request.request_id)
    return html.Span([shown, place])


def _tags(question: Question, tags: Mapping[str, str]) -> Markup:
    """The tags, each a link to only those requests that have it, too."""
    links = [
        html.A(
            f"{key}:{value}",
            href="/requests"
            + query_string({**question.members, "cursor": None, **with_tag(question, key, value)}),
            className="tag",
            title=f"Only requests with {key} {value}",
        )
        for key, value in sorted(tags.items())
    ]
    return html.Td(links or UNKNOWN, className="text tags")


def _text(words: str, class_name: str = "") -> Markup:
    return html.Td(words, className=f"text {class_name}".strip(), title=words)


def predicted(request: Request) -> str:
    """The output as text."""
    if request.predicted_label is not None:
        return request.predicted_label or "nothing"
    if request.predicted_value is not None:
        return format_number(request.predicted_value, Unit.OWN)
    return "failed" if request.failed else UNKNOWN


def _truth(request: Request) -> Markup:
    words = truth_text(request.actual_label, request.actual_value)
    tone = "" if request.wrong is None else "miss" if request.wrong else "hit"
    said = {"miss": "wrong", "hit": "right"}.get(tone)
    hidden = html.Span(f" ({said})", className="hidden") if said else None
    return html.Td(
        [html.Span(words, className="class", title=words), hidden], className=f"text {tone}".strip()
    )


def truth_text(label: str | None, value: float | None) -> str:
    """A truth as text."""
    if label is not None:
        return label
    return UNKNOWN if value is None else format_number(value, Unit.OWN)


def _measured(number: float | None, unit: Unit) -> Markup:
    return html.Span(format_number(number, unit), title=all_digits(number, unit))


def _at(question: Question, instant: datetime) -> str:
    return moment(question.local(instant))


def _learned(question: Question, request: Request) -> str:
    if request.learned_at is None:
        return UNKNOWN
    corrected = ", corrected" if request.corrected else ""
    return _at(question, request.learned_at) + corrected


def _nothing(page: RequestPage) -> str:
    if page.following:
        return "None of the requests that were read is one of these. Older ones may be."
    return "No request of this window is one of these."


def _walk(question: Question, page: RequestPage) -> Iterator[Markup]:
    """Links to the newest and to older requests."""
    if question.members.get("cursor"):
        newest = {**question.members, "cursor": None}
        yield html.A("← newest", href="/requests" + query_string(newest))
    if cursor := RequestCursor.after(page):
        older = {**question.members, "cursor": packed(cursor)}
        yield html.A("older →", href="/requests" + query_string(older))


def _basis(question: Question, page: RequestPage) -> str:
    """How far the search went, what it read, and as of when."""
    searched = f"Searched back to {_at(question, page.searched_from)}"
    if not page.following:
        searched = "Searched to the start of the window"
    words = [f"{searched}, {page.n_read:,} rows read."]
    words.append(f"As known at {_at(question, page.moment.effective_as_of)}.")
    if page.kept_since:
        words.append(f"Requests received before {_at(question, page.kept_since)} are not kept.")
    return " ".join(words)


def rows(_: Question, listed: Listed) -> Rows:
    """A line per request of the page, with a column for each tag."""
    keys = sorted({key for request in listed.page.requests for key in request.part.tags})
    yield [
        *("requestId", "batchIndex", "time", "receivedAt", "version", "deployment", "failed"),
        *("predictedLabel", "predictedValue", "confidence", "latencySeconds", "actualLabel"),
        *("actualValue", "wrong", "learnedAt", "corrected"),
        *(f"tag_{key}" for key in keys),
    ]
    for request in listed.page.requests:
        yield [
            request.request_id,
            request.batch_index,
            iso_utc(request.time),
            iso_utc(request.received_at),
            request.part.version,
            request.part.deployment,
            _word(request.failed),
            request.predicted_label,
            request.predicted_value,
            request.confidence,
            request.latency_seconds,
            request.actual_label,
            request.actual_value,
            _word(request.wrong),
            request.learned_at and iso_utc(request.learned_at),
            _word(request.corrected),
            *(request.part.tags.get(key) for key in keys),
        ]


def _word(flag: bool | None) -> str | None:
    return None if flag is None else str(flag).lower()


PAGE = Page("/requests", "Requests", (Panel("requests", "Requests of a model", find, show, rows),))
