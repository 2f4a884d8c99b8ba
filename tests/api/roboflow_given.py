"""What tests of Roboflow's inference stats start from: posts as its senders make them."""

from datetime import UTC, datetime, timedelta
from itertools import count

PERIOD = datetime(2025, 3, 2, tzinfo=UTC)  # a day, and PERIOD - DAY the one before
DAY = timedelta(days=1)
_numbers = count()


def inference(model_id, *detections, at=PERIOD, seconds=0.1, id_=None, version="0.16.0", **more):
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


def report(*results, **more):
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


def post(client, *results, to="/inference-stats", **more):
    return client.post(to, json=report(*results, **more))


def accepted(answer):
    """(accepted, duplicates) of a post that was taken."""
    assert answer.status_code == 200, answer.text
    return answer.json["accepted"], answer.json["duplicates"]


def ask(client, workspace, **parameters):
    """Stats of PERIOD and the day before it."""
    window = {"startTime": "2025-03-02 00:00:00", "endTime": "2025-03-03 00:00:00"}
    return client.get(f"/{workspace.name}/inference-stats", query_string=window | parameters)


def stats(client, workspace, **parameters):
    answer = ask(client, workspace, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json
