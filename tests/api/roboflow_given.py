"""Requests for tests of Roboflow's inference stats: posts as its senders make them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Workspace

PERIOD = datetime(2025, 3, 2, tzinfo=UTC)  # a day, and PERIOD - DAY the one before
DAY = timedelta(days=1)
_numbers = count()


def inference(
    model_id: str,
    *detections: tuple[str, float],
    at: datetime = PERIOD,
    seconds: float = 0.1,
    id_: str | None = None,
    version: str = "0.16.0",
    **more: Any,
) -> dict[str, Any]:
    """A result of the pingback; detections are (class, confidence) pairs."""
    found = [{"class": label, "confidence": confidence} for label, confidence in detections]
    response = [{"predictions": found, "time": seconds}] if found else []
    return {
        "request_time": at.timestamp(),
        "inference": {
            "inference_id": id_ or f"inference-{next(_numbers)}",
            "inference_server_version": version,
            "inference_server_id": "q0LnKF",
            "request": {
                "api_key": None,
                "source": None,
                "source_info": None,
                "model_id": model_id,
                "model_type": None,
                "confidence": "best",
            },
            "response": response,
        },
    } | more


def report(*results: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A post of the `inference` server."""
    return {
        "api_key": None,
        "timestamp": "1740873600",
        "device_id": "vm",
        "inference_server_id": "q0LnKF",
        "inference_server_version": "0.16.0",
        "tags": [""],
        "platform": "Linux",
        "inference_results": list(results),
    } | more


def post(
    client: FlaskClient, *results: Mapping[str, Any], to: str = "/inference-stats", **more: Any
) -> TestResponse:
    return client.post(to, json=report(*results, **more))


def accepted(answer: TestResponse) -> tuple[int, int]:
    """(accepted, duplicates) of an accepted post."""
    assert answer.status_code == 200, answer.text
    return answer.get_json()["accepted"], answer.get_json()["duplicates"]


def ask(client: FlaskClient, workspace: Workspace, **parameters: Any) -> TestResponse:
    """Stats of PERIOD and the day before it."""
    window = {"startTime": "2025-03-02 00:00:00", "endTime": "2025-03-03 00:00:00"}
    return client.get(f"/{workspace.name}/inference-stats", query_string=window | parameters)


def stats(client: FlaskClient, workspace: Workspace, **parameters: Any) -> dict[str, Any]:
    answer = ask(client, workspace, **parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body
