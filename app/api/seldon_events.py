"""Events of Seldon's executor and of MLServer, as what they bring."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cloudevents.core.base import BaseCloudEvent

from app.api.cloudevents import data_of, extensions
from app.api.metrics_servers import UNKNOWN, MetricsServer, MetricsServers
from app.api.seldon_messages import SeldonFeedback, answer_of
from app.errors import InvalidInput
from app.ingest.confusion import Class, MetricKind, classes, counts
from app.ingest.event_metrics import Sample
from app.ingest.events import Event
from app.ingest.feedback import Feedback
from app.ingest.fields import MAX_MAGNITUDE, MAX_NAME_LENGTH
from app.ingest.predictions import Prediction
from app.store.metrics import Metric, MetricType

FEEDBACK = "io.seldon.serving.feedback"
REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"
KNOWN = (FEEDBACK, REQUEST, RESPONSE)


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

    def columns(self) -> dict[str, Any]:
        """How its predictions and truths name their model."""
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


def feedback_of(event: BaseCloudEvent, servers: MetricsServers) -> tuple[Event, MetricsServer]:
    """What a feedback brings, and whose it is.

    Raises:
        InvalidInput: it isn't a feedback that can be counted.
    """
    subject, said = Subject.of(event), data_of(event, SeldonFeedback)
    server = servers.of(subject.namespace, subject.deployment)
    if said.request is not None:
        answer_of("request", said.request.data)
    truth = answer_of("truth", said.truth.data)
    if said.response is None:
        raise InvalidInput("response is required")
    response = answer_of("response", said.response.data)
    kind = server.kind or response.kind()
    predicted, actual = classes(kind, response), classes(kind, truth)
    labels = subject.labels() | server.labels
    request_id = subject.request_id or event.get_id()[:MAX_NAME_LENGTH]
    return (
        Event(
            source=event.get_source(),
            id=event.get_id(),
            samples=[
                *_counted(kind, predicted[0], actual[0], labels),
                *_custom(said.truth.meta and said.truth.meta.metrics, labels),
            ],
            predictions=list(_predictions(subject, request_id, predicted, event)),
            feedback=list(_truths(subject, request_id, actual)),
        ),
        server,
    )


def _counted(
    kind: MetricKind, predicted: Class, actual: Class, labels: Mapping[str, str]
) -> Iterator[Sample]:
    for count in counts(kind, predicted, actual):
        class_ = {} if count.class_ is None else {"class": count.class_}
        yield _sample(count.name, MetricType.COUNTER, class_ | dict(labels), 1)


def _sample(name: str, type_: MetricType, labels: Mapping[str, str], value: float) -> Sample:
    return Sample(Metric(name, type_, tuple(sorted(labels.items()))), value)


def _predictions(
    subject: Subject, request_id: str, predicted: list[Class], event: BaseCloudEvent
) -> Iterator[Prediction]:
    for row, one in enumerate(predicted):
        yield Prediction(
            **subject.columns(),
            deployment=subject.deployment,
            version=subject.predictor,
            request_id=request_id,
            batch_index=row,
            time=event.get_time(),
            label=one.name,
            confidence=one.confidence,
        )


def _truths(subject: Subject, request_id: str, actual: list[Class]) -> Iterator[Feedback]:
    for row, one in enumerate(actual):
        yield Feedback(**subject.columns(), request_id=request_id, batch_index=row, label=one.name)


# --- metrics of the sender's own ------------------------------------------------------------


class CustomMetric(msgspec.Struct):
    """A metric as `truth.meta.metrics` has it."""

    key: str
    type: str
    value: float
    tags: dict[str, str] = {}


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_TAG = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,199}")
MILLISECOND = 0.001


def _custom(metrics: Any, labels: Mapping[str, str]) -> list[Sample]:
    """Samples of metrics that a feedback brings along: all, or, as at the vendor's, none.

    One that Prometheus couldn't read is as invalid as one without a value.
    """
    if not metrics:
        return []
    try:
        given = msgspec.convert(metrics, type=list[CustomMetric])
    except msgspec.ValidationError:
        return []
    samples = [sample for one in given if (sample := _custom_sample(one, labels))]
    return samples if len(samples) == len(given) else []


def _custom_sample(one: CustomMetric, labels: Mapping[str, str]) -> Sample | None:
    merged = one.tags | dict(labels)
    if not _can_be_exposed(one) or (one.value < 0 and one.type != "GAUGE"):  # no other may fall
        return None
    match one.type:
        case "COUNTER":
            return _sample(one.key.removesuffix("_total"), MetricType.COUNTER, merged, one.value)
        case "GAUGE":
            return _sample(one.key, MetricType.GAUGE, merged, one.value)
        case "TIMER" if "le" not in one.tags:
            return _sample(one.key, MetricType.TIMER, merged, one.value * MILLISECOND)
    return None


def _can_be_exposed(one: CustomMetric) -> bool:
    texts = one.tags.values()
    return bool(
        _NAME.fullmatch(one.key)
        and all(map(_TAG.fullmatch, one.tags))
        and all(len(text) <= MAX_NAME_LENGTH and "\0" not in text for text in texts)
        and -MAX_MAGNITUDE <= one.value <= MAX_MAGNITUDE
    )
