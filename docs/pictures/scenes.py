"""What the pictures show: models that are made up, logged as anybody would log theirs."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from truthline import Client

IRIS: dict[str, Any] = {
    "namespace": "seldon",
    "pipeline": "iris-model-pipeline",
    "model": "iris-model",
}
RETURNS: dict[str, Any] = {"namespace": "shop", "pipeline": "checkout", "model": "returns-model"}
PRICES: dict[str, Any] = {"namespace": "homes", "pipeline": "valuation", "model": "price-model"}
DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
# In hours of the day.
SILENCE, BAD_EVENING, TRUTHS_END = (9, 12), (17, 21), 18

# Counts of (actual, predicted) in the four buckets of Seldon's example that hold any.
SPECIES = ("Setosa", "Versicolor", "Virginica")
IRIS_START = datetime(2025, 2, 25, 11, 51, 22, tzinfo=UTC)
IRIS_BUCKETS = (
    {(0, 1): 10},
    {(0, 1): 16},
    {(0, 1): 9, (1, 1): 7},
    {(0, 1): 2, (1, 1): 1, (2, 1): 5},
)


def log_all(client: Client) -> None:
    """Log every scene, and wait until it is stored.

    Raises:
        RuntimeError: it can't be.
    """
    chance = random.Random(7)  # noqa: S311 - the same pictures each time
    log_iris(client)
    log_returns(client, chance)
    log_prices(client, chance)
    if not client.flush(120) or client.stats().total.refused:
        raise RuntimeError(f"not all is stored: {client.stats()}")


def log_iris(client: Client) -> None:
    """Seldon's example: pairs of truth and prediction in buckets of ten seconds."""
    for number, pairs in enumerate(IRIS_BUCKETS):
        time = IRIS_START + timedelta(seconds=10 * number + 5)
        for (actual, predicted), count in pairs.items():
            for _ in range(count):
                id_ = client.log_prediction(**IRIS, label=SPECIES[predicted], time=time)
                client.log_feedback(**IRIS, request_id=id_, label=SPECIES[actual])


def log_returns(client: Client, chance: random.Random) -> None:
    """A classifier in two versions over two days: a bad evening, three hours of silence."""
    for time in _moments(chance, DAY - 24 * HOUR, DAY + 24 * HOUR, per_hour=60):
        hour = (time - DAY) / HOUR
        if SILENCE[0] <= hour < SILENCE[1]:
            continue
        bad = BAD_EVENING[0] <= hour < BAD_EVENING[1]
        actual = chance.choices(["kept", "exchanged", "returned"], [70, 12, 18])[0]
        right = chance.random() < (0.72 if bad else 0.9)
        others = {"kept": "returned", "exchanged": "kept", "returned": "exchanged"}
        id_ = client.log_prediction(
            **RETURNS,
            version="v1" if hour < 0 else "v2",
            deployment="shop-eu",
            label=actual if right else others[actual],
            confidence=round(chance.uniform(0.55, 0.99), 3),
            latency_seconds=chance.lognormvariate(-3.6, 0.35),
            error=chance.random() < (0.03 if bad else 0.004),
            time=time,
        )
        client.log_feedback(**RETURNS, request_id=id_, label=actual)


def log_prices(client: Client, chance: random.Random) -> None:
    """A regressor over two days, with larger errors in the night; truths stop six hours early."""
    for time in _moments(chance, DAY - 24 * HOUR, DAY + 24 * HOUR, per_hour=25):
        hour = (time - DAY) / HOUR
        actual = chance.lognormvariate(math.log(320), 0.35)
        wide = 14 + 9 * math.cos(hour / 24 * math.tau)
        id_ = client.log_prediction(
            **PRICES,
            deployment="homes-eu",
            value=actual + chance.gauss(4, wide),
            latency_seconds=chance.lognormvariate(-4.4, 0.3),
            time=time,
        )
        if hour < TRUTHS_END:
            client.log_feedback(**PRICES, request_id=id_, value=actual)


def _moments(
    chance: random.Random, start: datetime, end: datetime, *, per_hour: float
) -> Iterator[datetime]:
    """Instants as customers come: by chance, few at night, many in the evening."""
    time = start
    while (time := time + HOUR * chance.expovariate(per_hour)) < end:
        busy = 0.55 - 0.45 * math.cos((time.hour - 3) / 24 * math.tau)
        if chance.random() < busy:
            yield time
