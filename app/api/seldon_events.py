"""Events of Seldon's executor and of MLServer, as what they bring."""

from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent

from app.api.cloudevents import data_of, extensions
from app.api.metrics_servers import UNKNOWN, MetricsServer, MetricsServers
from app.api.seldon_messages import (
    InferenceResponse,
    SeldonFeedback,
    answer_of,
    answer_of_response,
)
from app.api.seldon_metrics import custom_samples
from app.errors import InvalidInput
from app.ingest.confusion import Answer, MetricKind, classes, values
from app.ingest.event_lookups import Lookup, confusion_samples
from app.ingest.event_metrics import Sample
from app.ingest.event_pairs import Half
from app.ingest.events import Event
from app.ingest.feedback import Feedback
from app.ingest.fields import MAX_NAME_LENGTH
from app.ingest.inferences import Prediction

FEEDBACK = "io.seldon.serving.feedback"
REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"


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
    if response.failed:
        predictions = [Prediction(**model, error=True)]
    else:
        answer = answer_of_response(response)
        predictions = _predictions(model, server.kind or answer.kind(), answer)
    return {"predictions": predictions, "half": _half(subject, responded_at=event.get_time())}


def _of_feedback(event: BaseCloudEvent, subject: Subject, server: MetricsServer) -> dict[str, Any]:
    said = data_of(event, SeldonFeedback)
    if said.request is not None:
        answer_of("request", said.request.data)
    truth = answer_of("truth", said.truth.data)
    labels = subject.labels() | server.labels
    custom = custom_samples(said.truth.meta and said.truth.meta.metrics, labels)
    if said.response is None:
        return _without_answer(subject, server.kind or truth.kind(), truth, labels, custom)
    answer = answer_of("response", said.response.data)
    kind = server.kind or answer.kind()
    request = subject.request_id or event.get_id()[:MAX_NAME_LENGTH]
    model = {**_of_model(subject, request), "time": event.get_time()}
    counted = (
        ()
        if kind is MetricKind.REGRESSION
        else confusion_samples(kind, classes(kind, answer)[0], classes(kind, truth)[0], labels)
    )
    return {
        "samples": [*counted, *custom],
        "predictions": _predictions(model, kind, answer),
        "feedback": _truths(subject, request, kind, truth),
    }


def _without_answer(
    subject: Subject, kind: MetricKind, truth: Answer, labels: dict[str, str], custom: list[Sample]
) -> dict[str, Any]:
    """A truth whose answer came, or will come, as an event of its own."""
    if not subject.request_id:
        raise InvalidInput("response is required where ce-requestid doesn't tell which it was")
    brought = {"samples": custom, "feedback": _truths(subject, subject.request_id, kind, truth)}
    if kind is MetricKind.REGRESSION:
        return brought
    return {**brought, "lookup": Lookup(kind, classes(kind, truth)[0].name, labels)}


_BY_TYPE = {FEEDBACK: _of_feedback, REQUEST: _of_request, RESPONSE: _of_response}


def _half(subject: Subject, **time: Any) -> Half | None:
    """The event as one half of a pair; without a request's id or a time it is none."""
    if not subject.request_id or None in time.values():
        return None
    return Half(**_of_model(subject, subject.request_id), **time)


def _predictions(model: dict[str, Any], kind: MetricKind, answer: Answer) -> list[Prediction]:
    if kind is MetricKind.REGRESSION:
        return [
            Prediction(**model, batch_index=row, value=value)
            for row, value in enumerate(values(answer))
        ]
    return [
        Prediction(**model, batch_index=row, label=one.name, confidence=one.confidence)
        for row, one in enumerate(classes(kind, answer))
    ]


def _truths(subject: Subject, request_id: str, kind: MetricKind, truth: Answer) -> list[Feedback]:
    named: dict[str, Any] = {**subject.model_name(), "request_id": request_id}
    if kind is MetricKind.REGRESSION:
        return [
            Feedback(**named, batch_index=row, value=value)
            for row, value in enumerate(values(truth))
        ]
    return [
        Feedback(**named, batch_index=row, label=one.name)
        for row, one in enumerate(classes(kind, truth))
    ]


def _of_model(subject: Subject, request_id: str | None) -> dict[str, Any]:
    """Which inference of which model."""
    return {
        **subject.model_name(),
        "deployment": subject.deployment,
        "version": subject.predictor,
        "request_id": request_id,
    }
