"""The published example of Seldon's page, value by value, asked for as that page does."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from app.config import Settings
from app.factory import create_app
from tests.api.live import serving

EXAMPLE = json.loads((Path(__file__).parent / "example.json").read_text())
IRIS = {"namespace": "seldon", "pipelineName": "iris-model-pipeline", "modelName": "iris-model"}
CATEGORIES = ["Setosa", "Versicolor", "Virginica"]
START = datetime.fromisoformat("2025-02-25T11:51:22Z")


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
def base(fresh_database_url):
    """URL of a server that requires no key, as on the page."""
    app = create_app(Settings(database_url=fresh_database_url, auth=False))
    with serving(app) as url:
        yield url
    app.extensions["database"].dispose()


def post(url, body):
    answer = requests.post(url, json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def iris(base):
    """The example's model: subscribed, its predictions ingested, its truths fed back."""
    model = {"namespace": "seldon", "pipeline": "iris-model-pipeline", "model": "iris-model"}
    rows = list(example_rows())
    feature = {"categorical": {"name": "class", "categories": CATEGORIES}}
    seldon = f"{base}/metrics-server/api/v1/pipeline/model"
    post(f"{seldon}/subscribe", IRIS | {"featuresMetadata": [feature]})
    predictions = [
        model | {"requestId": f"r{i}", "time": time.isoformat(), "label": CATEGORIES[predicted]}
        for i, (time, predicted, _) in enumerate(rows)
    ]
    post(f"{base}/api/v1/predictions", {"predictions": predictions})
    for i, (_, _, actual) in enumerate(rows):
        truth = {"requestId": f"r{i}", "feedback": {"classificationFeedback": {"value": actual}}}
        assert post(f"{seldon}/feedback", IRIS | truth) == {}


def test_all_twelve_buckets_equal_the_example(base, iris):
    url = f"{base}/metrics-server/api/v1/metrics/pipeline/classification"
    params = {
        "namespace": "seldon",
        "pipelineName": "iris-model-pipeline",
        "modelName": "iris-model",
        "startTime": "2025-02-25T11:51:22Z",
        "endTime": "2025-02-25T11:53:22Z",
        "interval": "10s",
    }

    response = requests.get(url, params=params, timeout=10)

    assert response.json() == EXAMPLE
    assert len(EXAMPLE["metrics"]) == 12
    # as text, too: shortest decimals of 32-bit floats, and no 1.0 for 1
    assert json.loads(response.text, parse_float=str) == json.loads(
        json.dumps(EXAMPLE), parse_float=str
    )
