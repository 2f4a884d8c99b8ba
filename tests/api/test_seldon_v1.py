"""Seldon Core v1's metrics server: the vendor's counting, row by row, and its answers."""

from prometheus_client.parser import text_string_to_metric_families

SEED = {
    "response": {
        "data": {"ndarray": [[0.0006985194531162841, 0.003668039039435755, 0.9956334415074478]]}
    },
    "truth": {"data": {"ndarray": [[0, 0, 1]]}},
}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-type": "io.seldon.serving.feedback",
    "ce-source": "http://localhost:8000/",
    "ce-time": "2026-03-01T10:00:00Z",
    "ce-requestid": "r1",
    "ce-modelid": "classifier",
    "ce-inferenceservicename": "multiclass-model",
    "ce-namespace": "default",
    "ce-endpoint": "default",
}


def event(id_="1", **attributes):
    """Headers of an event."""
    return HEADERS | {"ce-id": id_} | {f"ce-{name}": value for name, value in attributes.items()}


def send(client, body=SEED, headers=None, **more):
    return client.post("/", json=body, headers=event() if headers is None else headers, **more)


def counted(client, *labels, **headers):
    """Counters by (name, labels)."""
    text = client.get("/v1/metrics", headers=headers)
    assert text.status_code == 200, text.text
    return {
        (sample.name, *(sample.labels.get(label) for label in labels)): sample.value
        for family in text_string_to_metric_families(text.text)
        for sample in family.samples
    }


def test_the_feedback_of_the_walk_through(client):
    answer = send(client)

    assert answer.status_code == 200, answer.text
    assert answer.json == {}
    assert answer.headers["Ce-Id"] == "1"
    assert answer.headers["Ce-Type"] == "io.seldon.serving.feedback.metrics"
    assert answer.headers["Ce-Source"] == "io.seldon.serving.feedback"
    assert answer.headers["Ce-Requestid"] == "r1"
    assert counted(client, "class") == {
        ("seldon_metric_true_positive_total", "CLASS_2"): 1,
        ("seldon_metric_true_negative_total", "CLASS_2"): 1,
    }


def test_twice_delivered_counts_once(client):
    for _ in range(3):
        assert send(client).status_code == 200
    assert set(counted(client).values()) == {1}
