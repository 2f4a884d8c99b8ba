"""The published example of Seldon's page, value by value."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

EXAMPLE = json.loads((Path(__file__).parent / "seldon_example.json").read_text())
IRIS = {"namespace": "seldon", "pipelineName": "iris-model-pipeline", "modelName": "iris-model"}
CATEGORIES = ["Setosa", "Versicolor", "Virginica"]
START = datetime.fromisoformat("2025-02-25T11:51:22Z")
QUESTION = IRIS | {
    "startTime": "2025-02-25T11:51:22Z",
    "endTime": "2025-02-25T11:53:22Z",
    "interval": "10s",
}


def example_rows():
    """(time, predicted, actual) of every row that the example's matrices count."""
    for number, bucket in enumerate(EXAMPLE["metrics"]):
        time = START + timedelta(seconds=10 * number)
        for place, count in enumerate(bucket["confusionMatrix"]["values"]):
            actual, predicted = divmod(place, len(CATEGORIES))
            for _ in range(count):
                time += timedelta(milliseconds=7)
                yield time, predicted, actual


@pytest.fixture
def iris(client):
    """The example's model: subscribed, its predictions ingested, its truths fed back."""
    model = {"namespace": "seldon", "pipeline": "iris-model-pipeline", "model": "iris-model"}
    rows = list(example_rows())
    feature = {"categorical": {"name": "class", "categories": CATEGORIES}}
    base = "/metrics-server/api/v1/pipeline/model"
    subscribed = client.post(f"{base}/subscribe", json=IRIS | {"featuresMetadata": [feature]})
    assert subscribed.status_code == 200, subscribed.json
    predictions = [
        model | {"requestId": f"r{i}", "time": time.isoformat(), "label": CATEGORIES[predicted]}
        for i, (time, predicted, _) in enumerate(rows)
    ]
    client.post("/api/v1/predictions", json={"predictions": predictions})
    for i, (_, _, actual) in enumerate(rows):
        truth = {"requestId": f"r{i}", "feedback": {"classificationFeedback": {"value": actual}}}
        answer = client.post(f"{base}/feedback", json=IRIS | truth)
        assert (answer.status_code, answer.json) == (200, {})


def test_all_twelve_buckets_equal_the_example(client, iris):
    answer = client.get(
        "/metrics-server/api/v1/metrics/pipeline/classification", query_string=QUESTION
    )

    assert answer.status_code == 200
    assert answer.json == EXAMPLE
    assert len(answer.json["metrics"]) == 12
    assert '"specificity":0.6666667' in answer.text.replace(" ", "")
