"""Predictions with truths that come early, late and again, and what a filter lists of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from flask.testing import FlaskClient

from tests.api.given import START, predict, prediction, tell, truth, verdict

LABELS = ("a", "b", "c")
EVERYTHING: dict[str, dict[str, str]] = {
    "every": {},
    "window": {"startTime": "2025-02-25T14:00:00Z", "endTime": "2025-02-26T02:00:00Z"},
    "version": {"version": "2"},
    "deployment": {"deployment": "eu"},
    "predicted": {"predictedLabel": "a"},
    "actual": {"actualLabel": "b"},
    "cell": {"predictedLabel": "a", "actualLabel": "b"},
    "wrong": {"wrong": "true"},
    "right": {"wrong": "false"},
    "wrong of a class": {"wrong": "true", "predictedLabel": "c"},
    "unlabelled": {"unlabelled": "true"},
    "labelled": {"unlabelled": "false"},
    "unlabelled of a class": {"unlabelled": "true", "predictedLabel": "b"},
    "confident": {"minConfidence": "0.75"},
    "not confident": {"maxConfidence": "0.25"},
    "confidence": {"minConfidence": "0.25", "maxConfidence": "0.5", "wrong": "true"},
    "failed": {"failed": "true"},
    "answered": {"failed": "false"},
    "never": {"predictedLabel": "d"},
}


@dataclass
class Sent:
    """A prediction that was sent, and the truths that are known of it, in order."""

    id: str | None
    time: datetime
    version: str
    deployment: str
    label: str | None
    confidence: float | None
    failed: bool
    truths: tuple[str, ...] = ()

    @property
    def truth(self) -> str | None:
        return self.truths[-1] if self.truths else None

    def row(self) -> dict[str, Any]:
        names = {"version": self.version, "deployment": self.deployment}
        output: dict[str, Any] = {"error": True} if self.failed else {"label": self.label}
        if self.confidence is not None:
            output["confidence"] = self.confidence
        if self.id is not None:
            output["requestId"] = self.id
        return prediction(time=self.time.isoformat(), **names, **output)


def meets(sent: Sent, query: Mapping[str, str]) -> bool:
    """What a query lists, said once more."""
    conditions: dict[str, Callable[[str], Any]] = {
        "version": lambda value: sent.version == value,
        "deployment": lambda value: sent.deployment == value,
        "startTime": lambda value: sent.time.isoformat() >= value.replace("Z", "+00:00"),
        "endTime": lambda value: sent.time.isoformat() < value.replace("Z", "+00:00"),
        "predictedLabel": lambda value: sent.label == value,
        "actualLabel": lambda value: sent.truth == value,
        "wrong": lambda value: (
            sent.truth is not None and (sent.truth != sent.label) == (value == "true")
        ),
        "unlabelled": lambda value: not sent.failed and (not sent.truth) == (value == "true"),
        "minConfidence": lambda value: (sent.confidence or -1) >= float(value),
        "maxConfidence": lambda value: (
            sent.confidence is not None and sent.confidence <= float(value)
        ),
        "failed": lambda value: sent.failed == (value == "true"),
    }
    return all(conditions[name](value) for name, value in query.items())


def some_predictions(random: Random, number: int, *, name: str = "r") -> list[Sent]:
    """Predictions of two days, some in batches that share their time; not all have an id."""
    sent, time = list[Sent](), START
    for n in range(number):
        if n % 7:
            time = START + timedelta(seconds=random.randrange(2 * 86_400))
        failed = random.random() < 0.1
        sent.append(
            Sent(
                id=f"{name}/{n}" if random.random() < 0.9 else None,
                time=time,
                version=random.choice("12"),
                deployment=random.choice(["", "eu"]),
                label=None if failed else random.choice(LABELS),
                confidence=None if failed else random.randrange(0, 65) / 64,
                failed=failed,
            )
        )
    return sent


def learn(client: FlaskClient, random: Random, sent: Sequence[Sent], share: float) -> None:
    """Send a truth of some of the predictions; one that is known already is corrected."""
    chosen = [one for one in sent if one.id and random.random() < share]
    news = {
        one.id: random.choice([label for label in LABELS if label != one.truth]) for one in chosen
    }
    if news:
        verdict(tell(client, *(truth(str(id_), label=label) for id_, label in news.items())))
    for one in chosen:
        if not one.failed:
            one.truths += (news[one.id],)


def given_requests(client: FlaskClient) -> list[Sent]:
    """Predictions with truths: early, late and corrected ones, and back again."""
    random = Random(7)
    sent = some_predictions(random, 300)
    early, late = sent[:100], sent[100:]
    verdict(predict(client, *(one.row() for one in late)))
    learn(client, random, sent, 0.3)  # those of `early` wait for their prediction
    verdict(predict(client, *(one.row() for one in early)))
    for _ in range(3):
        learn(client, random, sent, 0.3)
    return sent
