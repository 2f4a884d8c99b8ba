"""Reports of Roboflow's `inference` server and Workflows, converted to predictions.

Two shapes share one member, `inference_results`. The pingback has an `inference` in each result,
with its request and one response per image; the block of Workflows has flat results, one per class
and inference. Other members are ignored. Senders do not retry a post, so each result
is read individually: an invalid one does not affect the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, TypeVar

import msgspec

from app.errors import InvalidInput, RowError
from app.ingest.fields import Label, instant_of_epoch, read_field, text_problem
from app.ingest.inferences import Detection, Prediction
from app.ingest.partial_batches import read_item
from app.ingest.validation_errors import Rejection, rejection_of

# The deployment type of a server that does not report one.
DEPLOYMENT_TYPE = "hosted"
# An inference without detections is reported without its time, and counts as this.
NOTHING_TOOK = 0.0
Member = TypeVar("Member")
Converted = TypeVar("Converted", Prediction, Detection)


class DetectedObject(msgspec.Struct):
    """One detected object."""

    label: Label = msgspec.field(name="class")
    confidence: float | None = None


class ClassScore(msgspec.Struct):
    """One class of a multi-label response."""

    confidence: float | None = None


class ImageResponse(msgspec.Struct):
    """The detections on one image, and the seconds they took."""

    predictions: list[DetectedObject] | dict[str, ClassScore] | None = None
    time: float | None = None


class InferenceRequest(msgspec.Struct):
    """The model of a request."""

    model_id: str
    api_key: str | None = None


class Inference(msgspec.Struct):
    """One inference; several images in one request are one inference."""

    inference_id: str
    request: InferenceRequest
    response: list[ImageResponse] | ImageResponse | None = None
    inference_server_version: str | None = None


class InferenceResult(msgspec.Struct):
    """One result, in either shape."""

    # of the pingback
    inference: Inference | None = None
    request_time: float | None = None
    # of the Workflows block
    model_id: str | None = None
    class_name: Label | None = None
    confidence: float | None = None
    inference_id: str | None = None

    def size(self) -> int:
        """The number of detected objects or classes; an image without any counts as one."""
        responses = (self.inference and self.inference.response) or []
        images = responses if isinstance(responses, list) else [responses]
        return sum(max(1, len(image.predictions or ())) for image in images)


_RESULT = {"$ref": f"#/components/schemas/{InferenceResult.__name__}"}
UnreadResult = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_RESULT)]


class InferenceReport(msgspec.Struct, dict=True):
    """A post of either sender; a result that can't be read is replaced by a `Rejection`."""

    inference_results: list[UnreadResult]
    api_key: str | None = None
    timestamp: str | None = None
    inference_server_version: str | None = None
    deployment_type: str | None = None

    @cached_property
    def results(self) -> Sequence[InferenceResult | Rejection]:
        """The results, each read individually; set it if they have already been read."""
        return [read_item(text, InferenceResult) for text in self.inference_results]

    def key(self) -> str | None:
        """The API key in the body: that of the server, or the one that its requests used.

        Raises:
            InvalidInput: the requests used several keys, and the server has none.
        """
        if self.api_key:
            return self.api_key
        read = (result for result in self.results if isinstance(result, InferenceResult))
        results = (result.inference for result in read if result.inference)
        keys = {inference.request.api_key for inference in results if inference.request.api_key}
        if len(keys) > 1:
            raise InvalidInput(
                "the inferences were made with several API keys, and the post has none"
            )
        return keys.pop() if keys else None


# --- as predictions -------------------------------------------------------------------------


