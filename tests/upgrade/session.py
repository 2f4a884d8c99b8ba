"""What a program does with the client: `python session.py send URL KEY`, then `ask URL KEY`.

Run with the package of the previous release, and with this one's. It uses what both have.
"""

import dataclasses
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from truthline import Client

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
WINDOW: dict[str, Any] = {"start": START, "end": START + timedelta(hours=1)}
REQUESTS = 40
# The truth of every fourth request is another class; of every eighth it is then corrected.
WRONG, CORRECTED = 4, 8
# These differ from one answer to the next.
CLOCKS = {"freshness", "recorded_at", "created_at"}
# These are new, and None unless they are requested.
ADDED = {"confidence", "interval", "intervals"}


def send(client: Client) -> None:
    """Log predictions with truths, corrections, and an execution."""
    for number in range(REQUESTS):
        time = START + timedelta(minutes=number)
        of: dict[str, Any] = {
            "deployment": "shop",
            "version": "v1",
            "time": time,
            "latency_seconds": 0.25,
        }
        id_ = client.log_prediction("fraud", label="no", confidence=0.75, **of)
        client.log_feedback("fraud", request_id=id_, label="yes" if is_wrong(number) else "no")
        if is_corrected(number):
            client.log_feedback("fraud", request_id=id_, label="no")
        id_ = client.log_prediction("price", value=number, **of)
        client.log_feedback("price", request_id=id_, value=number + 2)
    with client.execution("run-1", pipeline="training", deployment="nightly"):
        client.record_metric_value("loss", 0.5)
        client.record_list_metric_values("losses", [3.0, 2.0, 1.0])
    assert client.flush(60), client.stats()
    assert client.stats().total.refused == 0, client.stats()


def is_wrong(number: int) -> bool:
    """Whether the first truth was another class than the predicted one."""
    return number % WRONG == WRONG - 1


def is_corrected(number: int) -> bool:
    """Whether that truth was corrected."""
    return number % CORRECTED == CORRECTED - 1


def ask(client: Client) -> dict[str, object]:
    """Every kind of answer, as JSON has it."""
    width = timedelta(minutes=30)
    answers = {
        "classification": client.classification_metrics("fraud", **WINDOW, interval=width),
        "regression": client.regression_metrics("price", **WINDOW, interval=width),
        "models": client.models(**WINDOW),
        "inference stats": client.inference_stats(**WINDOW),
        "health": client.health("shop", **WINDOW),
        "metrics": client.get_metrics(execution_id="run-1"),
        "lists": client.get_list_metrics(execution_id="run-1"),
    }
    return {name: plain(answer) for name, answer in answers.items()}


def plain(answer: object) -> object:
    """An answer as JSON can have it, without its clocks."""
    if dataclasses.is_dataclass(answer):
        members = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
        return plain({n: v for n, v in members.items() if v is not None or n not in ADDED})
    if isinstance(answer, dict):
        return {name: plain(part) for name, part in answer.items() if name not in CLOCKS}
    if isinstance(answer, list | tuple):
        return [plain(part) for part in answer]
    return answer if isinstance(answer, int | float | None) else str(answer)


if __name__ == "__main__":
    command, url, key = sys.argv[1:]
    with Client(url, key) as client:
        print(json.dumps({"send": send, "ask": ask}[command](client)))  # noqa: T201 - its result
