"""What happens to the demo's models: how busy they are, and what goes wrong when.

Everything is relative to the hour in which the demo was first started. What has happened once
happens again a week later, for as long as the demo goes on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.demo.lesson import AREAS, DIABETES, DIGITS, STRIPS, TUMOURS, WINE
from app.store.registry import ModelName

HOUR = timedelta(hours=1)
# Of the past that a first start tells, and the most that a later one does.
LENGTH = timedelta(days=8)
WEEK = timedelta(days=7)

FAILED = 0.01  # of all requests
NEVER_KNOWN = 0.08  # of all truths
MISTAKEN = 0.04  # of the truths that become known: initially wrong, later corrected
LONGEST_DELAY = timedelta(hours=24)  # of a truth, and of the correction after it


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per hour on average, their latency, and after how long half of the truths come."""

    per_hour: float
    versions: Sequence[str]
    latency_seconds: float
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that happens to a model from `begins` on, relative to the first start.

    `version` then answers instead of the usual ones. `noise` is a place in `lesson.NOISE`; with
    `noisy`, only the inputs of that version are disturbed.
    """

    begins: timedelta
    lasts: timedelta
    version: str | None = None
    noise: int = 0
    noisy: str | None = None
    failed: float = FAILED
    slowness: float = 1.0

    def is_on(self, time: datetime, started: datetime) -> bool:
        """Whether it is happening."""
        since = time - started - self.begins
        return since >= timedelta(0) and since % WEEK < self.lasts


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a model answers at some moment."""

    traffic: Traffic
    versions: Sequence[str]
    episodes: Sequence[Episode]

    def noise(self, version: str) -> int:
        """The noise in the inputs of a version, as a place in `lesson.NOISE`."""
        return max((e.noise for e in self.episodes if e.noisy in (None, version)), default=0)

    @property
    def failed(self) -> float:
        """The share of requests that fail."""
        return max((episode.failed for episode in self.episodes), default=FAILED)

    @property
    def latency_seconds(self) -> float:
        """The median latency."""
        return self.traffic.latency_seconds * math.prod(e.slowness for e in self.episodes)


_MINUTES = timedelta(minutes=1)
TRAFFIC: Mapping[ModelName, Traffic] = {
    DIGITS: Traffic(96, ["v1"], 0.02, 20 * _MINUTES),
    STRIPS: Traffic(12, ["v1"], 0.12, HOUR),
    DIABETES: Traffic(36, ["v1", "v2"], 0.01, 45 * _MINUTES),
    TUMOURS: Traffic(36, ["v1"], 0.03, 5 * HOUR),
    AREAS: Traffic(24, ["v1"], 0.04, 2 * HOUR),
    WINE: Traffic(36, ["v1"], 0.005, 15 * _MINUTES),
}
# The newest first. The release of digits is what the demo points to.
RELEASE = Episode(-20 * HOUR, 30 * HOUR, version="v2")
EPISODES: Mapping[ModelName, Sequence[Episode]] = {
    DIGITS: [RELEASE],
    WINE: [Episode(-34 * HOUR, WEEK, version="v2")],
    DIABETES: [Episode(-54 * HOUR, 14 * HOUR, noise=2, noisy="v2")],
    STRIPS: [Episode(-73 * HOUR, 4 * HOUR, failed=0.4, slowness=6)],
    TUMOURS: [Episode(-98 * HOUR, 12 * HOUR, noise=2)],
    AREAS: [Episode(-125 * HOUR, 9 * HOUR, noise=1)],
}


@dataclass(frozen=True, slots=True)
class Story:
    """The story of a demo that was first started in the hour that begins at `started`."""

    started: datetime

    @property
    def beginning(self) -> datetime:
        """Nothing happened before."""
        return self.started - LENGTH

    def conditions(self, model: ModelName, time: datetime) -> Conditions:
        """Under which a model answers."""
        traffic = TRAFFIC[model]
        current = [e for e in EPISODES[model] if e.is_on(time, self.started)]
        replaced = [episode.version for episode in current if episode.version]
        return Conditions(traffic, replaced or traffic.versions, current)

    def release(self, now: datetime) -> datetime:
        """When the newest bad release of digits began that has had an hour to show."""
        first = self.started + RELEASE.begins
        return first + (now - HOUR - first) // WEEK * WEEK


def hour_of(time: datetime) -> datetime:
    """The full hour that contains a moment."""
    return time.replace(minute=0, second=0, microsecond=0)


def hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """All full hours from `start`, which is one, up to `end`."""
    while start < end:
        yield start
        start += HOUR
