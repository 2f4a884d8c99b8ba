"""How numbers and times are written where a dialect has its own way."""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields

FLOAT32_DIGITS = range(1, 10)  # every float32 is one decimal of at most nine digits
WRITTEN_OUT = 1e21  # from here on an exponent says it shorter; Go does the same
LARGEST_FLOAT32 = 3.4028235677973366e38  # the midpoint above the largest: from here on it is inf


def shortest_float32(number: float) -> float | int | str:
    """The number as a protobuf float is written in JSON: 0.46666667, and 1 rather than 1.0.

    The result is a Python number whose own shortest form is that of the 32-bit float. Beyond
    the range of 32 bits it is the text "Infinity", as protobuf's JSON mapping has it.
    """
    if abs(number) >= LARGEST_FLOAT32:
        return "Infinity" if number > 0 else "-Infinity"
    (rounded,) = struct.unpack("f", struct.pack("f", number))
    shortest = next(
        decimal
        for digits in FLOAT32_DIGITS
        if struct.pack("f", decimal := float(f"{rounded:.{digits}g}")) == struct.pack("f", rounded)
    )
    if shortest.is_integer() and abs(shortest) < WRITTEN_OUT:
        return int(Decimal(repr(shortest)))
    return shortest


def utc_time(time: datetime) -> str:
    """RFC 3339 in UTC with Z; a fraction only where there is one, of 3 or 6 digits."""
    utc = time.astimezone(UTC).replace(tzinfo=None)
    if not utc.microsecond:
        return utc.isoformat() + "Z"
    whole_milliseconds = utc.microsecond % 1000 == 0
    return utc.isoformat(timespec="milliseconds" if whole_milliseconds else "microseconds") + "Z"


class Number(fields.Field[float]):
    """A number as JavaScript writes it: 0 rather than 0.0."""

    def _serialize(self, value: float | None, *_: Any, **__: Any) -> float | int | None:
        return int(value) if value is not None and value.is_integer() else value


class Float32(fields.Field[float]):
    """A metric: the shortest decimal of its 32-bit float, -1 where there is none."""

    def _serialize(self, value: float | None, *_: Any, **__: Any) -> float | int | str:
        if value is None or math.isnan(value):
            return -1
        return shortest_float32(value)


class UtcTime(fields.Field[datetime]):
    """An instant in UTC."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else utc_time(value)