class _InvalidResult(Exception):
    """A result can't be stored: the member at fault, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.rejection = Rejection(field, reason)


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """The predictions of a report, and the errors of results that belong to none.

    `indices` contains the indices of the results of each prediction.
    """

    predictions: Sequence[Prediction]
    indices: Sequence[Sequence[int]]
    row_errors: Sequence[RowError]

    def all_row_errors(self, of_predictions: Sequence[RowError]) -> list[RowError]:
        """These errors and those of all results of invalid predictions, in order."""
        more = [
            invalid_result(index, Rejection(error.field, error.reason))
            for error in of_predictions
            for index in self.indices[error.index]
        ]
        return sorted([*self.row_errors, *more], key=lambda error: error.index)


def invalid_result(index: int, rejection: Rejection) -> RowError:
    """The error of the result at an index of a report."""
    path = f"inference_results[{index}].{rejection.field}".rstrip(".")
    return RowError(index, path, rejection.reason)


def predictions_of(report: InferenceReport) -> ParsedReport:
    """The predictions of a report, one per inference, from the results that can be read."""
    row_errors: list[RowError] = []
    from_pingback: list[tuple[list[int], dict[str, Any]]] = []
    flat_results = _FlatResults(report)
    for index, result in enumerate(report.results):
        try:
            if isinstance(result, Rejection):
                row_errors.append(invalid_result(index, result))
            elif result.inference:
                from_pingback.append(([index], _of_pingback(result.inference, result, report)))
            else:
                flat_results.add(index, result)
        except _InvalidResult as error:
            row_errors.append(invalid_result(index, error.rejection))
    predictions, result_indices = [], []
    for indices, members in [*from_pingback, *flat_results.inferences.values()]:
        try:
            predictions.append(_convert(members, Prediction))
            result_indices.append(indices)
        except _InvalidResult as error:
            row_errors += [invalid_result(index, error.rejection) for index in indices]
    return ParsedReport(predictions, result_indices, row_errors)


def _of_pingback(
    inference: Inference, result: InferenceResult, report: InferenceReport
) -> dict[str, Any]:
    responses = inference.response or []
    images = responses if isinstance(responses, list) else [responses]
    detections = [detection for image in images for detection in _detections(image)]
    return {
        **_model(inference.request.model_id),
        **_sender(report, inference.inference_server_version),
        "requestId": inference.inference_id,
        "time": _instant(_required("request_time", result.request_time)),
        "detections": detections,
        "latencySeconds": _seconds(images) if detections else NOTHING_TOOK,
    }


def _detections(image: ImageResponse) -> Iterator[dict[str, Any]]:
    if isinstance(image.predictions, dict):
        for label, scored in image.predictions.items():
            yield {"label": label, "confidence": scored.confidence}
    for detected in image.predictions if isinstance(image.predictions, list) else ():
        yield {"label": detected.label, "confidence": detected.confidence}


def _seconds(images: list[ImageResponse]) -> float | None:
    """Images of one inference are processed together: it took as long as the slowest."""
    return max((image.time for image in images if image.time is not None), default=None)


class _FlatResults:
    """Results of Workflows, grouped by inference: each inference has one result per class.

    `inferences` contains by id the indices of the results and the members of the prediction.
    """

    def __init__(self, report: InferenceReport) -> None:
        self._report = report
        self.inferences: dict[tuple[str, str], tuple[list[int], dict[str, Any]]] = {}

    def add(self, index: int, result: InferenceResult) -> None:
        """Add a result to its inference.

        Raises:
            _Odd: it can't be stored.
        """
        id_ = _required("inference_id", result.inference_id)
        model_id = _required("model_id", result.model_id)
        members = {
            "label": _required("class_name", result.class_name),
            "confidence": result.confidence,
        }
        detection = _convert(members, Detection)
        if problem := text_problem(detection.label):
            raise _InvalidResult("class_name", problem)
        indices, inference = self.inferences.setdefault(
            (id_, model_id), ([], _of_block(self._report, id_, model_id))
        )
        indices.append(index)
        inference["detections"].append(members)


def _of_block(report: InferenceReport, id_: str, model_id: str) -> dict[str, Any]:
    """The latency is not reported; without a time zone in the timestamp the time is now."""
    return {
        **_model(model_id),
        **_sender(report, None),
        "requestId": id_,
        "time": _zoned(report.timestamp),
        "detections": [],
    }


def _model(model_id: str) -> dict[str, str]:
    """`cards-3z9gn/4` is version 4 of cards-3z9gn."""
    model, _, version = model_id.partition("/")
    return {"model": model, "version": version}


def _sender(report: InferenceReport, version: str | None) -> dict[str, str]:
    return {
        "deploymentType": report.deployment_type or DEPLOYMENT_TYPE,
        "serverVersion": version or report.inference_server_version or "",
    }


def _zoned(timestamp: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return None
    return time if time.tzinfo else None


def _instant(seconds: float) -> datetime:
    try:
        return instant_of_epoch(seconds)
    except ValueError as error:
        raise _InvalidResult("request_time", str(error)) from None


def _required(member: str, value: Member | None) -> Member:
    if value is None:
        raise _InvalidResult(member, "is required")
    return value


def _convert(members: dict[str, Any], kind: type[Converted]) -> Converted:
    """Convert to the native type, so that the native limits apply."""
    try:
        return msgspec.convert(members, kind, dec_hook=read_field)
    except msgspec.ValidationError as error:
        raise _InvalidResult(*rejection_of(error)) from None
