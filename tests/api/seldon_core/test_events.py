"""Events in every mode and of every type, and what they store in addition to counters."""

import itertools
import json
import re
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v03.event import CloudEvent as OldCloudEvent
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import text

from app.rollup.refresh import refresh
from tests.api.events_given import (
    NATIVE,
    REQUEST,
    RESPONSE,
    SEED,
    attributes,
    configured,
    counted,
    feedback,
    message,
    samples,
    send,
)
from tests.api.given import keyed_client, predict, verdict

_LONG_AGO = text("""
    UPDATE prediction SET received_at = received_at - INTERVAL '6 minutes'
    WHERE series_id IN (SELECT series.id FROM series JOIN model ON model.id = series.model_id
                        WHERE workspace_id = :id)
""")
RIGHT = {"true_positive": {"CLASS_2": 1}, "true_negative": {"CLASS_2": 1}}
ANSWER = message([[0.1, 0.2, 0.7]])
NOON, LATER = "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.250Z"


def post(client, sent):
    return client.post("/", data=sent.body, headers=sent.headers)


def event(data=SEED, id_="1", kind=CloudEvent, **given):
    """An event as the published library makes it."""
    every = attributes(id_, **given)
    every["time"] = datetime(2026, 3, 1, 10, tzinfo=UTC)
    every["datacontenttype"] = "application/json"
    return kind(every, data)


# --- modes and versions ---------------------------------------------------------------------


@pytest.mark.parametrize("write", [http.to_binary_event, http.to_structured_event])
@pytest.mark.parametrize(("kind", "version"), [(CloudEvent, "1.0"), (OldCloudEvent, "0.3")])
def test_what_the_published_library_sends_is_understood_and_answered_in_kind(
    client, write, kind, version
):
    answer = post(client, write(event(kind=kind, specversion=version)))

    assert answer.status_code == 200, answer.text
    assert counted(client) == RIGHT
    reply = http.from_http_event(http.HTTPMessage(dict(answer.headers), answer.data))
    assert (reply.get_id(), reply.get_specversion()) == ("1", version)
    assert (reply.get_type(), reply.get_data()) == ("io.seldon.serving.feedback.metrics", {})
    assert reply.get_extension("requestid") == "r1"


@pytest.mark.parametrize("kind", [CloudEvent, OldCloudEvent])
def test_data_packed_as_base64(client, kind):
    version = "1.0" if kind is CloudEvent else "0.3"
    packed = event(json.dumps(SEED).encode(), kind=kind, specversion=version)

    assert post(client, http.to_structured_event(packed)).status_code == 200
    assert counted(client) == RIGHT


def batch(client, *events):
    texts = [JSONFormat().write(one).decode() for one in events]
    body = f"[{','.join(texts)}]"
    return client.post("/", data=body, content_type="application/cloudevents-batch+json")


def test_a_batch_is_answered_with_a_batch(client):
    other = event(feedback([[0.9, 0.1]], [[0, 1]]), "2", requestid="r2")
    answer = batch(client, event(), other, event(), event(ANSWER, "3", type=RESPONSE))

    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/cloudevents-batch+json"
    assert [reply["id"] for reply in answer.json] == ["1", "2", "1"]
    assert counted(client) == RIGHT | {
        "false_negative": {"CLASS_1": 1},
        "false_positive": {"CLASS_0": 1},
    }


def test_an_empty_batch_changes_nothing(client):
    assert batch(client).status_code == 204


def ignored(client):
    found = re.search(
        r'truthline_events_total\{verdict="ignored"\} (\S+)', client.get("/metrics").text
    )
    return float(found[1]) if found else 0


def test_an_unused_type_is_counted_and_changes_nothing(client, stored):
    before = ignored(client)
    answer = send(client, {"whatever": 1}, type="com.example.other")

    assert (answer.status_code, answer.data) == (204, b"")
    assert ignored(client) == before + 1
    assert counted(client) == {}
    assert set(stored().values()) == {0}


# --- predictions, truths and bucketed metrics -----------------------------------------------


def native(client, kind="classification", **query):
    answer = client.get(f"/api/v1/metrics/{kind}", query_string=NATIVE | query)
    assert answer.status_code == 200, answer.text
    (bucket,) = answer.json["buckets"]
    return bucket


