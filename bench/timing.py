"""How long an answer takes: tries that go back and forth between ours and its peers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from bench.report import Sample, heading, note

__all__ = ["compared", "fastest", "heading", "limits", "pace", "seconds_of", "taken", "tries"]


@dataclass(frozen=True, slots=True)
class Pace:
    """The most tries of a comparison, and after how many seconds there is none more."""

    tries: int = 30
    seconds: float = 5.0


USUAL = Pace()
_pace: ContextVar[Pace] = ContextVar("pace", default=USUAL)
OURS, ROWS = "Truthline", "SQL over the rows"
Ask = Callable[[], object]


@contextmanager
def pace(tries: int, seconds: float) -> Iterator[None]:
    """How often comparisons inside the block try."""
    token = _pace.set(Pace(tries, seconds))
    try:
        yield
    finally:
        _pace.reset(token)


def limits() -> Pace:
    """How often one tries here."""
    return _pace.get()


def taken(ask: Ask) -> float:
    """Seconds of one try."""
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def seconds_of(*asks: Ask) -> list[list[float]]:
    """Seconds of some tries of each; what disturbs the machine disturbs all of them."""
    limit, began = limits(), time.perf_counter()
    rounds = []
    for _ in range(limit.tries):
        rounds.append([taken(ask) for ask in asks])
        if time.perf_counter() - began > limit.seconds:
            break
    return [list(column) for column in zip(*rounds, strict=True)]


def tries(name: str, ask: Ask) -> Sample:
    """One that is measured alone."""
    (seconds,) = seconds_of(ask)
    return Sample(name, seconds)


def fastest(ask: Ask) -> float:
    """Seconds of the fastest of some tries; slow ones are not asked as often."""
    return min(tries("", ask).seconds)


def compared(question: str, planned: Ask, raw: Ask, peer: str = ROWS, ours: str = OURS) -> None:
    """Note both ways and how many times as long the peer takes."""
    quick, slow = seconds_of(planned, raw)
    note(question, Sample(ours, quick), Sample(peer, slow))
