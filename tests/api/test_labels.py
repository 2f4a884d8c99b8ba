"""Labels that are numbers, through every door: equal ones are one label, beside each other."""

import json

import pytest

from tests.api.events_given import NATIVE, RESPONSE, feedback, message
from tests.api.events_given import send as send_event
from tests.api.given import categorical as declared
from tests.api.given import (
    feed_back,
    index,
    matrix,
    ndjson,
    predict,
    prediction,
    send,
    stored_outputs,
    subscribed,
    subscriptions,
    tell,
    truth,
    verdict,
)
from tests.api.roboflow_given import accepted, inference, post

ONE = ("true", "1", "1.0", "1e0", '"1"')
NOUGHT = ("false", "0", "0.0", "-0.0", '"0"')


def as_json(member, *texts):
    """A batch with labels as they are written here."""
    row = prediction(label="?") if member == "predictions" else truth("r", label="?")
    rows = [
        json.dumps(row | {"requestId": str(n)}).replace('"?"', text) for n, text in enumerate(texts)
    ]
    return f'{{"{member}": [{", ".join(rows)}]}}'


@pytest.mark.parametrize("texts", [ONE, NOUGHT])
def test_equal_numbers_are_one_label_of_predictions_and_truths(client, texts):
    told = [*texts[1:], texts[0]]  # each with the spelling of the next
    assert verdict(send(client, as_json("predictions", *texts))) == (len(texts), 0, 0)
    assert verdict(send(client, as_json("feedback", *told), to="feedback")) == (len(texts), 0, 0)

    assert matrix(client) == ([json.loads(texts[-1])], [len(texts)])


def test_also_in_lines(client):
    rows = [prediction(requestId=str(n), label=v) for n, v in enumerate([True, 2, 2.5])]
    truths = [truth(str(n), label=v) for n, v in enumerate([1.0, 2.0, "2.5"])]
    lines = "application/x-ndjson"
    assert verdict(send(client, ndjson(*rows), content_type=lines)) == (3, 0, 0)
    assert verdict(send(client, ndjson(*truths), to="feedback", content_type=lines)) == (3, 0, 0)

    assert matrix(client) == (["1", "2", "2.5"], [1, 0, 0, 0, 1, 0, 0, 0, 1])


def test_detections(client, outputs):
    found = [{"label": label} for label in (1, True, 1.0, "true")]
    verdict(predict(client, prediction(detections=found)))

    assert sorted(output[0] for output in outputs()) == ["1", "1", "1", "true"]


def test_a_truth_is_corrected_only_by_another_label(client):
    verdict(predict(client, prediction(requestId="r", label=1)))
    assert verdict(tell(client, truth("r", label=True))) == (1, 0, 0)
    assert verdict(tell(client, truth("r", label=1.0))) == (0, 1, 0)
    assert verdict(tell(client, truth("r", label="true"))) == (1, 0, 0)


def test_categories(client):
    subscribed(client, declared(False, 1, 2.5, "x"))
    verdict(predict(client, prediction(requestId="r", label=True)))
    assert feed_back(client, "r", index(1)).status_code == 200

    assert subscriptions(client)[0]["featuresMetadata"] == [
        {"categorical": {"name": "output", "categories": ["0", "1", "2.5", "x"]}}
    ]
    assert matrix(client)[1][5] == 1


def test_categories_that_are_equal_numbers_are_not_all_different(client):
    body = declared(1, True) | {"namespace": "", "pipelineName": "", "modelName": "m"}
    answer = client.post("/metrics-server/api/v1/pipeline/model/subscribe", json=body)

    assert answer.status_code == 400
    assert "all different" in answer.json["message"]


def test_roboflows(client, database, workspace):
    one = inference("cards/4", (7, 0.5), (7.0, 0.25))
    flat = {"model_id": "cards/4", "inference_id": "i", "class_name": True, "confidence": 0.125}
    assert accepted(post(client, one, flat)) == (2, 0)

    assert {output[0] for output in stored_outputs(database, workspace.id)} == {"7", "1"}


@pytest.mark.parametrize("told", [[1], [1.0], [True], ["1"], [[1]], [[1.0]]])
@pytest.mark.parametrize("apart", [False, True])
def test_seldon_cores(client, told, apart):
    if apart:
        send_event(client, message([True]), "1", type=RESPONSE)
    answer = send_event(client, feedback(None if apart else [True], told), "2")
    assert answer.status_code == 200, answer.text

    query = client.get("/api/v1/metrics/classification", query_string=NATIVE)
    (bucket,) = query.json["buckets"]
    assert (bucket["accuracy"], bucket["categories"]) == (1, ["CLASS_1"])


@pytest.mark.parametrize("told", [1, 1.0, True])
def test_numbers_among_texts(client, told):
    send_event(client, feedback([["a"], ["1"]], [["a"], [told]]))

    query = client.get("/api/v1/metrics/classification", query_string=NATIVE)
    (bucket,) = query.json["buckets"]
    assert (bucket["accuracy"], bucket["n"]) == (1, 2)
