"""How long an answer takes, and a line of a report."""

import time
from collections.abc import Callable

TRIES = 30
ENOUGH_SECONDS = 5


def fastest(ask: Callable[[], object]) -> float:
    """Seconds of the fastest of some tries; slow ones are not asked as often."""
    best, spent = float("inf"), 0.0
    for _ in range(TRIES):
        began = time.perf_counter()
        ask()
        seconds = time.perf_counter() - began
        best, spent = min(best, seconds), spent + seconds
        if spent > ENOUGH_SECONDS:
            break
    return best


def heading() -> None:
    """What the columns of `compared` are."""
    print(f"{'milliseconds':38}{'planner':>10}{'rows':>12}{'ratio':>9}")


def compared(question: str, planned: Callable[[], object], raw: Callable[[], object]) -> None:
    """Print milliseconds of both ways and how many times as long the rows take."""
    quick, slow = fastest(planned) * 1000, fastest(raw) * 1000
    print(f"{question:38}{quick:10.1f}{slow:12.1f}{slow / quick:9.1f}", flush=True)
