"""A member that is given twice is refused, in every JSON body, however deep it stands."""

import json

import pytest

from tests.api.events_given import ATTRIBUTES, SEED, headers
from tests.api.given import NOTHING, send, verdict

SELDON = "/metrics-server/api/v1/pipeline/model"
EXPORT = "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"
SEED_TEXT = json.dumps(SEED)
MODEL = '"namespace": "", "pipelineName": "", "modelName": "m"'
FEEDBACK = '{"regressionFeedback": {"value": 1, "value": 2}}'
METADATA = '{"inference_ids": ["i"], "field_name": "f", "field_value": "a", "field_value": "b"}'
FOUND = '{"class": "a", "confidence": 0.5}'
REQUEST = '"inference_id": "i", "request": {"model_id": "m/1"}'


def result(response):
    return f'{{"request_time": 1e9, "inference": {{{REQUEST}, "response": [{response}]}}}}'


def report(*results, more=""):
    return f'{{"inference_results": [{", ".join(results)}]{more}}}'


def structured(data):
    attributes = json.dumps(ATTRIBUTES | {"id": "1"})
    return f'{attributes[:-1]}, "data": {data}}}'


TWICE_IN_DATA = SEED_TEXT.replace('{"ndarray"', '{"ndarray": [[1, 0, 0]], "ndarray"', 1)
ENVELOPE, ENVELOPES = "application/cloudevents+json", "application/cloudevents-batch+json"
BODIES = {
    "subscribe": (
        f"{SELDON}/subscribe",
        f'{{{MODEL}, "featuresMetadata": [{{"numeric": {{"name": "a", "name": "b"}}}}]}}',
        "name",
    ),
    "feedback": (
        f"{SELDON}/feedback",
        f'{{{MODEL}, "requestId": "r", "feedback": {FEEDBACK}}}',
        "value",
    ),
    "report": (
        "/inference-stats",
        report(result(""), more=', "api_key": "", "api_key": ""'),
        "api_key",
    ),
    "lists of results": (
        "/inference-stats",
        report(result(f'{{"predictions": [{FOUND}]}}'), more=', "inference_results": []'),
        "inference_results",
    ),
    "a detection": (
        "/inference-stats",
        report(result('{"predictions": [{"class": "a", "class": "b"}]}')),
        "inference_results[0].class",
    ),
    "an ignored member": (
        "/inference-stats",
        report(result(""), result('{"points": [{"x": 1, "y": 2}, {"x": 1, "x": 2}]}')),
        "inference_results[1].x",
    ),
    "metadata": (
        "/{workspace}/inference-stats/metadata",
        f'{{"data": [{METADATA}]}}',
        "data[0].field_value",
    ),
    "export": (
        EXPORT,
        '{"deploymentId": "a", "deploymentId": "b", "metricName": ""}',
        "deploymentId",
    ),
    "scalar": (
        "/api/v1/metrics/single-value/m",
        '{"execution_id": "x", "value": 1, "value": 2}',
        "value",
    ),
    "list": (
        "/api/v1/metrics/list-values/m",
        '{"execution_id": "x", "values": [1], "values": []}',
        "values",
    ),
    "token": (
        "/api/v1/auth/refresh",
        '{"refresh_token": "a", "refresh_token": "b"}',
        "refresh_token",
    ),
    "execution": ("/api/v1/executions/x", '{"pipeline": "a", "pipeline": "b"}', "pipeline"),
    "binary event": ("/", TWICE_IN_DATA, "ndarray"),
    "structured event": ("/", structured(TWICE_IN_DATA), "ndarray"),
    "attribute": ("/", structured(SEED_TEXT).replace("{", '{"id": "2", ', 1), "id"),
    "event of a batch": ("/", f"[{structured(SEED_TEXT)}, {structured(TWICE_IN_DATA)}]", "ndarray"),
    "two data": ("/", structured(f'{SEED_TEXT}, "data": {SEED_TEXT}'), "data"),
}
PUT = ("scalar", "execution")
TYPES = {"attribute": ENVELOPE, "structured event": ENVELOPE, "two data": ENVELOPE}
TYPES |= {"event of a batch": ENVELOPES}


