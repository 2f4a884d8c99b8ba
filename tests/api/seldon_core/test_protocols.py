"""Answers and truths in each protocol of Seldon's servers, as its own programs write them.

`tensors_of_clients.json` was made by mlserver 1.7.1 (`NumpyCodec`, `StringCodec` and `Base64Codec`,
`encode_output`) and tritonclient 2.73 (`InferInput.set_data_from_numpy` with `binary_data=False`).
"""

import json
from pathlib import Path

import pytest

from tests.api.events_given import (
    NATIVE,
    REQUEST,
    RESPONSE,
    counted,
    feedback,
    headers,
    message,
    send,
)
from tests.api.given import predict, prediction, verdict

PUBLISHED = json.loads((Path(__file__).parent / "tensors_of_clients.json").read_text())
DAY = {name: NATIVE[name] for name in ("startTime", "endTime")}


def classes(outputs):
    return [output[0] for output in outputs()]


def bucket(client):
    answer = client.get("/api/v1/metrics/classification", query_string=NATIVE)
    (only,) = answer.json["buckets"]
    return only


# --- Open Inference Protocol --------------------------------------------------------------


@pytest.mark.parametrize("tensor", PUBLISHED, ids=[tensor["what"] for tensor in PUBLISHED])
def test_a_tensor_of_a_published_program(client, outputs, tensor):
    response = tensor["message"]
    if "inputs" in response:  # Triton's server answers as its client asks
        response = {"outputs": response["inputs"]}
    assert send(client, response, "1", type=RESPONSE).status_code == 204
    assert send(client, {"truth": tensor["message"]}, "2").status_code == 200

    assert classes(outputs) == tensor["classes"]
    assert (bucket(client)["n"], bucket(client)["accuracy"]) == (2, 1)


def test_a_feedback_with_both(client):
    outputs = [{"name": "o", "shape": [2, 2], "datatype": "FP32", "data": [0.9, 0.1, 0.2, 0.8]}]
    truths = [{"name": "o", "shape": [2], "datatype": "INT64", "data": [0, 0]}]
    body = {"request": {"inputs": outputs}, "response": {"outputs": outputs}}
    assert send(client, body | {"truth": {"outputs": truths}}, protocol="v2").status_code == 200

    assert bucket(client)["confusionMatrix"] == [[1, 1], [0, 0]]
    assert counted(client)["true_positive"] == {"CLASS_0": 1}


def test_values_after_the_json_are_refused_in_words(client):
    body = json.dumps({"outputs": [{"parameters": {"binary_data_size": 4}}]}).encode() + b"\0\0\0\1"
    answer = client.post(
        "/", data=body, headers=headers(type=RESPONSE), content_type="application/json"
    )

    assert answer.status_code == 400
    assert (
        "values in binary form do not come with an event; ask the server" in answer.json["detail"]
    )


# --- tensorflow's protocol ----------------------------------------------------------------

# Answers of TensorFlow Serving, by rows and by columns, with one output or several.
SERVING = {
    "rows": {"predictions": [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]},
    "labels": {"predictions": [2, 0]},
    "texts": {"predictions": [{"b64": "Mg=="}, {"b64": "MA=="}]},
    "rows with named outputs": {
        "predictions": [
            {"scores": [0.1, 0.2, 0.7], "the_scores_are": "first by name"},
            {"the_scores_are": "first by name", "scores": [0.8, 0.1, 0.1]},
        ]
    },
    "columns": {"outputs": [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]},
    "named columns": {"outputs": {"probabilities": [[0, 1], [0, 1]], "classes": [["2"], ["0"]]}},
    "named bytes": {"outputs": {"classes_bytes": [{"b64": "Mg=="}, {"b64": "MA=="}]}},
}


