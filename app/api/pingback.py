"""What Roboflow's `inference` server and its Workflows report, as predictions.

Two shapes share one member, `inference_results`. The pingback has an `inference` in each result,
with its request and one response per image; the block of Workflows has flat results, one per class
and inference. Whatever else a sender adds is not looked at.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from app.errors import InvalidInput
from app.ingest.inferences import Prediction
from app.ingest.wording import in_words

# What a server is unless it says something else.
DEPLOYMENT_TYPE = "hosted"
# An inference that found nothing comes without its time, and counts as this.
NOTHING_TOOK = 0.0
Part = TypeVar("Part")


class Found(msgspec.Struct):
    """One object that was found."""

    label: str = msgspec.field(name="class")
    confidence: float | None = None


class Scored(msgspec.Struct):
    """One class of a multi-label answer."""

    confidence: float | None = None


class ImageResponse(msgspec.Struct):
    """What was found on one image, and the seconds it took."""

    predictions: list[Found] | dict[str, Scored] | None = None
    time: float | None = None


class InferenceRequest(msgspec.Struct):
    """What was asked of which model."""

    model_id: str
    api_key: str | None = None


class Inference(msgspec.Struct):
    """One inference; several images in one request are one."""

    inference_id: str
    request: InferenceRequest
    response: list[ImageResponse] | ImageResponse | None = None
    inference_server_version: str | None = None


class InferenceResult(msgspec.Struct):
    """One result, in either shape."""

    # the pingback's
    inference: Inference | None = None
    request_time: float | None = None
    # the Workflows block's
    model_id: str | None = None
    class_name: str | None = None
    confidence: float | None = None
    inference_id: str | None = None

    def size(self) -> int:
        """How many objects or classes were found; an image without any counts as one."""
        responses = (self.inference and self.inference.response) or []
        images = responses if isinstance(responses, list) else [responses]
        return sum(max(1, len(image.predictions or ())) for image in images)


class InferenceReport(msgspec.Struct):
    """A post of either sender."""

    inference_results: list[InferenceResult]
    api_key: str | None = None
    timestamp: str | None = None
    inference_server_version: str | None = None
    deployment_type: str | None = None

    def key(self) -> str | None:
        """The API key in the body: that of the server, or the one its requests were made with.

        Raises:
            InvalidInput: the requests were made with several, and the server has none.
        """
        if self.api_key:
            return self.api_key
        results = (result.inference for result in self.inference_results if result.inference)
        keys = {one.request.api_key for one in results if one.request.api_key}
        if len(keys) > 1:
            raise InvalidInput(
                "the inferences were made with several API keys, and the post has none"
            )
        return keys.pop() if keys else None


def predictions_of(report: InferenceReport) -> list[Prediction]:
    """The predictions of a report, one per inference.

    Raises:
        InvalidInput: a result is of neither shape, or holds what can't be stored.
    """
    found = [
        (place, _of_pingback(place, result, report))
        for place, result in enumerate(report.inference_results)
        if result.inference
    ]
    return [_prediction(place, members) for place, members in [*found, *_flat(report)]]


def _of_pingback(place: int, result: InferenceResult, report: InferenceReport) -> dict[str, Any]:
    inference = _given(place, "inference", result.inference)
    responses = inference.response or []
    images = responses if isinstance(responses, list) else [responses]
    detections = [found for image in images for found in _detections(image)]
    return {
        **_model(inference.request.model_id),
        **_sender(report, inference.inference_server_version),
        "requestId": inference.inference_id,
        "time": _instant(place, _given(place, "request_time", result.request_time)),
        "detections": detections,
        "latencySeconds": _seconds(images) if detections else NOTHING_TOOK,
    }


def _detections(image: ImageResponse) -> Iterator[dict[str, Any]]:
    if isinstance(image.predictions, dict):
        for label, scored in image.predictions.items():
            yield {"label": label, "confidence": scored.confidence}
    for found in image.predictions if isinstance(image.predictions, list) else ():
        yield {"label": found.label, "confidence": found.confidence}


def _seconds(images: list[ImageResponse]) -> float | None:
    """Images of one inference are answered together: it took as long as the slowest."""
    return max((image.time for image in images if image.time is not None), default=None)


def _flat(report: InferenceReport) -> Iterator[tuple[int, dict[str, Any]]]:
    """Results of one inference come one per class."""
    inferences: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    for place, result in enumerate(report.inference_results):
        if not result.inference:
            id_ = _given(place, "inference_id", result.inference_id)
            model_id = _given(place, "model_id", result.model_id)
            class_name = _given(place, "class_name", result.class_name)
            new = (place, _of_block(report, id_, model_id))
            _, members = inferences.setdefault((id_, model_id), new)
            members["detections"].append({"label": class_name, "confidence": result.confidence})
    yield from inferences.values()


def _of_block(report: InferenceReport, id_: str, model_id: str) -> dict[str, Any]:
    """How long it took isn't told, and when only by a clock of an unknown zone: it is now."""
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


def _instant(place: int, seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(f"{_path(place, 'request_time')} is not a time") from None


def _given(place: int, member: str, value: Part | None) -> Part:
    if value is None:
        raise InvalidInput(f"{_path(place, member)} is required")
    return value


def _prediction(place: int, members: dict[str, Any]) -> Prediction:
    """Through the native form, so that it is held to the native bounds."""
    try:
        return msgspec.convert(members, Prediction)
    except msgspec.ValidationError as error:
        field, reason = in_words(error)
        raise InvalidInput(f"{_path(place, field)} {reason}") from None


def _path(place: int, member: str) -> str:
    return f"inference_results[{place}].{member}"
