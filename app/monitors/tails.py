"""Bounds of a share that hold however rare a false alarm shall be.

Wilson's interval follows the normal distribution, which a share of 95 % of a hundred truths leaves
far out: where one false alarm in ten million windows is allowed, it gives hundreds.
"""

import math
from dataclasses import replace

from app.monitors.definition import MonitorDefinition
from app.monitors.judge import Reading

# Halvings of an interval of at most 1: as many as a double has digits.
HALVINGS = 53
NEAR = 1e-12


def decisive(definition: MonitorDefinition, reading: Reading) -> Reading:
    """The reading with the bounds that decide: by significance, a share has those of Chernoff."""
    hits, n, level = reading.hits, reading.n, definition.level
    if definition.rule.by != "significance" or hits is None or not n or level is None:
        return reading
    if reading.value is None or abs(reading.value - hits / n) > NEAR:
        return reading  # F1 has hits, and is no share of n
    low, high = share_bounds(hits, n, level)
    return replace(reading, low=low, high=high)


def share_bounds(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """Bounds of a share, outside of which the true one lies with at most 1 - confidence.

    Those of Chernoff: the shares q with n * KL(hits / n, q) <= ln(2 / (1 - confidence)), where KL
    is the divergence of two Bernoulli distributions (Hoeffding 1963, theorem 1; Garivier and Cappé
    2011). They hold for every n and every share.
    """
    share, most = hits / n, math.log(2 / (1 - confidence)) / n
    low = 0.0 if hits == 0 else _last_within(share, 0.0, most)
    high = 1.0 if hits == n else _last_within(share, 1.0, most)
    return low, high


def _last_within(share: float, end: float, most: float) -> float:
    """The share farthest from `share` towards `end` whose divergence is at most `most`."""
    inside, outside = share, end
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if _divergence(share, middle) <= most:
            inside = middle
        else:
            outside = middle
    return outside


def _divergence(p: float, q: float) -> float:
    """Of Bernoulli distributions, in nats; infinite where q excludes what p allows."""
    return _part(p, q) + _part(1 - p, 1 - q)


def _part(p: float, q: float) -> float:
    if p == 0:
        return 0.0
    return math.inf if q <= 0 else p * math.log(p / q)
