"""What happened in six hours: which requests were made, and when their truths arrived.

Everything is drawn from generators with fixed seeds, so timelines with the same start are equal,
request ids included. This module uses no database, and no scikit-learn.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction
from app.store.registry import ModelName

LENGTH = timedelta(hours=6)
NAMESPACE = "demo"
DIGITS = ModelName(NAMESPACE, "digits-pipeline", "digits")
DIABETES = ModelName(NAMESPACE, "diabetes-pipeline", "diabetes")
REQUESTS = {DIGITS: 6000, DIABETES: 2000}
VERSIONS = ("v1", "v2")

# In the second half, the inputs of v2 get noisier, up to this many standard deviations.
FINAL_NOISE = 1.6
FAILED = 0.01  # of all requests
NEVER_KNOWN = 0.08  # of all truths
MISTAKEN = 0.04  # of the truths that become known: initially wrong, later corrected
MEDIAN_LATENCY_SECONDS = 0.02
MEDIAN_DELAY = timedelta(minutes=15)  # of a truth, and of the correction after it

# A probability per class, or a value.
Answer = dict[str, float] | float


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, the truths of the samples in its test set, and its predictions for them.

    `answer` takes a version, samples as indices of the truths, and the noise of each.
    """

    name: ModelName
    truths: Sequence[str | float]
    answer: Callable[[str, Sequence[int], Sequence[float]], list[Answer]]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that arrives: a prediction when it is made, a truth when it becomes known."""

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
    noise: float
    latency_seconds: float
    failed: bool


def timeline(models: Sequence[Trained], start: datetime) -> list[Event]:
    """All events within LENGTH of the start, in order; the first is at the start."""
    events = [event for model in models for event in _events_of(model, start)]
    arrived = [event for event in events if event.arrival < start + LENGTH]
    return sorted(arrived, key=lambda event: event.arrival)


def _events_of(model: Trained, start: datetime) -> Iterator[Event]:
    chance = random.Random(model.name.name)  # noqa: S311 - a replay should be predictable
    requests = _requests(model, start, chance)
    answers = _answers(model, requests)
    for request in requests:
        yield Event(request.time, request.id, _prediction(model, request, answers[request.id]))
        if not request.failed:
            yield from _truths(model, request, chance)


def _requests(model: Trained, start: datetime, chance: random.Random) -> list[Request]:
    moments = sorted(chance.random() for _ in range(REQUESTS[model.name]))
    return [
        _request(f"demo-{model.name.name}-{number:05}", start, moment - moments[0], model, chance)
        for number, moment in enumerate(moments)
    ]


def _request(
    id_: str, start: datetime, moment: float, model: Trained, chance: random.Random
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


def _answers(model: Trained, requests: Sequence[Request]) -> dict[str, Answer]:
    """The answer to each request, by its id."""
    answers: dict[str, Answer] = {}
    for version in VERSIONS:
        of_version = [request for request in requests if request.version == version]
        samples, noise = [r.sample for r in of_version], [r.noise for r in of_version]
        results = model.answer(version, samples, noise)
        answers |= {r.id: result for r, result in zip(of_version, results, strict=True)}
    return answers


def _prediction(model: Trained, request: Request, answer: Answer) -> Prediction:
    return Prediction(
        **_named(model),
        version=request.version,
        request_id=request.id,
        time=request.time,
        latency_seconds=request.latency_seconds,
        error=request.failed,
        **({} if request.failed else _output(answer)),
    )


def _output(answer: Answer) -> dict[str, Any]:
    return {"scores": answer} if isinstance(answer, dict) else {"value": answer}


def _truths(model: Trained, request: Request, chance: random.Random) -> Iterator[Event]:
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


def _feedback(model: Trained, request: Request, truth: str | float) -> Feedback:
    member = {"label" if isinstance(truth, str) else "value": truth}
    return Feedback(**_named(model) | member, request_id=request.id)


def _named(model: Trained) -> dict[str, Any]:
    name = model.name
    return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
