"""Which requests were made, and when their truths arrived.

Each hour of a model is drawn from a generator of its own with a fixed seed, so any part of a story
can be told again, request ids included. This module uses no database, and no scikit-learn.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from app.demo.lesson import Answer, Trained
from app.demo.story import (
    HOUR,
    LONGEST_DELAY,
    MISTAKEN,
    NEVER_KNOWN,
    TRAFFIC,
    Conditions,
    Story,
    hours,
)
from app.ingest.feedback import Feedback
from app.ingest.inferences import Detection, Prediction
from app.store.registry import Kind

_NEVER = datetime.max.replace(tzinfo=UTC) - HOUR
# A truth and its correction arrive within this time after the request.
LONGEST_WAIT = 2 * LONGEST_DELAY + HOUR


@dataclass(frozen=True, slots=True)
class Event:
    """Something that arrives: a prediction once it is made, a truth when it becomes known."""

    arrival: datetime
    request_id: str
    row: Prediction | Feedback


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model."""

    id: str
    time: datetime
    version: str
    sample: int
    noise: int
    latency_seconds: float
    failed: bool


def events_by_hour(
    models: Sequence[Trained], story: Story, since: datetime, until: datetime | None = None
) -> Iterator[list[Event]]:
    """All events of the requests from the full hour `since` on, in order: a list per hour.

    Those that arrive from `until` on are omitted; without it there is no end.
    """
    waiting: list[Event] = []
    for hour in hours(since, until or _NEVER):
        end = min(hour + HOUR, until or _NEVER)
        waiting += [event for model in models for event in _events(model, hour, story)]
        due = [event for event in waiting if event.arrival < end]
        waiting = [event for event in waiting if event.arrival >= end]
        yield sorted(due, key=lambda event: event.arrival)


def _events(model: Trained, hour: datetime, story: Story) -> Iterator[Event]:
    chance = random.Random(f"{model.name.name} {hour:%FT%H}")  # noqa: S311 - it must be repeatable
    for request in _requests(model, hour, story.conditions(model.name, hour), chance):
        answer = model.answers[request.version][request.noise][request.sample]
        arrival = request.time + timedelta(seconds=request.latency_seconds)
        yield Event(arrival, request.id, _prediction(model, request, answer))
        if not request.failed:
            yield from _truths(model, request, chance)


def _requests(
    model: Trained, hour: datetime, conditions: Conditions, chance: random.Random
) -> Iterator[Request]:
    mean = conditions.traffic.per_hour * _rhythm(hour)
    number = max(0, round(chance.gauss(mean, math.sqrt(mean))))
    for place, moment in enumerate(sorted(chance.random() for _ in range(number))):
        version = chance.choice(conditions.versions)
        yield Request(
            id=f"demo-{model.name.name}-{hour:%Y%m%dT%H}-{place:04}",
            time=hour + HOUR * moment,
            version=version,
            sample=chance.randrange(len(model.truths)),
            noise=conditions.noise(version),
            latency_seconds=chance.lognormvariate(math.log(conditions.latency_seconds), 0.5),
            failed=chance.random() < conditions.failed,
        )


def _rhythm(hour: datetime) -> float:
    """Traffic at an hour of the day as a fraction of the mean: most in the afternoon."""
    return 1 + math.sin((hour.hour - 9) / 12 * math.pi) / 2


def _prediction(model: Trained, request: Request, answer: Answer) -> Prediction:
    return Prediction(
        **_named(model),
        version=request.version,
        request_id=request.id,
        time=request.time,
        latency_seconds=request.latency_seconds,
        error=request.failed,
        tags={"country": _country(request.id)},
        **({} if request.failed else _output(model.kind, answer)),
    )


# Of five requests, three are of the first country.
COUNTRIES = ("FR", "FR", "FR", "DE", "IT")


def _country(request_id: str) -> str:
    """Where a request comes from: the same whenever the story is replayed."""
    return COUNTRIES[crc32(request_id.encode()) % len(COUNTRIES)]


def _output(kind: Kind, answer: Answer) -> dict[str, Any]:
    if kind is Kind.DETECTION:
        return {"detections": [Detection(label, share) for label, share in answer]}
    ((label, number),) = answer
    return {"value": number} if kind is Kind.REGRESSION else {"label": label, "confidence": number}


def _truths(model: Trained, request: Request, chance: random.Random) -> Iterator[Event]:
    """The truths of a request: none, one, or a wrong one and then its correction."""
    truth = model.truths[request.sample]
    if truth is None or chance.random() < NEVER_KNOWN:
        return
    learned = request.time + timedelta(seconds=request.latency_seconds) + _delay(model, chance)
    if chance.random() < MISTAKEN:
        mistake = chance.choice([other for other in model.truths if other != truth])
        yield Event(learned, request.id, _feedback(model, request, mistake))
        learned += _delay(model, chance)
    yield Event(learned, request.id, _feedback(model, request, truth))


def _delay(model: Trained, chance: random.Random) -> timedelta:
    """Minutes to a day."""
    drawn = TRAFFIC[model.name].delay * chance.lognormvariate(0, 1)
    return min(drawn, LONGEST_DELAY)


def _feedback(model: Trained, request: Request, truth: str | float | None) -> Feedback:
    member = {"label" if isinstance(truth, str) else "value": truth}
    return Feedback(**_named(model) | member, request_id=request.id)


def _named(model: Trained) -> dict[str, Any]:
    name = model.name
    return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
