"""Translates events of Seldon's executor and of MLServer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent

from app.api.seldon_core.cloudevents import data_of, extensions
from app.api.seldon_core.confusion import confusion_lookup, confusion_samples
from app.api.seldon_core.custom_metrics import custom_samples
from app.api.seldon_core.messages import Message, SeldonFeedback, answer_of, array_of, check_form
from app.api.seldon_core.readings import (
    Answer,
    Class,
    MetricKind,
    check_truth,
    classes,
    classes_of_both,
    values,
)
from app.api.seldon_core.servers import UNKNOWN, MetricsServer, MetricsServers
from app.errors import InvalidInput
from app.ingest.events.ingest import Event
from app.ingest.events.metrics import Sample
from app.ingest.events.pairs import Half
from app.ingest.feedback import Feedback
from app.ingest.fields import MAX_NAME_LENGTH
from app.ingest.inferences import Prediction, UnreadAnswer
from app.running import settings

FEEDBACK = "io.seldon.serving.feedback"
REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"
RowValue = Class | float


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about; empty names are unknown."""

    namespace: str
    deployment: str
    predictor: str
    model: str
    request_id: str

    @classmethod
    def of(cls, event: BaseCloudEvent) -> "Subject":
        """The names in the extensions of an event.

        Raises:
            InvalidInput: a name is too long.
        """
        attributes = extensions(event)
        names = ("namespace", "inferenceservicename", "endpoint", "modelid", "requestid")
        if long := [name for name in names if len(attributes.get(name, "")) > MAX_NAME_LENGTH]:
            raise InvalidInput(f"ce-{long[0]} must have at most {MAX_NAME_LENGTH} characters")
        return cls(*(attributes.get(name, "") for name in names))

    def model_name(self) -> dict[str, Any]:
        """The model's name, as in its predictions and truths."""
        return {
            "namespace": self.namespace,
            "pipeline": self.deployment,
            "model": self.model or UNKNOWN,
        }

    def labels(self) -> dict[str, str]:
        """Labels of its metrics."""
        labels = {
            "deployment_name": self.deployment,
            "model_name": self.model,
            "predictor_name": self.predictor,
            "seldon_deployment_name": self.deployment,
            "seldon_deployment_namespace": self.namespace,
        }
        return {name: value or UNKNOWN for name, value in labels.items()}


def translate(event: BaseCloudEvent, servers: MetricsServers) -> Event | None:
    """The content of an event; None if events of its type are ignored.

    Raises:
        InvalidInput: its data doesn't fit its type.
    """
    content_of = _BY_TYPE.get(event.get_type())
    if content_of is None:
        return None
    subject = Subject.of(event)
    server = server_of(event, servers)
    return Event(source=event.get_source(), id=event.get_id(), **content_of(event, subject, server))


def server_of(event: BaseCloudEvent, servers: MetricsServers) -> MetricsServer:
    """The configuration of the deployment that an event is about."""
    attributes = extensions(event)
    return servers.of(attributes.get("namespace", ""), attributes.get("inferenceservicename", ""))


def _of_request(event: BaseCloudEvent, subject: Subject, _: MetricsServer) -> dict[str, Any]:
    """A request contributes only its time; its data is ignored."""
    awaited = settings().unanswered_after_s > 0
    return {"half": _half(subject, requested_at=event.get_time(), awaited=awaited)}


def _of_response(event: BaseCloudEvent, subject: Subject, server: MetricsServer) -> dict[str, Any]:
    response = data_of(event, Message)
    model = {**_of_model(subject, subject.request_id or None), "time": event.get_time()}
    half = _half(subject, responded_at=event.get_time())
    if response.failed:
        return {"predictions": [Prediction(**model, error=True)], "half": half}
    answer = answer_of("response", response)
    if answer is None:
        return {"predictions": [UnreadAnswer(**model)], "half": half}
    rows = _Rows("response", _read(server.kind or answer.kind(), answer))
    return {"predictions": rows.predictions(model), "half": half, "row_errors": rows.errors}


