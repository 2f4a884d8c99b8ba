"""Whether a number changed by more than chance explains: the interval of a difference.

A difference between two periods is significant if its confidence interval excludes zero. The number
of models is not corrected for: of a hundred that did not change, about one is significant.

These are the intervals of shares and of mean absolute errors of `sql/views/77_compare.sql`, for
pages that judge hundreds of models, classes or cells from counts and sums that they have read
anyway: a statement for each would cost more than the page. A test holds both equal.
"""

import math
import sys
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from statistics import NormalDist

# The probability that an interval misses the true difference, by chance.
LEVEL = 0.01
# With fewer truths, or requests, in either period no difference is significant.
FEW = 30
_Z = NormalDist().inv_cdf(1 - LEVEL / 2)
_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`: correct predictions of all truths, or failed requests of all."""

    hits: int
    n: int


@dataclass(frozen=True, slots=True)
class Errors:
    """`n` absolute errors: their sum, and the sum of their squares."""

    n: int
    total: Decimal | Fraction
    squares: Decimal | Fraction

    @property
    def mean(self) -> Fraction:
        """The mean absolute error."""
        return Fraction(self.total) / self.n

    @property
    def variance_of_mean(self) -> Fraction:
        """The variance of |error|, MSE − MAE², without bias, divided by `n`."""
        excess = self.n * Fraction(self.squares) - Fraction(self.total) ** 2
        return max(excess, Fraction(0)) / (self.n**2 * (self.n - 1))


@dataclass(frozen=True, slots=True)
class Interval:
    """The confidence interval of a difference: this period minus the preceding one."""

    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the difference is more than noise."""
        return self.low > 0 or self.high < 0


def is_significant(interval: Interval | None) -> bool:
    """Whether a difference is known to be more than noise; not if there is too little to tell."""
    return interval is not None and interval.significant


def difference_of_shares(now: Share, previous: Share) -> Interval | None:
    """Newcombe's hybrid score interval, made of Wilson's for each share; None for `FEW`.

    Unlike the plain test of two proportions it holds for shares near 0 and 1.
    """
    if min(now.n, previous.n) < FEW:
        return None
    share, low, high = _wilson(now)
    before, lowest, highest = _wilson(previous)
    difference = share - before
    return Interval(
        difference - math.hypot(share - low, highest - before),
        difference + math.hypot(high - share, before - lowest),
    )


def _wilson(share: Share) -> tuple[float, float, float]:
    """A share, and the bounds of Wilson's score interval."""
    n, hits, z2 = share.n, share.hits, _Z**2
    middle = (hits + z2 / 2) / (n + z2)
    half = _Z / (n + z2) * math.sqrt(hits * (n - hits) / n + z2 / 4)
    return hits / n, max(middle - half, 0.0), min(middle + half, 1.0)


def difference_of_errors(now: Errors, previous: Errors) -> Interval | None:
    """Welch's interval of the difference of two mean absolute errors; None for `FEW`."""
    if min(now.n, previous.n) < FEW:
        return None
    parts = [(errors.variance_of_mean, errors.n) for errors in (now, previous)]
    variance = sum((part for part, _ in parts), Fraction(0))
    doubt = sum((part**2 / (n - 1) for part, n in parts), Fraction(0))
    quantile = _student(float(variance**2 / doubt)) if doubt else 0.0
    with localcontext(prec=_DIGITS):
        difference = _decimal(now.mean - previous.mean)
        half = Decimal(quantile) * _decimal(variance).sqrt()
        return Interval(_double(difference - half), _double(difference + half))


def _student(degrees: float) -> float:
    """The quantile of Student's t, to seven digits: degrees are at least FEW - 1.

    The expansion by Fisher and Cornish, 26.7.5 in Abramowitz and Stegun.
    """
    z, z2 = _Z, _Z**2
    terms = (
        z * (z2 + 1) / 4,
        z * ((5 * z2 + 16) * z2 + 3) / 96,
        z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384,
        z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92_160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, 1))


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _double(number: Decimal) -> float:
    """The nearest double; the sign of a number too small for one is kept."""
    largest, least = sys.float_info.max, math.ulp(0.0)
    if number and abs(number) < Decimal(least):
        return math.copysign(least, number)
    return float(max(min(number, Decimal(largest)), Decimal(-largest)))
