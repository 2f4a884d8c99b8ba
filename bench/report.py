"""What a case found: questions, how long ours and its peers took, and versions and facts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from statistics import median
from typing import Any

SIGNIFICANT = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Who was measured, and the seconds of each try."""

    name: str
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Seconds of the middle try."""
        return median(self.seconds)

    def as_json(self) -> dict[str, Any]:
        """Milliseconds, to as many digits as mean something."""
        numbers = {
            "min": min(self.seconds),
            "median": self.median,
            "max": max(self.seconds),
        }
        rounded = {name: _rounded(1000 * seconds) for name, seconds in numbers.items()}
        return {"name": self.name, **rounded, "tries": len(self.seconds)}


def readable(number: float, digits: int = SIGNIFICANT) -> str:
    """A number without an exponent."""
    return f"{number:,.0f}" if number >= 10 ** (digits - 1) else f"{number:,.{digits}g}"


def _rounded(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT}g}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question, ours and its peers; without peers ours stands alone."""

    question: str
    ours: Sample
    peers: Sequence[Sample] = ()

    def as_json(self) -> dict[str, Any]:
        """The ratio of a peer is how many times as long it takes as ours, by the medians."""
        peers = [
            peer.as_json() | {"ratio": _rounded(peer.median / self.ours.median)}
            for peer in self.peers
        ]
        return {"question": self.question, "ours": self.ours.as_json(), "peers": peers}


@dataclass(slots=True)
class Record:
    """What one case reports: comparisons, and versions of what was compared."""

    comparisons: list[Comparison] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


_current: ContextVar[Record | None] = ContextVar("record", default=None)
WIDTHS = "{:44}{:24}{:>9}{:>9}{:>9}{:>8}"


@contextmanager
def recording() -> Iterator[Record]:
    """Collect what is noted inside the block."""
    record = Record()
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


def heading() -> None:
    """What the columns of `note` are."""
    print(WIDTHS.format("milliseconds", "", "min", "median", "max", "ratio"))


def note(question: str, ours: Sample, *peers: Sample) -> None:
    """Print a comparison, and keep it inside a `recording`."""
    comparison = Comparison(question, ours, peers)
    for sample in (ours, *peers):
        found = sample.as_json()
        ratio = "" if sample is ours else readable(sample.median / ours.median, 3)
        numbers = (readable(found[name]) for name in ("min", "median", "max"))
        shown = question if sample is ours else ""
        print(WIDTHS.format(shown[:43], sample.name[:23], *numbers, ratio), flush=True)
    if record := _current.get():
        record.comparisons.append(comparison)


def note_versions(**versions: str) -> None:
    """Keep the versions of what is compared."""
    if record := _current.get():
        record.versions |= versions


def note_facts(**facts: str) -> None:
    """Keep what else the reader has to know, and print it."""
    print(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()))
    if record := _current.get():
        record.facts |= facts
