"""Six hours of three of the demo's models, sent through ingest as if they had just passed.

For tests that need rows of a known window rather than a history. In the second half, the inputs of
v2 get noisier. Everything is drawn from generators with fixed seeds, so timelines with the same
start are equal, request ids included.
"""

import functools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from app.demo import runs
from app.demo.lesson import DIABETES, DIGITS, NOISE, TUMOURS, Lesson, Trained, learn
from app.demo.timeline import Event
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.store.database import Database
from app.store.registry import ModelName

LENGTH = timedelta(hours=6)
REQUESTS = {DIGITS: 6000, DIABETES: 2000, TUMOURS: 1200}
VERSIONS = ("v1", "v2")
BATCH_EVENTS = 500

FINAL_NOISE = 1.6
FAILED = 0.01  # of all requests
NEVER_KNOWN = 0.08  # of all truths
MISTAKEN = 0.04  # of the truths that become known: initially wrong, later corrected
MEDIAN_LATENCY_SECONDS = 0.02
MEDIAN_DELAY = timedelta(minutes=15)  # of a truth, and of the correction after it

# A class and its confidence, or a value.
Answer = tuple[str, float] | float


@dataclass(frozen=True, slots=True)
class Replayed:
    """A model, the truths of its samples, and its answers.

    `answer` takes a version, samples as indices of the truths, and the noise of each.
    """

    name: ModelName
    truths: Sequence[str | float]
    answer: Callable[[str, Sequence[int], Sequence[float]], list[Answer]]


@functools.cache
def lesson() -> Lesson:
    """What the demo trains, once per process."""
    return learn()


def train() -> list[Replayed]:
    """The demo's classifiers of digits and of tumours, and its regressor of diabetes."""
    return [_replayed(model) for model in lesson().models if model.name in REQUESTS]


def record(database: Database, workspace_id: int) -> None:
    """The demo's runs of training."""
    runs.record(database, workspace_id, lesson().runs)


def _replayed(model: Trained) -> Replayed:
    def answer(version: str, samples: Sequence[int], noise: Sequence[float]) -> list[Answer]:
        pairs = zip(samples, noise, strict=True)
        answers = model.answers.get(version, model.answers["v1"])
        return [_single(answers[_level(far)][sample][0]) for sample, far in pairs]

    return Replayed(model.name, [truth for truth in model.truths if truth is not None], answer)


def _level(noise: float) -> int:
    """The strongest noise that the demo's models have answered for and that isn't stronger."""
    return max(place for place, strength in enumerate(NOISE) if strength <= noise)


def _single(output: tuple[str, float]) -> Answer:
    return output if output[0] else output[1]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model."""

    id: str
    time: datetime
    version: str
    sample: int
    noise: float
    latency_seconds: float
    failed: bool


def timeline(models: Sequence[Replayed], start: datetime) -> list[Event]:
    """All events within LENGTH of the start, in order; the first is at the start."""
    events = [event for model in models for event in _events_of(model, start)]
    arrived = [event for event in events if event.arrival < start + LENGTH]
    return sorted(arrived, key=lambda event: event.arrival)


def _events_of(model: Replayed, start: datetime) -> Iterator[Event]:
    chance = random.Random(model.name.name)
    requests = _requests(model, start, chance)
    answers = _answers(model, requests)
    for request in requests:
        yield Event(request.time, request.id, _prediction(model, request, answers[request.id]))
        if not request.failed:
            yield from _truths(model, request, chance)


def _requests(model: Replayed, start: datetime, chance: random.Random) -> list[Request]:
    moments = sorted(chance.random() for _ in range(REQUESTS[model.name]))
    return [
        _request(f"demo-{model.name.name}-{number:05}", start, moment - moments[0], model, chance)
        for number, moment in enumerate(moments)
    ]


def _request(
    id_: str, start: datetime, moment: float, model: Replayed, chance: random.Random
) -> Request:
    """Draw a request; `moment` is a fraction of the timeline."""
    version = chance.choice(VERSIONS)
    return Request(
        id=id_,
        time=start + LENGTH * moment,
        version=version,
        sample=chance.randrange(len(model.truths)),
        noise=FINAL_NOISE * max(0.0, 2 * moment - 1) if version == "v2" else 0.0,
        latency_seconds=chance.lognormvariate(math.log(MEDIAN_LATENCY_SECONDS), 0.5),
        failed=chance.random() < FAILED,
    )


def _answers(model: Replayed, requests: Sequence[Request]) -> dict[str, Answer]:
    """The answer to each request, by its id."""
    answers: dict[str, Answer] = {}
    for version in VERSIONS:
        of_version = [request for request in requests if request.version == version]
        samples, noise = [r.sample for r in of_version], [r.noise for r in of_version]
        results = model.answer(version, samples, noise)
        answers |= {r.id: result for r, result in zip(of_version, results, strict=True)}
    return answers


def _prediction(model: Replayed, request: Request, answer: Answer) -> Prediction:
    return Prediction(
        **_named(model),
        version=request.version,
        request_id=request.id,
        time=request.time,
        latency_seconds=request.latency_seconds,
        error=request.failed,
        tags={"country": "FR" if crc32(request.id.encode()) % 3 else "DE"},
        **({} if request.failed else _output(answer)),
    )


def _output(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, tuple):
        return {"label": answer[0], "confidence": answer[1]}
    return {"value": answer}


def _truths(model: Replayed, request: Request, chance: random.Random) -> Iterator[Event]:
    """The truths of a request: none, one, or a wrong one and then its correction."""
    if chance.random() < NEVER_KNOWN:
        return
    truth = model.truths[request.sample]
    learned = request.time + _delay(chance)
    if chance.random() < MISTAKEN:
        mistake = chance.choice([other for other in model.truths if other != truth])
        yield Event(learned, request.id, _feedback(model, request, mistake))
        learned += _delay(chance)
    yield Event(learned, request.id, _feedback(model, request, truth))


def _delay(chance: random.Random) -> timedelta:
    """Minutes to hours."""
    return MEDIAN_DELAY * chance.lognormvariate(0, 1)


def _feedback(model: Replayed, request: Request, truth: str | float) -> Feedback:
    member = {"label" if isinstance(truth, str) else "value": truth}
    return Feedback(**_named(model) | member, request_id=request.id)


def _named(model: Replayed) -> dict[str, Any]:
    name = model.name
    return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}


def new_start(now: datetime) -> datetime:
    """The start of a timeline: on a whole minute, and LENGTH before now."""
    return now.replace(second=0, microsecond=0) - LENGTH


def replay(database: Database, workspace_id: int, events: Sequence[Event]) -> Iterator[int]:
    """Store events batch by batch, in order of arrival; yields the size of each batch."""
    for first in range(0, len(events), BATCH_EVENTS):
        rows = [event.row for event in events[first : first + BATCH_EVENTS]]
        ingest_predictions(database, workspace_id, [r for r in rows if isinstance(r, Prediction)])
        ingest_feedback(database, workspace_id, [r for r in rows if isinstance(r, Feedback)])
        yield len(rows)
