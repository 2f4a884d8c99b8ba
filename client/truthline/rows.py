"""Serialize predictions and truths as rows of JSON."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from numbers import Real
from operator import itemgetter
from typing import Any

from truthline.errors import Unloggable
from truthline.wire import rfc3339

Label = str | int | float | bool
"""A class. Numbers and booleans are stored as text; equal ones are one label: `as_label`."""

# Tolerance for probabilities outside [0, 1] by rounding; the server has the same. fastText adds
# 1e-5 in 32 bits and returns 1.0000100136.
_ROUNDING = 1.1e-5
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


def as_label(label: Any) -> str:
    """Convert a label to text. Equal numbers are the same label, whatever their type.

    A number equal to an integer is written as that integer: `True`, `1`, `1.0` and numpy's of any
    width are "1", and `-0.0` is "0". Any other number is written as the shortest decimal of its
    double, and a string is returned as is.

    Raises:
        Unloggable: the label is neither a string nor a finite number.
    """
    plain = label if type(label) is str else _unpacked(label)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, (Real, Decimal)):
        try:
            return _digits(plain)
        except (ValueError, OverflowError) as error:
            raise Unloggable(f"{plain} is not a label: {error}") from None
    raise Unloggable(f"{type(label).__name__} is not a label type")


def _digits(number: Any) -> str:
    whole = int(number)  # raises for NaN and infinity
    if whole == number:
        return str(whole)
    return repr(number) if type(number) is float else _digits(float(number))


def as_fraction(value: Any) -> Any:
    """Convert a probability; one outside [0, 1] by a rounding error becomes 0 or 1."""
    plain = value if type(value) is float else _unpacked(value)
    if isinstance(plain, float) and not 0 <= plain <= 1:
        if 1 < plain <= 1 + _ROUNDING:
            return 1.0
        if -_ROUNDING <= plain < 0:
            return 0.0
    return plain


def as_scores(scores: Mapping[Any, float] | None) -> dict[str, Any] | None:
    """Convert probabilities by class.

    Raises:
        Unloggable: two classes are the same label.
    """
    if scores is None:
        return None
    given = list(scores.values())
    kept = [as_fraction(score) for score in given]
    named = dict(zip(map(as_label, scores), kept, strict=True))
    if len(named) < len(scores):
        raise Unloggable(f"scores name a label twice: {', '.join(map(repr, scores))}")
    if kept == given:
        return named
    surest = max(zip(map(_unpacked, given), named, strict=True), key=itemgetter(0))[1]
    return {surest: named[surest], **named}  # in a tie the server uses the first


def as_detections(
    detections: Iterable[Mapping[str, Any] | tuple[Label, float]] | None,
) -> list[dict[str, Any]] | None:
    """Convert detections: mappings with `label` and `confidence`, or pairs of both."""
    return None if detections is None else [_detection(found) for found in detections]


def _detection(found: Mapping[str, Any] | tuple[Label, float]) -> dict[str, Any]:
    label, confidence = (
        (found.get("label"), found.get("confidence")) if isinstance(found, Mapping) else found
    )
    detection: dict[str, Any] = {"label": as_label(label)}
    return detection if confidence is None else detection | {"confidence": as_fraction(confidence)}


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
    except (TypeError, ValueError):  # unknown for pandas' NA, ambiguous for an array
        return type(value).__name__ == "NAType"


def _unpacked(value: Any) -> Any:
    """Convert a number of numpy, PyTorch or TensorFlow to a Python number."""
    return value.item() if hasattr(value, "item") else value


def _plain(value: Any) -> Any:
    plain = _unpacked(value)
    if plain is value:
        raise TypeError(f"{type(value).__name__} can't be stored in a row")
    return plain


_to_json = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
).encode
