"""Formats of numbers and times in dialects that have their own."""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields

# Nine digits identify every float32. With six, those that need fewer have their own: trailing zeros
# are dropped. The smallest numbers are so far apart that fewer may do.
FLOAT32_DIGITS, TINY_FLOAT32_DIGITS = range(6, 10), range(1, 10)
SMALLEST_NORMAL_FLOAT32 = 1.1754944e-38
WRITTEN_OUT = 1e21  # larger numbers are shorter with an exponent; Go does the same
LARGEST_FLOAT32 = 3.4028235677973366e38  # rounds to infinity from here on


def shortest_float32(number: float) -> float | int | str:
    """The number as protobuf's JSON has a 32-bit float: 0.46666667, and 1 rather than 1.0.

    The result is a Python number whose shortest form is that of the 32-bit float. Outside the range
    of 32 bits it is the text "Infinity", as in protobuf's JSON mapping.
    """
    if abs(number) >= LARGEST_FLOAT32:
        return "Infinity" if number > 0 else "-Infinity"
    bits = struct.pack("f", number)
    (rounded,) = struct.unpack("f", bits)
    normal = abs(rounded) >= SMALLEST_NORMAL_FLOAT32
    shortest = next(
        decimal
        for digits in (FLOAT32_DIGITS if normal else TINY_FLOAT32_DIGITS)
        if struct.pack("f", decimal := float(f"{rounded:.{digits}g}")) == bits
    )
    if shortest.is_integer() and abs(shortest) < WRITTEN_OUT:
        return int(Decimal(repr(shortest)))
    return shortest


def utc_time(time: datetime) -> str:
    """RFC 3339 in UTC with Z; with 3 or 6 digits of a fraction if it has one."""
    utc = time.astimezone(UTC).replace(tzinfo=None)
    if not utc.microsecond:
        return utc.isoformat() + "Z"
    whole_milliseconds = utc.microsecond % 1000 == 0
    return utc.isoformat(timespec="milliseconds" if whole_milliseconds else "microseconds") + "Z"


class Number(fields.Field[float]):
    """A number as in JavaScript: 0 rather than 0.0."""

    def _serialize(self, value: float | None, *_: Any, **__: Any) -> float | int | None:
        return int(value) if value is not None and value.is_integer() else value


class Float32(fields.Field[float]):
    """A metric: the shortest decimal of its 32-bit float, -1 if it is undefined."""

    def _serialize(self, value: float | None, *_: Any, **__: Any) -> float | int | str:
        if value is None or math.isnan(value):
            return -1
        return shortest_float32(value)


class UtcTime(fields.Field[datetime]):
    """An instant in UTC."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else utc_time(value)
