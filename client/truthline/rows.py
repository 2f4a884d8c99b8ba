"""Serialize predictions and truths as rows of JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from truthline.errors import Unloggable
from truthline.values import (
    Label,
    as_flag,
    as_fraction,
    as_index,
    as_label,
    as_name,
    as_number,
    as_seconds,
    unpacked,
)
from truthline.wire import rfc3339

_NO_SCORES = "a mapping of classes to probabilities is expected"
_NO_TAGS = "a mapping of keys to values is expected"
# Exactly these: pandas' NaT is a datetime too.
_NEVER_MISSING = {str, int, bool, datetime, list, tuple, dict}


def encode(row: Mapping[str, Any]) -> bytes:
    """Encode a row as JSON, without members that are None.

    Raises:
        Unloggable: a value can't be represented in JSON.
    """
    try:
        return _to_json({name: value for name, value in row.items() if value is not None}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unloggable(str(error)) from None


def as_scores(scores: Any) -> dict[str, Any]:
    """Convert probabilities by class: a mapping, a pandas Series, or pairs as of an Arrow map.

    Raises:
        Unloggable: it is something else, or two classes are the same label.
    """
    entries = scores.items() if hasattr(scores, "items") else scores
    if not isinstance(entries, Iterable):
        raise Unloggable(_NO_SCORES)
    pairs = list(map(_pair, entries))
    given = [score for _, score in pairs]
    kept = [as_fraction(score) for score in given]
    named = dict(zip((as_label(label) for label, _ in pairs), kept, strict=True))
    if len(named) < len(pairs):
        labels = ", ".join(repr(label) for label, _ in pairs)
        raise Unloggable(f"scores name a label twice: {labels}")
    if kept == given:
        return named
    surest = max(zip(map(unpacked, given), named, strict=True), key=itemgetter(0))[1]
    return {surest: named[surest], **named}  # in a tie the server uses the first


def _pair(entry: Any, rule: str = _NO_SCORES) -> tuple[Any, Any]:
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:  # noqa: PLR2004 - a name and its value
        raise Unloggable(rule)
    return entry[0], entry[1]


def as_detections(
    detections: Iterable[Mapping[str, Any] | tuple[Label, float]],
) -> list[dict[str, Any]]:
    """Convert detections: mappings with `label` and `confidence`, or pairs of both."""
    return [_detection(found) for found in detections]


def _detection(found: Mapping[str, Any] | tuple[Label, float]) -> dict[str, Any]:
    label, confidence = (
        (found.get("label"), found.get("confidence")) if isinstance(found, Mapping) else found
    )
    detection: dict[str, Any] = {"label": as_label(label)}
    return detection if confidence is None else detection | {"confidence": as_fraction(confidence)}


def as_tags(tags: Any) -> dict[str, str]:
    """Convert tags: a mapping of keys to texts, numbers or booleans, which are written as labels.

    Raises:
        Unloggable: it is something else, or two keys are the same text.
    """
    entries = tags.items() if hasattr(tags, "items") else tags
    if not isinstance(entries, Iterable) or isinstance(entries, str):
        raise Unloggable(_NO_TAGS)
    pairs = [_pair(entry, _NO_TAGS) for entry in entries]
    named = {as_name(key): as_label(value) for key, value in pairs if not is_missing(value)}
    if len({as_name(key) for key, _ in pairs}) < len(pairs):
        raise Unloggable(f"tags name a key twice: {', '.join(repr(key) for key, _ in pairs)}")
    return named


def as_time(time: datetime | str | None) -> str:
    """Convert a time to RFC 3339, truncated to microseconds; None means now.

    Raises:
        ValueError: the time has no offset, so its zone is unknown.
    """
    return rfc3339(datetime.now(timezone.utc) if time is None else time, "time")


def is_missing(value: Any) -> bool:
    """Whether a value is missing: None, NaN, or NaT and NA of pandas and numpy."""
    if value is None:
        return True
    if type(value) in _NEVER_MISSING:
        return False
    try:
        return bool(value != value)  # noqa: PLR0124 - a missing value differs from itself
    except ArithmeticError:  # a signalling NaN of `decimal`
        return True
    except (TypeError, ValueError):  # unknown for pandas' NA, ambiguous for an array
        return type(value).__name__ == "NAType"


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_SUBJECT = {
    **dict.fromkeys(("model", "namespace", "pipeline", "request_id"), as_name),
    "batch_index": as_index,
    "label": as_label,
    "value": as_number,
}
FEEDBACK: Mapping[str, Callable[[Any], Any]] = _SUBJECT
"""How values of a truth are converted, by the names of `log_feedback`."""
PREDICTIONS: Mapping[str, Callable[[Any], Any]] = {
    **_SUBJECT,
    **dict.fromkeys(("deployment", "version", "deployment_type", "server_version"), as_name),
    "time": as_time,
    "scores": as_scores,
    "detections": as_detections,
    "confidence": as_fraction,
    "error": as_flag,
    "latency_seconds": as_seconds,
    "tags": as_tags,
}
"""How values of a prediction are converted, by the names of `log_prediction`."""
