"""The history of one request: every prediction of it, and every truth that it ever had."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.errors import InvalidInput
from app.ingest.fields import MAX_NAME_LENGTH
from app.query.measure import Unit
from app.query.request_history import (
    LearnedTruth,
    Lookup,
    Prediction,
    RequestHistory,
    request_history,
)
from app.store.registry import ModelName
from app.web import markup as html
from app.web.panels import Page, Panel, PanelContext, Rows
from app.web.question import Question, common, iso_utc, query_string
from app.web.request_links import finder, names_of
from app.web.requests import predicted, truth_text
from app.web.tables import note, table, tile
from app.web.units import UNKNOWN, format_number, moment

TIME_FORM = "time must be one like 2026-03-01T10:00:00Z"


def find(context: PanelContext) -> RequestHistory | None:
    """The history of the request that the URL names; None if it names none.

    Raises:
        InvalidInput: the id is too long to be one.
        UnknownRequest: nothing is kept of such a request.
    """
    members = context.question.members
    id_ = members.get("request", "").strip()
    if not id_:
        return None
    if len(id_) > MAX_NAME_LENGTH:
        raise InvalidInput(f"a request's id has at most {MAX_NAME_LENGTH} characters")
    names = {name: members.get(name) for name in ("namespace", "pipeline", "model")}
    lookup = Lookup(id_, time=_time(members.get("time")), **names)
    return request_history(context.conn, workspace_id=context.workspace_id, lookup=lookup)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(TIME_FORM) from None
    if time.tzinfo is None:
        raise InvalidInput(TIME_FORM)
    return time


def show(question: Question, history: RequestHistory | None) -> list[Markup]:
    """A field to find another request; the predictions of this one, and its truths."""
    if history is None:
        return [finder(question), note("The id of a request leads to all that is kept about it.")]
    return [
        finder(question),
        html.H2(history.request_id, className="request-id", title=history.request_id),
        *(
            html.Div(list(_prediction(question, prediction)), className="prediction")
            for prediction in history.predictions
        ),
        *_pending(question, history),
        *_kept(question, history),
    ]


def _prediction(question: Question, prediction: Prediction) -> Iterator[Markup]:
    yield html.H3([_model(question, prediction.name), *_part(prediction)])
    yield html.Dl(list(_tiles(question, prediction)), className="tiles small")
    if not prediction.kept:
        yield note("Its row is no longer kept: only its output and its latest truth are known.")
    elif prediction.truths:
        yield _truths(question, prediction)
    elif not prediction.request.failed:
        yield note("No truth is known.")


def _model(question: Question, name: ModelName) -> Markup:
    place = " / ".join(filter(None, (name.namespace, name.pipeline)))
    members = {**common(question.members), **names_of(name)}
    link = html.A(name.name, href="/model" + query_string(members), className="name")
    return html.Span([link, html.Span(place, className="quiet place") if place else None])


def _part(prediction: Prediction) -> Iterator[Markup]:
    part = prediction.request.part
    names = (part.version, part.deployment, part.deployment_type, part.server_version)
    for name in filter(None, names):
        yield html.Span(name, className="kind")
    for key, value in sorted(part.tags.items()):
        yield html.Span(f"{key}:{value}", className="kind tag")


def _tiles(question: Question, prediction: Prediction) -> Iterator[Markup]:
    request = prediction.request
    yield tile("Predicted", predicted(request))
    yield tile("Truth", truth_text(request.actual_label, request.actual_value), _verdict(request))
    if request.error is not None:
        yield tile("Error", format_number(request.error, Unit.OWN))
    else:
        yield tile("Confidence", format_number(request.confidence, Unit.SHARE))
    yield tile("Latency", format_number(request.latency_seconds, Unit.SECONDS))
    yield tile("Made", _at(question, request.time))
    yield tile("Received", _at(question, request.received_at))
    if request.batch_index:
        yield tile("Position in the request", str(request.batch_index))


def _verdict(request: Any) -> Markup | None:
    if request.wrong is None:
        return None
    tone, words = ("worse", "wrong") if request.wrong else ("better", "right")
    return html.Span(f" {words}", className=f"change {tone}")


def _truths(question: Question, prediction: Prediction) -> Markup:
    heads = [("Truth", ""), ("Learned", "text"), ("After", "text"), ("Replaced", "text")]
    rows = [_truth(question, prediction, truth) for truth in prediction.truths]
    return table("Truths, as they were learned", heads, rows, kind="truths")


def _truth(question: Question, prediction: Prediction, truth: LearnedTruth) -> list[Any]:
    after = max((truth.learned_at - prediction.request.time).total_seconds(), 0.0)
    replaced = "current" if truth.replaced_at is None else _at(question, truth.replaced_at)
    words = (_at(question, truth.learned_at), _duration(after), replaced)
    return [
        truth_text(truth.label, truth.value),
        *(html.Td(text, className="text") for text in words),
    ]


# Units of a delay, in seconds: the largest that the delay reaches.
DELAYS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def _duration(seconds: float) -> str:
    size, unit = next(((s, u) for s, u in DELAYS if seconds >= s), (1.0, "s"))
    return f"{seconds / size:.3g} {unit}"


def _pending(question: Question, history: RequestHistory) -> Iterator[Markup]:
    if not history.pending:
        return
    rows = [
        [
            " / ".join(filter(None, truth.name)),
            html.Td(truth_text(truth.label, truth.value), className="text"),
            html.Td(_at(question, truth.received_at), className="text"),
        ]
        for truth in history.pending
    ]
    yield html.H3("Truths that wait for their prediction")
    heads = [("Model", ""), ("Truth", "text"), ("Received", "text")]
    yield table("Truths that wait for their prediction", heads, rows)


def _kept(question: Question, history: RequestHistory) -> Iterator[Markup]:
    if history.kept_since:
        since = _at(question, history.kept_since)
        yield html.P(f"Rows received before {since} are not kept.", className="quiet basis")


def _at(question: Question, instant: datetime | None) -> str:
    return UNKNOWN if instant is None else moment(question.local(instant))


def rows(_: Question, history: RequestHistory | None) -> Rows:
    """A line per prediction and truth, with a column for each tag; without a truth one line."""
    predictions = history.predictions if history else ()
    keys = sorted({key for one in predictions for key in one.request.part.tags})
    names = ("namespace", "pipeline", "model", "version", "deployment", "batchIndex", "time")
    truth_names = ("label", "value", "learnedAt", "replacedAt")
    outputs = ("predictedLabel", "predictedValue", "confidence", "failed")
    yield [*names, *outputs, *truth_names, *(f"tag_{key}" for key in keys)]
    for prediction in predictions:
        request, part = prediction.request, prediction.request.part
        line = [
            *prediction.name,
            part.version,
            part.deployment,
            request.batch_index,
            iso_utc(request.time),
            request.predicted_label,
            request.predicted_value,
            request.confidence,
            str(request.failed).lower(),
        ]
        for truth in prediction.truths or (None,):
            yield [*line, *_truth_cells(truth), *(part.tags.get(key) for key in keys)]


def _truth_cells(truth: LearnedTruth | None) -> list[Any]:
    if truth is None:
        return [None] * 4
    replaced = truth.replaced_at and iso_utc(truth.replaced_at)
    return [truth.label, truth.value, iso_utc(truth.learned_at), replaced]


PAGE = Page("/request", "Request", (Panel("request", "History of a request", find, show, rows),))