def _of_feedback(event: BaseCloudEvent, subject: Subject, server: MetricsServer) -> dict[str, Any]:
    feedback = data_of(event, SeldonFeedback)
    if feedback.request is not None:
        check_form("request", feedback.request)
    truth = array_of("truth", feedback.truth)
    check_truth(truth, server.kind)
    labels = subject.labels() | server.labels
    custom = custom_samples(feedback.truth.meta and feedback.truth.meta.metrics, labels)
    if feedback.response is None:
        return _without_answer(subject, server.kind or truth.kind(), truth, labels, custom)
    answer = array_of("response", feedback.response)
    request = subject.request_id or event.get_id()[:MAX_NAME_LENGTH]
    model = {**_of_model(subject, request), "time": event.get_time()}
    responses, truths = (
        _Rows(name, rows)
        for name, rows in zip(("response", "truth"), _read_both(server, answer, truth), strict=True)
    )
    kind = server.kind or answer.kind()
    return {
        "samples": [*_counted(kind, responses.first, truths.first, labels), *custom],
        "predictions": responses.predictions(model),
        "feedback": truths.truths(subject, request),
        "row_errors": responses.errors + truths.errors,
    }


def _without_answer(
    subject: Subject, kind: MetricKind, truth: Answer, labels: dict[str, str], custom: list[Sample]
) -> dict[str, Any]:
    """A truth whose answer was sent, or will be sent, as a separate event."""
    if not subject.request_id:
        raise InvalidInput("response is required unless ce-requestid identifies it")
    rows = _Rows("truth", _read(kind, truth))
    feedback = rows.truths(subject, subject.request_id)
    content = {"samples": custom, "feedback": feedback, "row_errors": rows.errors}
    if not isinstance(rows.first, Class):
        return content
    return {**content, "lookup": confusion_lookup(kind, rows.first.name, labels)}


_BY_TYPE = {FEEDBACK: _of_feedback, REQUEST: _of_request, RESPONSE: _of_response}


def _half(subject: Subject, *, awaited: bool = False, **time: Any) -> Half | None:
    """The event as one half of a pair; None without a request's id or a time."""
    if not subject.request_id or None in time.values():
        return None
    return Half(**_of_model(subject, subject.request_id), **time, awaited=awaited)


def _read(kind: MetricKind, answer: Answer) -> Sequence[RowValue | InvalidInput]:
    return values(answer) if kind is MetricKind.REGRESSION else classes(kind, answer)


def _read_both(
    server: MetricsServer, answer: Answer, truth: Answer
) -> tuple[Sequence[RowValue | InvalidInput], Sequence[RowValue | InvalidInput]]:
    if server.kind is MetricKind.REGRESSION:
        return values(answer), values(truth)
    return classes_of_both(answer, truth, server.kind)


class _Rows:
    """Parsed rows of an array: classes or values, and the errors of invalid ones.

    Raises:
        InvalidInput: all rows are invalid.
    """

    def __init__(self, name: str, rows: Sequence[RowValue | InvalidInput]) -> None:
        self._values = {i: row for i, row in enumerate(rows) if not isinstance(row, InvalidInput)}
        errors = {i: row for i, row in enumerate(rows) if isinstance(row, InvalidInput)}
        if not self._values:
            raise errors[0]
        self.errors = [f"row {index} of {name}: {error}" for index, error in errors.items()]

    @property
    def first(self) -> RowValue | None:
        """The value of the first row; None if that is invalid."""
        return self._values.get(0)

    def predictions(self, model: dict[str, Any]) -> list[Prediction]:
        """The rows as predictions."""
        return [
            Prediction(**model, batch_index=index, label=value.name, confidence=value.confidence)
            if isinstance(value, Class)
            else Prediction(**model, batch_index=index, value=value)
            for index, value in self._values.items()
        ]

    def truths(self, subject: Subject, request_id: str) -> list[Feedback]:
        """The rows as truths."""
        named: dict[str, Any] = {**subject.model_name(), "request_id": request_id}
        return [
            Feedback(**named, batch_index=index, label=value.name)
            if isinstance(value, Class)
            else Feedback(**named, batch_index=index, value=value)
            for index, value in self._values.items()
        ]


def _counted(
    kind: MetricKind, predicted: RowValue | None, actual: RowValue | None, labels: dict[str, str]
) -> Iterator[Sample]:
    """What the first row adds to the counters, if answer and truth are valid classes."""
    if isinstance(predicted, Class) and isinstance(actual, Class):
        yield from confusion_samples(kind, predicted, actual, labels)


def _of_model(subject: Subject, request_id: str | None) -> dict[str, Any]:
    """The model and the request of an inference."""
    return {
        **subject.model_name(),
        "deployment": subject.deployment,
        "version": subject.predictor,
        "request_id": request_id,
    }