def test_a_feedback_is_an_outcome_too(client):
    send(client, feedback([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [[1, 0], [0, 1], [0, 1]]))
    bucket = native(client)

    assert (bucket["n"], bucket["predictions"], bucket["accuracy"]) == (3, 3, 2 / 3)
    assert bucket["categories"] == ["CLASS_0", "CLASS_1"]
    assert bucket["confusionMatrix"] == [[1, 0], [1, 1]]
    assert counted(client)["true_positive"] == {"CLASS_0": 1}  # the vendor's: the first row alone


def test_seldons_newer_metrics_know_it_as_well(client):
    send(client)
    query = {"namespace": "default", "pipelineName": "multiclass-model", "modelName": "classifier"}
    query |= {name: NATIVE[name] for name in ("startTime", "endTime")}
    path = "/metrics-server/api/v1/metrics/pipeline/classification"
    (bucket,) = client.get(path, query_string=query).json["metrics"]

    assert bucket["accuracy"] == 1
    assert bucket["confusionMatrix"]["categories"] == ["CLASS_2"]


def test_equal_labels_are_one_class_however_they_are_spelled(client):
    send(client, feedback([7], [7.0]))

    assert native(client)["categories"] == ["CLASS_7"]
    assert native(client)["accuracy"] == 1


OIP = {
    "model_name": "iris",
    "id": "r1",
    "outputs": [
        {"name": "predict_proba", "shape": [1, 3], "datatype": "FP64", "data": [0.1, 0.2, 0.7]}
    ],
}
NESTED = OIP | {"outputs": [OIP["outputs"][0] | {"data": [[0.1, 0.2, 0.7]]}]}
LABELS = OIP | {"outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [2]}]}


@pytest.mark.parametrize("payload", [ANSWER, OIP, NESTED, LABELS])
def test_a_response_is_a_prediction_and_is_joined_by_its_request(client, outputs, payload):
    assert send(client, payload, "1", type=RESPONSE).status_code == 204
    assert [output[0] for output in outputs()] == ["CLASS_2"]

    truth = [[0, 0, 1]] if payload is not LABELS else [2]
    assert send(client, feedback(None, truth), "2").status_code == 200
    assert counted(client) == RIGHT
    assert native(client)["accuracy"] == 1


def test_a_truth_that_comes_before_its_response_is_counted_when_that_comes(client):
    assert send(client, feedback(None, [[0, 0, 1]]), "1").status_code == 200
    assert counted(client) == {}

    assert send(client, ANSWER, "2", type=RESPONSE).status_code == 204
    assert counted(client) == RIGHT
    assert native(client)["accuracy"] == 1


def test_a_truth_finds_a_prediction_that_came_another_way(client):
    row = {name: NATIVE[name] for name in ("namespace", "pipeline", "model")}
    row |= {"requestId": "r1", "label": "CLASS_1", "time": NOON}
    assert verdict(predict(client, row)) == (1, 0, 0)

    send(client, feedback(None, [[0, 0, 1]]))
    assert counted(client) == {"false_negative": {"CLASS_2": 1}, "false_positive": {"CLASS_1": 1}}


def test_the_answer_in_a_feedback_is_the_prediction_that_is_known_already(client):
    send(client, ANSWER, "1", type=RESPONSE, time=NOON)
    send(client, SEED, "2")

    bucket = native(client)
    assert (bucket["n"], bucket["predictions"]) == (1, 1)


def test_a_failed_request_is_one(client, outputs):
    failure = {"status": {"code": 500, "info": "no", "status": "FAILURE"}}
    assert send(client, failure, type=RESPONSE).status_code == 204

    assert outputs() == [(None, None, None, True, True, True)]


def test_a_regressors_values_are_not_counted_but_measured(app, database, workspace, tmp_path):
    server = {"name": "multiclass-model", "storage_uri": "Regression"}
    client = keyed_client(configured(app, database, tmp_path, server), workspace.admin_key)
    send(client, message([[2.5]]), "1", type=RESPONSE)
    send(client, feedback(None, [[3.0]]), "2")
    send(client, feedback([[1.0]], [[3.0]]), "3", requestid="r2")

    assert counted(client) == {}
    assert native(client, "regression")["meanAbsoluteError"] == (0.5 + 2) / 2


def test_responses_of_mlserver(client, outputs):
    """Version 0.3, and no time."""
    said = attributes("r1", specversion="0.3", type=RESPONSE, time=None, endpoint="iris")
    said |= {"source": "io.seldon.serving.deployment.mlserver.models", "modelid": "iris"}
    headers = {f"Ce-{name.capitalize()}": value for name, value in said.items()}

    assert client.post("/", json=OIP, headers=headers).status_code == 204
    assert [output[0] for output in outputs()] == ["CLASS_2"]


# --- latency --------------------------------------------------------------------------------


def pair(id_="r1", requested=NOON, responded=LATER, **given):
    """Both events of an inference, as arguments of `send`."""
    request = ({"data": {"ndarray": [[1, 2]]}}, f"{id_}-q", {"type": REQUEST, "time": requested})
    response = (ANSWER, f"{id_}-a", {"type": RESPONSE, "time": responded})
    return [
        (body, event_id, more | {"requestid": id_} | given)
        for body, event_id, more in (request, response)
    ]


def latencies(client):
    """Inferences, and how many seconds one took on average."""
    query = {name: NATIVE[name] for name in ("startTime", "endTime")}
    found = client.get("/api/v1/inference-stats", query_string=query).json
    return found["totals"]["inferences"]["now"], found["totals"]["latencySeconds"]["now"]


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
def test_the_pair_has_a_latency_in_any_order(client, order):
    events = pair()
    for place in order:
        body, id_, given = events[place]
        assert send(client, body, id_, **given).status_code == 204

    assert latencies(client) == (1, 0.25)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_also_where_the_feedback_brings_the_answer_along(client, order):
    events = [*pair(), (SEED, "f", {"time": NOON})]
    for place in order:
        body, id_, given = events[place]
        assert send(client, body, id_, **given).status_code in (200, 204)

    assert latencies(client) == (1, 0.25)
    assert counted(client) == RIGHT


@pytest.mark.parametrize("reverse", [False, True])
def test_both_halves_in_one_batch(client, reverse):
    pairs = [*pair("r1"), *pair("r2", responded="2026-03-01T12:00:00.750Z")]
    events = [event(body, id_, **given) for body, id_, given in pairs]
    for one, (_, _, given) in zip(events, pairs, strict=True):
        one.get_attributes()["time"] = datetime.fromisoformat(given["time"])
    assert batch(client, *(events[::-1] if reverse else events)).status_code == 204

    assert latencies(client) == (2, 0.5)


@pytest.mark.parametrize("given", [{"requestid": None}, {"time": None}])
def test_without_an_id_or_a_time_there_is_no_pair(client, given):
    for body, id_, more in pair():
        send(client, body, id_, **(more | given))

    assert [n for name, n in samples(client).items()] == []
    if given == {"requestid": None}:
        assert latencies(client) == (1, None)


def test_a_response_before_its_request_has_no_latency(client):
    for body, id_, given in pair(requested=LATER, responded=NOON):
        send(client, body, id_, **given)

    assert latencies(client) == (1, None)


def test_requests_of_other_nodes_of_a_graph_are_other_requests(client):
    (request, id_, given), _ = pair(requested="2026-03-01T11:00:00Z", modelid="transformer")
    send(client, request, f"{id_}-other", **given)
    for body, id_, given in pair():
        send(client, body, id_, **given)

    assert latencies(client) == (1, 0.25)


def test_a_latency_that_comes_late_is_in_every_level(database, client):
    """Also where a level has been refreshed in between."""
    request, response = pair()
    for body, id_, given in (response, request):
        send(client, body, id_, **given)
        refresh(database)

    assert latencies(client) == (1, 0.25)


def test_a_request_that_comes_much_later_is_too_late(database, workspace, client):
    """What an earlier moment is answered with doesn't change any more."""
    request, response = pair()
    send(client, response[0], response[1], **response[2])
    with database.writing() as conn:
        conn.execute(_LONG_AGO, {"id": workspace.id})
    send(client, request[0], request[1], **request[2])

    assert latencies(client) == (1, None)
