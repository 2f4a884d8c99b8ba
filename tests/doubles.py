"""Doubles that break arithmetic: the smallest and the largest, zeros of either sign, numbers
that are adjacent, and whole numbers that are about to lose their last digit.

Everything that accepts numbers is tested with these: a query may lose digits, but never fails.
"""

import math
import sys
from fractions import Fraction

from hypothesis import strategies as st

LEAST = math.ulp(0.0)  # 5e-324
SMALLEST_NORMAL, LARGEST = sys.float_info.min, sys.float_info.max
# What ingest takes of values and latencies.
LARGEST_TAKEN = 1e100

NASTY = (
    *(0.0, -0.0, LEAST, -LEAST, 2 * LEAST, 3 * LEAST, 1e-310, -1e-310),
    *(SMALLEST_NORMAL, -SMALLEST_NORMAL, SMALLEST_NORMAL - LEAST, SMALLEST_NORMAL + LEAST),
    *(1e-300, -1e-300, 1e-160, 1e-151, 1e-150, -1e-150, 1e-149, 1e-20, 2.0**-53, 2.0**-52),
    *(0.1, 0.3, 1 / 3, 1 - 2.0**-53, 1.0, -1.0, 1 + 2.0**-52, 1e9 + 0.1, 1e12 + 0.3),
    *(2.0**53 - 1, 2.0**53, 2.0**53 + 2, -(2.0**53) - 2, 1e22, 1e23, 1e99, 1e100, -1e100),
    *(1e150, -1e154, 1e200, 8e307, -8e307, 1.7e308, -1.7e308, LARGEST, -LARGEST),
)


def nasty(low: float = -LARGEST, high: float = LARGEST) -> st.SearchStrategy[float]:
    """Such numbers within bounds, their neighbours, and any others."""
    known = st.sampled_from([number for number in NASTY if low <= number <= high])
    neighbours = st.tuples(known, st.sampled_from([-math.inf, math.inf])).map(
        lambda drawn: math.nextafter(*drawn)
    )
    within = neighbours.filter(lambda number: low <= number <= high)
    return st.one_of(known, within, st.floats(low, high))


taken = nasty(-LARGEST_TAKEN, LARGEST_TAKEN)
"""What may be predicted, or be the truth."""
shares = nasty(0, 1)
"""Confidences."""
seconds = nasty(0, LARGEST_TAKEN)
"""Latencies."""


def nearest(number: Fraction) -> float:
    """The double next to an exact number: the largest for what is beyond it."""
    try:
        return float(number)
    except OverflowError:
        return LARGEST if number > 0 else -LARGEST


def counted(number: float) -> Fraction:
    """A number as sums take it, but for what is behind its last digit: below 1e-150 it is 0."""
    return Fraction(repr(number)) if abs(number) >= 1e-150 else Fraction(0)
