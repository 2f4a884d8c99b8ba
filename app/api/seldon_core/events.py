"""Events of Seldon's executor and of MLServer, as what they bring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent

from app.api.seldon_core.cloudevents import data_of, extensions
from app.api.seldon_core.confusion import confusion_lookup, confusion_samples
from app.api.seldon_core.custom_metrics import custom_samples
from app.api.seldon_core.messages import (
    InferenceResponse,
    SeldonFeedback,
    answer_of,
    answer_of_response,
)
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
from app.ingest.inferences import Prediction

FEEDBACK = "io.seldon.serving.feedback"
REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"
Said = Class | float  # what one row says


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about; empty where it doesn't say."""

    namespace: str
    deployment: str
    predictor: str
    model: str
    request_id: str

    @classmethod
    def of(cls, event: BaseCloudEvent) -> "Subject":
        """What the extensions of an event say.

        Raises:
            InvalidInput: a name is too long.
        """
        said = extensions(event)
        names = ("namespace", "inferenceservicename", "endpoint", "modelid", "requestid")
        if long := [name for name in names if len(said.get(name, "")) > MAX_NAME_LENGTH]:
            raise InvalidInput(f"ce-{long[0]} must have at most {MAX_NAME_LENGTH} characters")
        return cls(*(said.get(name, "") for name in names))

    def model_name(self) -> dict[str, Any]:
        """What its predictions and truths call their model."""
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
    """What an event brings; None for one of a type that says nothing here.

    Raises:
        InvalidInput: its data isn't what its type says.
    """
    brought = _BY_TYPE.get(event.get_type())
    if brought is None:
        return None
    subject = Subject.of(event)
    server = server_of(event, servers)
    return Event(source=event.get_source(), id=event.get_id(), **brought(event, subject, server))


def server_of(event: BaseCloudEvent, servers: MetricsServers) -> MetricsServer:
    """The configuration of the deployment that an event is about."""
    said = extensions(event)
    return servers.of(said.get("namespace", ""), said.get("inferenceservicename", ""))


def _of_request(event: BaseCloudEvent, subject: Subject, _: MetricsServer) -> dict[str, Any]:
    """A request brings the moment it was made at; what was asked isn't looked at."""
    return {"half": _half(subject, requested_at=event.get_time())}


def _of_response(event: BaseCloudEvent, subject: Subject, server: MetricsServer) -> dict[str, Any]:
    response = data_of(event, InferenceResponse)
    model = {**_of_model(subject, subject.request_id or None), "time": event.get_time()}
    half = _half(subject, responded_at=event.get_time())
    if response.failed:
        return {"predictions": [Prediction(**model, error=True)], "half": half}
    answer = answer_of_response(response)
    rows = _Rows("response", _read(server.kind or answer.kind(), answer))
    return {"predictions": rows.predictions(model), "half": half, "row_errors": rows.odd}


def _of_feedback(event: BaseCloudEvent, subject: Subject, server: MetricsServer) -> dict[str, Any]:
    said = data_of(event, SeldonFeedback)
    if said.request is not None:
        answer_of("request", said.request.data)
    truth = answer_of("truth", said.truth.data)
    check_truth(truth, server.kind)
    labels = subject.labels() | server.labels
    custom = custom_samples(said.truth.meta and said.truth.meta.metrics, labels)
    if said.response is None:
        return _without_answer(subject, server.kind or truth.kind(), truth, labels, custom)
    answer = answer_of("response", said.response.data)
    request = subject.request_id or event.get_id()[:MAX_NAME_LENGTH]
    model = {**_of_model(subject, request), "time": event.get_time()}
    made, told = (
        _Rows(name, rows)
        for name, rows in zip(("response", "truth"), _read_both(server, answer, truth), strict=True)
    )
    kind = server.kind or answer.kind()
    return {
        "samples": [*_counted(kind, made.first, told.first, labels), *custom],
        "predictions": made.predictions(model),
        "feedback": told.truths(subject, request),
        "row_errors": made.odd + told.odd,
    }


def _without_answer(
    subject: Subject, kind: MetricKind, truth: Answer, labels: dict[str, str], custom: list[Sample]
) -> dict[str, Any]:
    """A truth whose answer came, or will come, as an event of its own."""
    if not subject.request_id:
        raise InvalidInput("response is required where ce-requestid doesn't tell which it was")
    rows = _Rows("truth", _read(kind, truth))
    feedback = rows.truths(subject, subject.request_id)
    brought = {"samples": custom, "feedback": feedback, "row_errors": rows.odd}
    if not isinstance(rows.first, Class):
        return brought
    return {**brought, "lookup": confusion_lookup(kind, rows.first.name, labels)}


_BY_TYPE = {FEEDBACK: _of_feedback, REQUEST: _of_request, RESPONSE: _of_response}


def _half(subject: Subject, **time: Any) -> Half | None:
    """The event as one half of a pair; without a request's id or a time it is none."""
    if not subject.request_id or None in time.values():
        return None
    return Half(**_of_model(subject, subject.request_id), **time)


def _read(kind: MetricKind, answer: Answer) -> Sequence[Said | InvalidInput]:
    return values(answer) if kind is MetricKind.REGRESSION else classes(kind, answer)


def _read_both(
    server: MetricsServer, answer: Answer, truth: Answer
) -> tuple[Sequence[Said | InvalidInput], Sequence[Said | InvalidInput]]:
    if server.kind is MetricKind.REGRESSION:
        return values(answer), values(truth)
    return classes_of_both(answer, truth, server.kind)


class _Rows:
    """Rows of an array that were read: classes or values, and why others could not be.

    Raises:
        InvalidInput: none of them could.
    """

    def __init__(self, name: str, rows: Sequence[Said | InvalidInput]) -> None:
        self._said = {at: one for at, one in enumerate(rows) if not isinstance(one, InvalidInput)}
        errors = {at: one for at, one in enumerate(rows) if isinstance(one, InvalidInput)}
        if not self._said:
            raise errors[0]
        self.odd = [f"row {at} of {name}: {error}" for at, error in errors.items()]

    @property
    def first(self) -> Said | None:
        """What the first row says; None where it can't be read."""
        return self._said.get(0)

    def predictions(self, model: dict[str, Any]) -> list[Prediction]:
        """The rows as answers."""
        return [
            Prediction(**model, batch_index=at, label=one.name, confidence=one.confidence)
            if isinstance(one, Class)
            else Prediction(**model, batch_index=at, value=one)
            for at, one in self._said.items()
        ]

    def truths(self, subject: Subject, request_id: str) -> list[Feedback]:
        """The rows as truths."""
        named: dict[str, Any] = {**subject.model_name(), "request_id": request_id}
        return [
            Feedback(**named, batch_index=at, label=one.name)
            if isinstance(one, Class)
            else Feedback(**named, batch_index=at, value=one)
            for at, one in self._said.items()
        ]


def _counted(
    kind: MetricKind, predicted: Said | None, actual: Said | None, labels: dict[str, str]
) -> Iterator[Sample]:
    """What the first row adds to the counters, if both can be read and are classes."""
    if isinstance(predicted, Class) and isinstance(actual, Class):
        yield from confusion_samples(kind, predicted, actual, labels)


def _of_model(subject: Subject, request_id: str | None) -> dict[str, Any]:
    """Which inference of which model."""
    return {
        **subject.model_name(),
        "deployment": subject.deployment,
        "version": subject.predictor,
        "request_id": request_id,
    }