# Parts whose rejection does not affect the others; of two, the valid one is stored.
ALONE = {"a detection": 422, "metadata": 422}
PARTIAL = ("an ignored member", "event of a batch")


def sent(client, workspace, name):
    path, body, _ = BODIES[name]
    return client.open(
        path.format(workspace=workspace.name),
        method="PUT" if name in PUT else "POST",
        data=body,
        content_type=TYPES.get(name, "application/json"),
        headers=headers() if name == "binary event" else {},
    )


@pytest.mark.parametrize("name", [name for name in BODIES if name not in PARTIAL])
def test_every_message(client, stored, workspace, name):
    answer = sent(client, workspace, name)

    assert answer.status_code == ALONE.get(name, 400)
    assert f"{BODIES[name][2]} is given twice" in answer.text
    assert stored() == NOTHING


def test_a_rejected_result_does_not_affect_the_others(client, stored, workspace):
    answer = sent(client, workspace, "an ignored member")

    assert (answer.json["accepted"], answer.json["refused"]) == (1, 1)
    assert stored()["prediction"] == 1


def test_a_rejected_event_does_not_affect_the_others_of_its_batch(client, workspace):
    answer = sent(client, workspace, "event of a batch")

    assert answer.status_code == 200
    assert answer.headers["Truthline-Refused"] == "events=1"


def test_a_list_of_rows_given_twice(client, stored):
    rows = '[{"model": "m", "label": "a"}]'
    for first, last in ((rows, rows), ("1", rows), (rows, "[]")):
        body = f'{{"predictions": {first}, "predictions": {last}}}'
        assert send(client, body).status_code == 400
    assert stored() == NOTHING


TWICE = {
    "label": '{"model": "m", "label": "a", "label": "b"}',
    "model": r'{"model": "m", "\u006dodel": "n", "label": "b"}',
    "cat": '{"model": "m", "scores": {"cat": 0.1, "dog": 0.2, "cat": 0.7}}',
    "label of a detection": '{"model": "m", "detections": [{"label": "a", "label": "b"}]}',
    "time": '{"time"\t:"2026-03-01T10:00:00Z", "model": "m", "value": 1, "time"\n: null}',
}


@pytest.mark.parametrize("lines", [False, True], ids=["JSON", "lines"])
@pytest.mark.parametrize("member", TWICE)
def test_rows_are_named(client, stored, member, lines):
    rows = ['{"model": "m", "label": "a"}', TWICE[member].replace("\n", " " if lines else "\n")]
    body = "\n".join(rows) if lines else f'{{"predictions": [{", ".join(rows)}]}}'
    type_ = "application/x-ndjson" if lines else "application/json"

    answer = send(client, body, content_type=type_)

    assert answer.status_code == 422
    expected = {"index": 1, "field": member.partition(" ")[0], "reason": "is given twice"}
    assert answer.json["errors"] == [expected]
    assert stored() == NOTHING


@pytest.mark.parametrize("label", [r"\":", r"a\" :1,\"label\":2", "{[", '", "'.replace('"', r"\"")])
def test_a_text_may_look_like_a_member(client, label):
    rows = [f'{{"model": "m", "label": "{label}", "version"  : "1"}}'] * 2

    assert verdict(send(client, f'{{"predictions": [{", ".join(rows)}]}}')) == (2, 0, 0)
    lines = "\n".join(rows)
    assert verdict(send(client, lines, content_type="application/x-ndjson")) == (2, 0, 0)


def test_the_same_name_in_two_objects_is_no_repetition(client):
    inner = '{"label": "a", "confidence": 0.5}'
    row = f'{{"model": "m", "detections": [{inner}, {inner}]}}'

    assert verdict(send(client, f'{{"predictions": [{row}, {row}]}}')) == (2, 0, 0)


def test_a_parameter_of_a_form(client):
    form = {"grant_type": "refresh_token", "refresh_token": ["a", "b"]}
    answer = client.post("/auth/realms/h2o/protocol/openid-connect/token", data=form)

    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
