"""Whether a change is more than noise, by scipy: Welch's t test, and Wilson's intervals."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from app.query.noise import (
    FEW,
    LEVEL,
    Errors,
    Share,
    difference_of_errors,
    difference_of_shares,
)
from tests.effort import examples

shares = st.integers(FEW, 100_000).flatmap(
    lambda n: st.builds(Share, st.integers(0, n), st.just(n))
)


def errors_of(values):
    decimals = [Decimal(repr(value)) for value in values]
    return Errors(len(values), sum(decimals), sum(value**2 for value in decimals))


# Values of few digits, so that floats can compute their variance too.
samples = st.lists(st.integers(0, 50).map(lambda n: n / 4), min_size=FEW, max_size=80)


@examples(60, thorough=500)
@given(shares, shares)
@example(Share(30, 30), Share(30, 30))
@example(Share(0, 30), Share(100_000, 100_000))
def test_a_difference_of_shares_is_newcombes(now, previous):
    found = difference_of_shares(now, previous)

    (p, low, high), (q, lowest, highest) = map(wilson, (now, previous))
    assert found.low == pytest.approx(p - q - math.hypot(p - low, highest - q), abs=1e-9)
    assert found.high == pytest.approx(p - q + math.hypot(high - p, q - lowest), abs=1e-9)


def wilson(share):
    interval = stats.binomtest(share.hits, share.n).proportion_ci(1 - LEVEL, "wilson")
    return share.hits / share.n, interval.low, interval.high


@examples(60, thorough=500)
@given(samples, samples)
@example([1.0] * FEW, [1.0] * FEW)
@example([1.0] * FEW, [1.25] * FEW)
def test_a_difference_of_errors_is_welchs(now, previous):
    found = difference_of_errors(errors_of(now), errors_of(previous))

    if len(set(now)) == len(set(previous)) == 1:
        assert found.low == found.high == now[0] - previous[0]
        return
    assume(len(set(now)) > 1 and len(set(previous)) > 1)  # scipy warns where one has no variance
    welch = stats.ttest_ind(now, previous, equal_var=False)
    interval = welch.confidence_interval(1 - LEVEL)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-6)
    if not math.isclose(welch.pvalue, LEVEL, rel_tol=1e-4):
        assert found.significant == (welch.pvalue < LEVEL)


@pytest.mark.parametrize(("n", "known"), [(FEW - 1, False), (FEW, True)])
def test_a_few_truths_prove_nothing(n, known):
    wrong, right = Share(0, n), Share(1_000, 1_000)
    large, small = errors_of([9.0] * n), errors_of([1.0] * 1_000)

    for one in (
        difference_of_shares(wrong, right),
        difference_of_shares(right, wrong),
        difference_of_errors(large, small),
        difference_of_errors(small, large),
    ):
        assert (one is not None and one.significant) == known


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324])
def test_any_doubles_have_a_difference(size):
    spread = [size, 2 * size] * FEW
    grown = [8 * size, 9 * size] * FEW
    found = difference_of_errors(errors_of(grown), errors_of(spread))

    assert found.significant
    assert 0 < found.low <= found.high
    assert not math.isinf(found.high)


def test_a_hundredth_of_what_did_not_change_is_called_a_change():
    """A fixed seed: 4,000 pairs of periods of a model whose accuracy is always 0.9."""
    drawn = np.random.RandomState(1).binomial(400, 0.9, (4_000, 2))
    found = [
        difference_of_shares(Share(int(now), 400), Share(int(before), 400)) for now, before in drawn
    ]
    share = sum(one.significant for one in found) / len(found)

    assert LEVEL / 2 < share < LEVEL * 1.5


def test_sums_beyond_the_digits_of_a_double_count():
    """Errors around a billion that differ by hundredths: in doubles, MSE − MAE² is noise."""
    few = [Fraction(10**9) + Fraction(n % 5, 100) for n in range(60)]
    more = [value + Fraction(1, 20) for value in few]
    now, previous = (
        Errors(len(values), sum(values), sum(value**2 for value in values))
        for values in (more, few)
    )

    assert difference_of_errors(now, previous).significant
    assert not difference_of_errors(now, now).significant
