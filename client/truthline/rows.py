"""Predictions and truths as rows of the wire: JSON, complete, and bytes that nobody can change."""

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
"""A class. Numbers and booleans are stored as text: equal ones are one label, see `as_label`."""

# So far outside [0, 1] a probability may lie by rounding; the server has the same bound. fastText
# adds 1e-5 in 32 bits, and gives 1.0000100136.
_ROUNDING = 1.1e-5
# Exactly these: pandas' NaT is a datetime too.
_NEVER_MISSING = {str, int, bool, datetime, list, tuple, dict}


def encode(row: Mapping[str, Any]) -> bytes:
    """One row as JSON; what is None is left out.

    Raises:
        Unloggable: something in it has no place in JSON.
    """
    try:
        return _to_json({name: value for name, value in row.items() if value is not None}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unloggable(str(error)) from None


def as_label(label: Any) -> str:
    """A class as text. Numbers that are equal are the same label, whatever their type.

    A number equal to an integer is written as that integer: `True`, `1`, `1.0` and numpy's of any
    width are "1", and `-0.0` is "0". Any other is written as the shortest decimal of its double,
    and a text stays as it is.

    Raises:
        Unloggable: it is neither text nor a finite number.
    """
    plain = label if type(label) is str else _unpacked(label)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, (Real, Decimal)):
        try:
            return _digits(plain)
        except (ValueError, OverflowError) as error:
            raise Unloggable(f"{plain} is no label: {error}") from None
    raise Unloggable(f"a {type(label).__name__} is no label")


def _digits(number: Any) -> str:
    whole = int(number)  # raises for NaN and infinity
    if whole == number:
        return str(whole)
    return repr(number) if type(number) is float else _digits(float(number))


def as_fraction(value: Any) -> Any:
    """A probability; one that rounding carried out of [0, 1] becomes 0 or 1."""
    plain = value if type(value) is float else _unpacked(value)
    if isinstance(plain, float) and not 0 <= plain <= 1:
        if 1 < plain <= 1 + _ROUNDING:
            return 1.0
        if -_ROUNDING <= plain < 0:
            return 0.0
    return plain


def as_scores(scores: Mapping[Any, float] | None) -> dict[str, Any] | None:
    """Probabilities by class.

    Raises:
        Unloggable: two of the classes are the same label.
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
    return {surest: named[surest], **named}  # of equals the server takes the first


def as_detections(
    detections: Iterable[Mapping[str, Any] | tuple[Label, float]] | None,
) -> list[dict[str, Any]] | None:
    """What a detector found: mappings with `label` and `confidence`, or pairs of both."""
    return None if detections is None else [_detection(found) for found in detections]


def _detection(found: Mapping[str, Any] | tuple[Label, float]) -> dict[str, Any]:
    label, confidence = (
        (found.get("label"), found.get("confidence")) if isinstance(found, Mapping) else found
    )
    detection: dict[str, Any] = {"label": as_label(label)}
    return detection if confidence is None else detection | {"confidence": as_fraction(confidence)}


def as_time(time: datetime | str | None) -> str:
    """RFC 3339, cut to microseconds; now, where it is None.

    Raises:
        ValueError: it has no offset, and might be of any zone.
    """
    return rfc3339(datetime.now(timezone.utc) if time is None else time, "time")


def is_missing(value: Any) -> bool:
    """Whether it stands for no value: None, NaN, or NaT and NA of pandas and numpy."""
    if value is None:
        return True
    if type(value) in _NEVER_MISSING:
        return False
    try:
        return bool(value != value)  # noqa: PLR0124 - what is missing doesn't equal itself
    except (TypeError, ValueError):  # of pandas' NA that is unknown, and of an array ambiguous
        return type(value).__name__ == "NAType"


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
