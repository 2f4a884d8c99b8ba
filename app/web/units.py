"""Numbers formatted for people, with their units; a dash for unknown values."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.query.inferences import LARGEST, Compared
from app.query.intervals import Interval
from app.query.measure import Better, Unit
from app.query.noise import LEVEL
from app.query.noise import Interval as Range
from app.query.window import Calendar

UNKNOWN = "–"
MINUS = "−"
THOUSAND = 1_000
_LETTERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
# Whole counts up to here: 9,999, and then 10.0k.
WHOLE = 10 * THOUSAND
# Smaller shares have two significant digits, because 0.0 % would be wrong.
SMALL_SHARE = 0.001
# Plain numbers outside this range have three digits and a power of ten.
PLAIN = (1e-3, 1e6)
# Larger growth is shown as a multiple instead of thousands of per cent.
MANIFOLD = 10.0
# Larger numbers have a power of ten instead of more digits.
ENDLESS = 1e15


def format_number(number: float | None, unit: Unit) -> str:
    """A number in its unit."""
    if number is None or math.isnan(number):
        return UNKNOWN
    return _FORMATS[unit](number).replace("-", MINUS)


def margin(interval: Interval, unit: Unit) -> str:
    """Half the width of a confidence interval, with its sign: shares in points."""
    half = interval.high / 2 - interval.low / 2
    if unit is Unit.SHARE:
        return f"±{100 * half:{'.1f' if half >= SMALL_SHARE else '.2g'}} pt"
    return f"±{format_number(half, unit)}"


def bounds(interval: Interval, unit: Unit, confidence: float) -> str:
    """The bounds of a confidence interval, as a tooltip."""
    low, high = (format_number(bound, unit) for bound in (interval.low, interval.high))
    return f"between {low} and {high} with {confidence:.0%} confidence"


def all_digits(number: float | None, unit: Unit) -> str:
    """All digits, for the tooltip of a rounded number."""
    if number is None:
        return "not known"
    return f"{number:,}" if unit is Unit.COUNT else repr(number)


def count(number: float) -> str:
    """A count: whole up to 9,999, then three digits and k, M, G or T; or a power of ten."""
    if abs(number) >= ENDLESS:
        return f"{number:.3g}"
    if abs(number) >= WHOLE:
        size, letter = next((s, le) for s, le in _LETTERS if abs(number) >= s)
        return f"{_three_digits(number / size)}{letter}"
    return f"{number:,.0f}"


def _share(number: float) -> str:
    if number and abs(number) < SMALL_SHARE:
        return f"{100 * number:.2g} %"
    return f"{100 * number:.1f} %" if abs(number) < ENDLESS else f"{number:.3g}×"


def _milliseconds(number: float) -> str:
    return f"{_three_digits(number)} ms" if abs(number) < THOUSAND else _seconds(number / THOUSAND)


def _seconds(number: float) -> str:
    return f"{_three_digits(number)} s" if abs(number) >= 1 else _milliseconds(THOUSAND * number)


def _own(number: float) -> str:
    low, high = PLAIN
    return f"{number:.3g}" if number and not low <= abs(number) < high else _three_digits(number)


def _three_digits(number: float) -> str:
    """Three significant digits, or all digits before the point; at most three after it."""
    if abs(number) >= ENDLESS:
        return f"{number:.3g}"
    exponent = math.floor(math.log10(abs(number))) if number else 2
    return f"{number:,.{min(max(2 - exponent, 0), 3)}f}"


_FORMATS = {
    Unit.COUNT: count,
    Unit.SHARE: _share,
    Unit.SECONDS: _seconds,
    Unit.MILLISECONDS: _milliseconds,
    Unit.OWN: _own,
    Unit.OWN_SQUARED: _own,
    Unit.NUMBER: _own,
    Unit.OF_STEP: _own,
}


@dataclass(frozen=True, slots=True)
class Delta:
    """The difference from the preceding period. `tone` is better, worse or same."""

    text: str
    tone: str
    in_words: str


def delta(compared: Compared[Any], unit: Unit, better: Better) -> Delta | None:
    """The difference: shares in points, others in per cent; None if either number is unknown."""
    if compared.now is None or compared.previous is None:
        return None
    text = _difference(compared, unit)
    previous = f"{format_number(compared.previous, unit)} in the preceding period"
    if text is None:
        return None
    if not any(digit in text for digit in "123456789"):
        return Delta("±0", "same", previous)
    moved = 1 if compared.now > compared.previous else -1
    tone = {1: "better", -1: "worse", 0: "same"}[moved * better.value]
    return Delta(text, tone, previous if tone == "same" else f"{tone}: {previous}")


def weighed(
    difference: Delta, interval: Range | None, compared: Compared[Any], unit: Unit
) -> Delta:
    """A difference that is only better or worse if it is more than noise.

    `interval` is that of the difference, None if there is too little to compare.
    """
    previous = difference.in_words.removeprefix(f"{difference.tone}: ")
    if interval is None:
        words = f"too few to tell from noise: {previous}"
    else:
        tone = difference.tone if interval.significant else "within noise"
        words = f"{tone}: {previous}; {_range(interval, compared, unit)}"
    tone = difference.tone if interval and interval.significant else "same"
    return Delta(difference.text, tone, words)


def _range(interval: Range, compared: Compared[Any], unit: Unit) -> str:
    """The bounds of a difference, in its own units."""
    bounds = (
        _difference(Compared(compared.previous + bound, compared.previous), unit)
        for bound in (interval.low, interval.high)
    )
    low, high = (bound or UNKNOWN for bound in bounds)
    return f"the change is between {low} and {high} with {1 - LEVEL:.0%} confidence"


def _difference(compared: Compared[Any], unit: Unit) -> str | None:
    if unit is Unit.SHARE:
        points = 100 * (compared.now - compared.previous)
        return _signed(f"{max(min(points, LARGEST), -LARGEST):+{_digits(points)}} pt")
    change = compared.change
    if change is None:
        return None
    return _signed(f"{count(1 + change)}×" if abs(change) >= MANIFOLD else f"{100 * change:+.1f} %")


def _digits(number: float) -> str:
    return ".1f" if abs(number) < ENDLESS else ".3g"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def moment(instant: datetime) -> str:
    """An instant, with seconds if it is not on a full minute."""
    return f"{instant:%Y-%m-%d %H:%M:%S}" if instant.second else f"{instant:%Y-%m-%d %H:%M}"


def length(width: timedelta | Calendar | None) -> str:
    """The width of a bucket as text."""
    if isinstance(width, Calendar):
        return {(1, 0): "day", (7, 0): "week", (0, 1): "month"}[width.days, width.months]
    seconds = int((width or timedelta()).total_seconds())
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    size, unit = next((size, unit) for size, unit in units if seconds % size == 0)
    return f"{seconds // size} {unit}"
