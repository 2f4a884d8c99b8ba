"""What could take the service down is refused, and what is refused leaves nothing behind."""

import json

import pytest

from app.query import classification
from tests.api.given import prediction

BASE = "/metrics-server/api/v1"
MODEL = {"namespace": "shop", "pipelineName": "checkout", "modelName": "fraud"}
DAY = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-03-02T00:00:00Z"}


def post(client, rows, **headers):
    body = json.dumps({"predictions": rows})
    return client.post(
        "/api/v1/predictions", data=body, headers=headers, content_type="application/json"
    )


def classified(client, **more):
    return client.get(f"{BASE}/metrics/pipeline/classification", query_string=MODEL | DAY | more)


def test_many_categories_and_empty_buckets_cost_nothing(client):
    names = [f"customer-{number}" for number in range(3000)]
    feature = {"categorical": {"name": "class", "categories": names}}
    body = MODEL | {"featuresMetadata": [feature]}
    assert client.post(f"{BASE}/pipeline/model/subscribe", json=body).status_code == 200

    answer = classified(client, interval="15m")

    assert answer.status_code == 200
    assert len(answer.json["metrics"]) == 96


def test_matrices_beyond_the_bound_are_refused(client, monkeypatch):
    monkeypatch.setattr(classification, "MAX_MATRIX_CELLS", 3)
    row = prediction(requestId="r", label="a", time="2026-03-01T12:00:00Z")
    truth = {name: row[name] for name in ("namespace", "pipeline", "model", "requestId")}
    assert post(client, [row]).status_code == 200
    feedback = {"feedback": [truth | {"label": "b"}]}
    assert client.post("/api/v1/feedback", json=feedback).status_code == 200

    refused = classified(client)

    assert refused.status_code == 413
    assert "ask for fewer buckets" in refused.json["message"]


def test_a_failed_attempt_with_an_output_is_not_the_one_that_counts(client):
    attempt = prediction(requestId="r", label="wrong", time="2026-03-01T12:00:00Z")
    truth = {name: attempt[name] for name in ("namespace", "pipeline", "model", "requestId")}
    assert post(client, [attempt | {"error": True}]).json["accepted"] == 1
    assert post(client, [attempt | {"label": "right"}]).json["accepted"] == 1
    client.post("/api/v1/feedback", json={"feedback": [truth | {"label": "right"}]})

    (bucket,) = classified(client).json["metrics"]

    assert bucket["accuracy"] == 1
    assert bucket["confusionMatrix"]["values"] == [1]


def test_a_batch_refused_for_its_key_settles_no_kind(client):
    key = {"Idempotency-Key": "k"}
    assert post(client, [prediction(requestId="r", label="a")], **key).status_code == 200
    number = {"model": "new", "value": 1.0}
    assert post(client, [number], **key).status_code == 422

    assert post(client, [{"model": "new", "label": "a"}]).status_code == 200


def test_a_body_of_line_ends_is_refused_before_it_is_taken_apart(client):
    body = b"\n" * 2_000_000
    answer = client.post("/api/v1/predictions", data=body, content_type="application/x-ndjson")

    assert answer.status_code == 413
    assert "far more lines" in answer.json["detail"]


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_page_in_a_browser_cannot_subscribe(client, type_):
    body = json.dumps(MODEL | {"featuresMetadata": [{"numeric": {"name": "y"}}]})
    refused = client.post(f"{BASE}/pipeline/model/subscribe", data=body, content_type=type_)

    assert refused.status_code == 415
    assert client.get(f"{BASE}/pipeline/subscriptions").json == {"subscriptions": []}
