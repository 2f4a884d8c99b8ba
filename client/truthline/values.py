"""Convert values of Python, numpy, pandas, polars and Arrow to what the server stores.

There is one rule for each kind of field, in single calls, tables and queries. A value that no rule
takes is rejected with an `Unloggable` that says what is expected.
"""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any
from uuid import UUID

from truthline.errors import Unloggable

Name = str | int | UUID
"""A name or an id. Whole numbers and UUIDs are stored as text: `as_name`."""
Label = str | int | float | bool
"""A class. Numbers and booleans are stored as text; equal ones are one label: `as_label`."""
Tags = Mapping[str, Any]
"""Values by key, like `{"country": "FR", "plan": ["pro", "team"]}`."""
Seconds = float | timedelta
"""A duration, in seconds if it is a number."""

# Larger floats don't have all the digits of the integers that they were.
_MOST_EXACT = 2**53
# Tolerance for probabilities outside [0, 1] by rounding; the server has the same. fastText adds
# 1e-5 in 32 bits and returns 1.0000100136.
_ROUNDING = 1.1e-5


def as_name(value: Any) -> str:
    """Convert a name or an id: a text, a whole number or a UUID, or an enum of these.

    A number is written with its digits: 7, 7.0 and numpy's 7 are "7".

    Raises:
        Unloggable: it is something else, or a float that may have lost digits.
    """
    plain = value if type(value) is str else unpacked(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, UUID):
        return str(plain)
    whole = None if isinstance(plain, bool) else _whole(plain)
    if whole is None or (isinstance(plain, float) and abs(plain) > _MOST_EXACT):
        raise _not_taken("a name or id is a text, a whole number or a UUID", value)
    return str(whole)


def as_label(value: Any) -> str:
    """Convert a label to text. Equal numbers are the same label, whatever their type.

    A number equal to an integer is written as that integer: `True`, `1`, `1.0` and numpy's of any
    width are "1", and `-0.0` is "0". Any other number is written as the shortest decimal of its
    double, and a string is returned as is. Of an enum, the value counts.

    Raises:
        Unloggable: the label is neither a string nor a finite number.
    """
    plain = value if type(value) is str else unpacked(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, (Real, Decimal)):
        try:
            return _digits(plain)
        except (ValueError, OverflowError) as error:
            raise Unloggable(f"{plain} is not a label: {error}") from None
    raise Unloggable(f"{type(value).__name__} is not a label type")


def _digits(number: Any) -> str:
    whole = int(number)  # raises for NaN and infinity
    if whole == number:
        return str(whole)
    return repr(number) if type(number) is float else _digits(float(number))


def as_number(value: Any) -> float:
    """Convert a finite number: of Python, numpy or PyTorch, a `Decimal` or a `Fraction`.

    Raises:
        Unloggable: it is something else, such as a boolean, a text or a duration.
    """
    if type(value) is float and math.isfinite(value):
        return value
    plain = unpacked(value)
    if isinstance(plain, bool) or not isinstance(plain, (Real, Decimal)):
        raise _not_taken("a number is expected", value)
    number: Any = plain
    try:
        if not isinstance(number, int):
            number = float(number)
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(number, float) and not math.isfinite(number):
        raise _not_taken("a finite number is expected", value)
    return number  # type: ignore[no-any-return] # a real number, which mypy doesn't know as a float


def as_fraction(value: Any) -> float:
    """Convert a probability; one outside [0, 1] by a rounding error becomes 0 or 1.

    Raises:
        Unloggable: it is no number.
    """
    number = as_number(value)
    if 1 < number <= 1 + _ROUNDING:
        return 1.0
    if -_ROUNDING <= number < 0:
        return 0.0
    return number


def as_seconds(value: Any) -> float:
    """Convert a duration: a number of seconds, or a `timedelta` of Python, pandas or numpy.

    Raises:
        Unloggable: it is something else.
    """
    if isinstance(value, timedelta):
        return as_number(value.total_seconds())
    if type(value).__name__ == "timedelta64":  # `item()` gives nanoseconds as a plain integer
        return as_number(value / type(value)(1, "s"))
    try:
        return as_number(value)
    except Unloggable:
        raise _not_taken("a number of seconds or a timedelta is expected", value) from None


def as_index(value: Any) -> int:
    """Convert a whole number, which pandas turns into a float next to missing values.

    Raises:
        Unloggable: it is something else.
    """
    plain = unpacked(value)
    whole = None if isinstance(plain, bool) else _whole(plain)
    if whole is None:
        raise _not_taken("a whole number is expected", value)
    return whole


def as_flag(value: Any) -> bool:
    """Convert a boolean, or 0 or 1.

    Raises:
        Unloggable: it is something else.
    """
    plain = unpacked(value)
    if not isinstance(plain, (Real, Decimal)) or plain not in (0, 1):
        raise _not_taken("True or False is expected", value)
    return bool(plain)


def unpacked(value: Any) -> Any:
    """Convert a number of numpy, PyTorch or TensorFlow, or a member of an enum, to its value."""
    if isinstance(value, Enum):
        value = value.value
    return value.item() if hasattr(value, "item") else value


def converted(convert: Callable[[Any], Any], name: str, value: Any) -> Any:
    """Convert a value of the field `name`.

    Raises:
        Unloggable: it can't be converted; names the field.
    """
    try:
        return convert(value)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:  # Unloggable too
        reason = str(error)
        raise Unloggable(reason if reason.startswith(name) else f"{name}: {reason}") from error


def members(values: Mapping[str, Any], converts: Mapping[str, Callable[[Any], Any]]) -> Any:
    """Convert the values that are not None, by the names of their fields.

    Raises:
        Unloggable: one can't be converted; names its field.
    """
    return {
        name: converted(converts[name], name, value)
        for name, value in values.items()
        if value is not None
    }


def _whole(number: Any) -> int | None:
    if isinstance(number, int):
        return int(number)
    if not isinstance(number, (Real, Decimal)):
        return None
    try:
        whole = int(number)  # type: ignore[arg-type] # every real number has `__trunc__`
    except (ValueError, OverflowError):  # NaN and infinity
        return None
    return whole if whole == number else None


def _not_taken(rule: str, value: Any) -> Unloggable:
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a log
    return Unloggable(f"{rule}, not {shown} of type {type(value).__name__}")


def tag_filter(tags: Tags | None) -> list[str]:
    """Tags as queries have them, `country:FR`; values are written as in `log_prediction`."""
    return [
        f"{as_name(key)}:{'' if one is None else as_label(one)}"
        for key, value in (tags or {}).items()
        for one in (value if isinstance(value, list | tuple | set) else [value])
    ]