@pytest.mark.parametrize("form", SERVING)
def test_an_answer_of_tensorflow_serving(client, outputs, form):
    instances = {"signature_name": "serving_default", "instances": [[5.1, 3.5], [4.9, 3.0]]}
    assert send(client, instances, "0", type=REQUEST, protocol="tensorflow").status_code == 204
    sent = send(client, SERVING[form], "1", type=RESPONSE, protocol="tensorflow")
    assert sent.status_code == 204, sent.text
    assert classes(outputs) == ["CLASS_2", "CLASS_0"]

    truth = {"truth": {"instances" if form == "rows" else "predictions": [2, 2]}}
    assert send(client, truth, "2", protocol="tensorflow").status_code == 200
    assert (bucket(client)["n"], bucket(client)["accuracy"]) == (2, 0.5)


@pytest.mark.parametrize("form", SERVING)
def test_the_same_within_a_feedback(client, form):
    body = {
        "request": {"instances": [[[[0]]]]},
        "response": SERVING[form],
        "truth": SERVING["rows"],
    }
    assert send(client, body).status_code == 200

    assert (bucket(client)["n"], bucket(client)["accuracy"]) == (2, 1)
    assert counted(client)["true_positive"].keys() <= {"CLASS_2", "CLASS_[2]", "CLASS_['2']"}


def test_a_failure_of_tensorflow_serving(client, outputs):
    assert send(client, {"error": "Could not parse"}, type=RESPONSE).status_code == 204

    assert outputs() == [(None, None, None, True, True, True)]


# --- answers that contain no array ----------------------------------------------------------

UNREAD = [{"strData": "kept"}, {"jsonData": {"label": "kept"}}, {"binData": "a2VwdA=="}]
UNREAD += [{"jsonData": 0}, {"strData": ""}, {"customData": {"@type": "t"}}]


def inferences(client):
    totals = client.get("/api/v1/inference-stats", query_string=DAY).json["totals"]
    return totals["inferences"]["now"], totals["errors"]["now"], totals["latencySeconds"]["now"]


@pytest.mark.parametrize("payload", UNREAD, ids=str)
def test_an_answer_in_another_form_is_counted(client, outputs, payload):
    sent = {"type": RESPONSE, "time": "2026-03-01T12:00:00.250Z"}
    assert send(client, payload, "1", **sent).status_code == 204
    assert send(client, payload, "1", **sent).status_code == 204  # delivered again
    assert send(client, payload, "2", **sent).status_code == 204  # sent again
    request = {"type": REQUEST, "time": "2026-03-01T12:00:00Z"}
    assert send(client, payload, "3", **request).status_code == 204

    assert [output[:3] for output in outputs()] == [(None, None, None)]
    assert inferences(client) == (1, 0, 0.25)
    (model,) = client.get("/api/v1/models", query_string=DAY).json["models"]
    assert (model["kind"], model["inferences"], model["errors"]) == (None, 1, 0)


def test_what_was_answered_in_another_form_can_still_be_labelled(client):
    send(client, {"strData": "kept"}, "1", type=RESPONSE)
    send(client, feedback(None, [["kept"]]), "2")
    row = {name: NATIVE[name] for name in ("namespace", "pipeline", "model")}
    row |= {"requestId": "r1", "label": "CLASS_kept", "time": "2026-03-01T12:00:00Z"}
    assert verdict(predict(client, row)) == (1, 0, 0)

    assert (bucket(client)["n"], bucket(client)["accuracy"]) == (1, 1)


def test_a_model_of_any_kind_may_answer_in_another_form(client):
    row = {name: NATIVE[name] for name in ("namespace", "pipeline", "model")}
    verdict(predict(client, prediction(**row, value=1)))

    assert send(client, {"strData": "1"}, type=RESPONSE).status_code == 204


def test_a_native_prediction_must_still_have_an_output(client):
    answer = predict(client, {"model": "m"})

    assert answer.status_code == 422
    assert "has no output" in answer.json["errors"][0]["reason"]


def test_a_request_may_be_of_any_depth(client):
    deep = message([[[[0.5]]]])
    assert send(client, feedback([[0, 1]], [[0, 1]]) | {"request": deep}).status_code == 200
    assert counted(client)["true_positive"] == {"CLASS_1": 1}
