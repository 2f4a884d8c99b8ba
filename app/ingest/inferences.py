"""One inference on arrival: its schema, checks across fields, and its outputs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.errors import RowError, TooLarge
from app.ingest.batch import first_problem
from app.ingest.fields import (
    BatchIndex,
    Fraction,
    Instant,
    Label,
    Name,
    RequiredName,
    Seconds,
    Tags,
    Value,
    clamped,
    number_problem,
    tags_problem,
    text_problem,
    time_problem,
)
from app.ingest.models import DeclaredKind
from app.ingest.scores import Scores, labels_problem
from app.store.registry import Kind, ModelName

# An inference without detections is stored as one output of this label, with confidence 0.
NOTHING_DETECTED = ""


class Detection(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One object that a detector detected."""

    label: Label
    confidence: Fraction | None = None


class Prediction(
    msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True
):
    """One inference on arrival, with one output: a label, scores, a value or detections.

    `scores` maps each class to its probability: the class with the largest one is the label (the
    first of equals), its probability the confidence. A failed inference (`error`) may have no
    output. Tags are not part of a request's identity.
    """

    model: RequiredName
    time: Instant | None = None
    namespace: Name = ""
    pipeline: Name = ""
    deployment: Name = ""
    version: Name = ""
    request_id: RequiredName | None = None
    batch_index: BatchIndex = 0
    label: Label | None = None
    confidence: Fraction | None = None
    scores: Mapping[RequiredName, Fraction] | None = None
    value: Value | None = None
    detections: list[Detection] | None = None
    latency_seconds: Seconds | None = None
    error: bool = False
    deployment_type: Name = ""
    server_version: Name = ""
    tags: Tags | None = None


class UnreadAnswer(Prediction, frozen=True):
    """A successful inference whose output has a form that can't be read: it is counted only."""


class Output(NamedTuple):
    """One output as it is stored; all None for a failed inference, or an unread answer."""

    label: str | None = None
    value: float | None = None
    confidence: float | None = None


# What a failed inference, or an unread answer, is stored as.
NOTHING_READ = (Output(),)


def check(index: int, row: Prediction) -> RowError | None:
    """Check what the types of the fields can't: one output, and values that can be stored."""
    problems = {
        "": _output_problem(row),
        "confidence": _confidence_problem(row),
        "time": time_problem(row.time) if row.time else None,
        "scores": labels_problem(row.scores) if row.scores is not None else None,
        "detections": text_problem(*(detection.label for detection in row.detections or ())),
        "value": number_problem(row.value),
        "latencySeconds": number_problem(row.latency_seconds),
        "model": text_problem(row.model),
        "namespace": text_problem(row.namespace),
        "pipeline": text_problem(row.pipeline),
        "deployment": text_problem(row.deployment),
        "version": text_problem(row.version),
        "requestId": text_problem(row.request_id),
        "label": text_problem(row.label),
        "deploymentType": text_problem(row.deployment_type),
        "serverVersion": text_problem(row.server_version),
        "tags": tags_problem(row.tags) if row.tags else None,
    }
    return first_problem(index, problems)


def check_size(rows: Iterable[Prediction], limit: int) -> None:
    """Reject a batch that would be stored as too many rows: each detection is one.

    Raises:
        TooLarge: more than `limit` rows.
    """
    size = sum(max(1, len(row.detections or ())) for row in rows)
    if size > limit:
        raise TooLarge(
            f"a batch may contain at most {limit} rows; with its detections it has {size}"
        )


def slim(row: Prediction) -> Prediction:
    """A prediction whose scores need a tenth of the memory: a batch may contain a million."""
    if not row.scores:
        return row
    return msgspec.structs.replace(row, scores=Scores.of(row.scores))


def outputs_of(row: Prediction) -> Sequence[Output]:
    """The rows that one prediction is stored as."""
    if row.label is not None:
        return (Output(label=row.label, confidence=clamped(row.confidence)),)
    if row.scores is not None:
        label, confidence = Scores.of(row.scores).top
        return (Output(label=label, confidence=confidence),)
    if row.value is not None:
        return (Output(value=row.value),)
    if row.detections:
        return tuple(
            Output(label=d.label, confidence=clamped(d.confidence)) for d in row.detections
        )
    if row.detections is not None:
        return (Output(label=NOTHING_DETECTED, confidence=0.0),)
    return NOTHING_READ


def _output_problem(row: Prediction) -> str | None:
    given = [name for name in ("label", "scores", "value", "detections") if _is_given(row, name)]
    if len(given) > 1:
        return f"has more than one output: {', '.join(given)}"
    if not given and not row.error and not isinstance(row, UnreadAnswer):
        return "has no output: give label, scores, value or detections, or set error"
    if row.scores is not None and not row.scores:
        return "scores is empty"
    return None


def _is_given(row: Prediction, name: str) -> bool:
    return getattr(row, name) is not None


def _confidence_problem(row: Prediction) -> str | None:
    if row.confidence is not None and row.label is None:
        return "goes with label only"
    return None


def declared_kind_of(row: Prediction) -> DeclaredKind:
    """The kind that a prediction declares for its model."""
    name = ModelName(row.namespace, row.pipeline, row.model)
    if row.value is not None:
        return DeclaredKind(name, Kind.REGRESSION, "value")
    if row.detections is not None:
        return DeclaredKind(name, Kind.DETECTION, "detections")
    if row.label is not None or row.scores is not None:
        return DeclaredKind(name, Kind.CLASSIFICATION, "label" if row.scores is None else "scores")
    return DeclaredKind(name, None, "")
