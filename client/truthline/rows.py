"""Predictions and truths as rows of the wire: JSON, complete, and bytes that nobody can change."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from truthline.errors import Unloggable

Label = str | int | bool
"""A class. Numbers and booleans, as many models have them, are stored as their text."""


def encode(row: Mapping[str, Any]) -> bytes:
    """One row as JSON; what is None is left out.

    Raises:
        Unloggable: something in it has no place in JSON.
    """
    try:
        return _to_json({name: value for name, value in row.items() if value is not None}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unloggable(str(error)) from None


def as_label(label: Any) -> Any:
    """A class as text; what is neither text, number nor truth value is left for the server."""
    plain = _unpacked(label)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return str(plain) if isinstance(plain, int) else plain


def as_scores(scores: Mapping[Any, float] | None) -> dict[Any, float] | None:
    """Probabilities by class."""
    return None if scores is None else {as_label(name): score for name, score in scores.items()}


def as_detections(
    detections: Iterable[Mapping[str, Any] | tuple[Label, float]] | None,
) -> list[dict[str, Any]] | None:
    """What a detector found: mappings with `label` and `confidence`, or pairs of both."""
    return None if detections is None else [_detection(found) for found in detections]


def _detection(found: Mapping[str, Any] | tuple[Label, float]) -> dict[str, Any]:
    label, confidence = (
        (found.get("label"), found.get("confidence")) if isinstance(found, Mapping) else found
    )
    detection = {"label": as_label(label)}
    return detection if confidence is None else detection | {"confidence": confidence}


def as_time(time: datetime | str | None) -> str:
    """RFC 3339; now, where it isn't given.

    Raises:
        Unloggable: it has no offset, and might be of any zone.
    """
    if time is None:
        return datetime.now(timezone.utc).isoformat()
    if isinstance(time, str):
        return time
    if time.tzinfo is None:
        raise Unloggable(f"time {time} has no offset; use datetime.now(timezone.utc)")
    return time.isoformat(timespec="microseconds")


def _unpacked(value: Any) -> Any:
    """A number of numpy's, PyTorch's or TensorFlow's as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _plain(value: Any) -> Any:
    plain = _unpacked(value)
    if plain is value:
        raise TypeError(f"{type(value).__name__} has no place in a row")
    return plain


_to_json = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
).encode
