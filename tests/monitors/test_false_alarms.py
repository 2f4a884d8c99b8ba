"""By significance a model that does not change is hardly ever an alarm, however often it is judged.

`python -m tests.monitors.test_false_alarms` is the whole simulation.
"""

import sys
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from app.monitors.definition import FIRING, Compare, MonitorDefinition, Rule
from app.monitors.judge import Reading, judge
from app.monitors.tails import decisive, share_bounds

# Windows of an hour, one every five minutes, over ninety days.
PER_WINDOW, STEPS = 12, 90 * 24 * 12
KINDS = [(0.95, 10), (0.99, 20), (0.8, 5), (0.5, 4)]  # a share, and truths per five minutes
END = datetime(2025, 3, 3, tzinfo=UTC)


def is_alarm(definition, *readings):
    """Whether our rule fires, of (hits, n) of the window and of what it is compared with."""
    own = iter([decisive(definition, Reading(n, h / n, hits=h)) for h, n in readings])
    return judge(definition, END, lambda _: next(own)).state in FIRING


def windows(dice, share, rate):
    """Hits and truths of each window of a model that does not change."""
    n = dice.poisson(rate, STEPS)
    hits = dice.binomial(n, share)
    sums = [np.concatenate([[0], np.cumsum(one)]) for one in (hits, n)]
    return tuple(one[PER_WINDOW:] - one[:-PER_WINDOW] for one in sums)


def simulate(models, seed=1):
    """How many models were ever an alarm: by significance from a value and from the period before,
    and by three standard deviations of the twelve periods before."""
    dice = np.random.default_rng(seed)
    found = np.zeros(3, dtype=int)
    for number in range(models):
        share, rate = KINDS[number % len(KINDS)]
        hits, n = windows(dice, share, rate)
        found += [_by_value(share, hits, n), _by_previous(hits, n), _by_sigmas(hits, n)]
    return found


def _definition(**compare):
    return MonitorDefinition(
        model="m",
        metric="accuracy",
        window="1h",
        every="5m",
        compare=Compare(**compare),
        rule=Rule(is_="outside", by="significance", amount=0.01),
    )


@cache
def _fires(share, hits, n):
    return is_alarm(_definition(with_="value", value=share), (hits, n))


def _by_value(share, hits, n):
    return any(
        _fires(share, h, m) for h, m in set(zip(hits.tolist(), n.tolist(), strict=True)) if m
    )


def _by_previous(hits, n):
    """Only pairs that differ most can fire: those are asked."""
    definition = _definition(with_="previous")
    shares = hits / np.maximum(n, 1)
    apart = np.abs(shares[PER_WINDOW:] - shares[:-PER_WINDOW]) * np.sqrt(n[PER_WINDOW:])
    for at in np.argsort(-apart)[:50]:
        pair = [(int(hits[i]), int(n[i])) for i in (at + PER_WINDOW, at)]
        if all(m for _, m in pair) and is_alarm(definition, *pair):
            return True
    return False


def _by_sigmas(hits, n, periods=12):
    shares = hits / np.maximum(n, 1)
    at = np.arange(periods * PER_WINDOW, len(shares))
    past = np.stack([shares[at - PER_WINDOW * k] for k in range(1, periods + 1)])
    return bool((np.abs(shares[at] - past.mean(0)) > 3 * past.std(0, ddof=1)).any())


@pytest.mark.parametrize("n", [30, 120, 1000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.001])
def test_bounds_hold_in_the_far_tail(n, share):
    """Exactly, by the binomial distribution: Wilson's miss by a factor of hundreds."""
    for confidence in (0.95, 1 - 1e-4, 1 - 1e-7):
        outside = [
            h
            for h in range(n + 1)
            if not share_bounds(h, n, confidence)[0] <= share <= share_bounds(h, n, confidence)[1]
        ]
        assert binom.pmf(outside, n, share).sum() <= 1 - confidence


def test_models_that_do_not_change_are_no_alarms():
    """The whole simulation has a thousand models; three sigmas would alarm of each."""
    by_value, by_previous, by_sigmas = simulate(24)
    assert (by_value, by_previous) == (0, 0)
    assert by_sigmas == 24


def test_a_model_that_got_worse_is_an_alarm():
    assert is_alarm(_definition(with_="value", value=0.95), (80, 120))
    assert is_alarm(_definition(with_="previous"), (70, 120), (114, 120))


if __name__ == "__main__":
    sys.stdout.write(f"{simulate(int(sys.argv[1]))} of {sys.argv[1]} models\n")
