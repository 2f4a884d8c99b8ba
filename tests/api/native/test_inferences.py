"""Native inference stats and models: the same figures, quantiles, error rates and changes."""

import pytest

from tests.api.given import predict, verdict

PERIOD = {"startTime": "2025-03-02T00:00:00Z", "endTime": "2025-03-03T00:00:00Z"}


def row(day, *found, **fields):
    detections = [{"label": label, "confidence": confidence} for label, confidence in found]
    output = {} if fields.get("error") else {"detections": detections}
    time = {"model": "cards", "time": f"2025-03-{day:02}T12:00:00Z", "version": "4"}
    return time | output | fields


@pytest.fixture
def told(client):
    rows = [
        row(2, ("a", 0.5), ("a", 1.0), latencySeconds=0.5, deployment="shop"),
        row(2, ("a", 0.75), latencySeconds=1.5, deploymentType="hosted", serverVersion="2"),
        row(2, error=True),
        row(1, ("a", 0.25), latencySeconds=1.0),
        row(2, ("b", 0.5), model="hats"),
    ]
    assert verdict(predict(client, *rows)) == (5, 0, 0)


def get(client, path, **parameters):
    answer = client.get(f"/api/v1/{path}", query_string=PERIOD | parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def pair(now, previous, change):
    return {"now": now, "previous": previous, "change": change}


@pytest.mark.usefixtures("told")
def test_the_stats(client):
    answer = get(client, "inference-stats")
    cards, hats = answer["models"]

    assert answer["previousStartTime"] == "2025-03-01T00:00:00Z"
    assert answer["totals"]["inferences"] == pair(3, 1, 2.0)
    assert answer["totals"]["errors"] == pair(1, 0, None)
    assert answer["totals"]["errorRate"] == pair(0.25, 0.0, None)
    assert answer["totals"]["confidence"] == pair(0.6875, 0.25, 1.75)
    assert (cards["model"], cards["inferences"]) == ("cards", pair(2, 1, 1.0))
    assert cards["latencySeconds"] == pair(1.0, 1.0, 0.0)
    assert cards["latencyQuantiles"] == pytest.approx(
        {"p50": 1.0, "p90": 1.4, "p95": 1.45, "p99": 1.49}
    )
    (a,) = cards["classes"]
    assert (a["inferences"], a["outputs"]) == (pair(2, 1, 1.0), pair(3, 1, 2.0))
    assert a["confidenceQuantiles"]["p50"] == 0.75
    assert (a["deploymentTypes"], a["serverVersions"]) == (["hosted"], ["2"])
    assert (hats["latencySeconds"], hats["latencyQuantiles"]) == (pair(None, None, None), None)


@pytest.mark.usefixtures("told")
def test_some_models_only(client):
    names = ["hats", "unknown"]
    (hats,) = get(client, "inference-stats", model=names)["models"]
    assert hats["model"] == "hats"


@pytest.mark.usefixtures("told")
def test_the_models(client):
    cards, hats = get(client, "models")["models"]
    assert cards == {
        "namespace": "",
        "pipeline": "",
        "model": "cards",
        "kind": "detection",
        "versions": ["4"],
        "deployments": ["shop"],
        "firstSeen": "2025-03-01T12:00:00Z",
        "lastSeen": "2025-03-02T12:00:00Z",
        "inferences": 2,
        "errors": 1,
    }
    assert (hats["model"], hats["inferences"]) == ("hats", 1)


def test_a_window_is_the_last_day_by_default(client):
    verdict(predict(client, {"model": "m", "detections": []}))
    for path in ("inference-stats", "models"):
        (model,) = client.get(f"/api/v1/{path}").json["models"]
        assert model["model"] == "m"


@pytest.mark.parametrize(
    "parameters",
    [
        {"startTime": "yesterday"},
        {"endTime": "2025-03-01T00:00:00Z"},
        {"startTime": "0001-01-02T00:00:00Z", "endTime": "9999-12-30T00:00:00Z"},
        {"fieldName": "camera"},
    ],
)
def test_a_bad_question_is_refused(client, parameters):
    answer = client.get("/api/v1/inference-stats", query_string=PERIOD | parameters)
    assert answer.status_code in (400, 422)
    assert answer.content_type == "application/problem+json"
