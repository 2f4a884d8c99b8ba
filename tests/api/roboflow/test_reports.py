"""What senders report: every shape they have, known again, and nothing half stored."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest

from app.api.roboflow.routes import HEAD_BYTES
from tests.api.given import NOTHING, keyed_client
from tests.api.roboflow_given import accepted, ask, inference, post, report, stats

CARD = ("card", 0.9)


def rows(client, workspace, *members, **parameters):
    """Members of the rows of stats."""
    found = stats(client, workspace, **parameters)["inference_stats"]
    return [tuple(row[name] for name in members) for row in found]


# --- keys -----------------------------------------------------------------------------------


@pytest.fixture
def stranger(app):
    """A client that sends no key of its own accord."""
    return app.test_client()


def test_the_key_may_stand_in_the_body(stranger, workspace):
    one = inference("cards/4", CARD)
    assert accepted(post(stranger, one, api_key=workspace.ingest_key)) == (1, 0)

    by_request = inference("cards/4", CARD)
    by_request["inference"]["request"]["api_key"] = workspace.ingest_key
    for top in (None, ""):
        assert post(stranger, by_request, api_key=top).status_code == 200
    path = f"/inference-stats?api_key={workspace.ingest_key}"
    assert accepted(post(stranger, one, to=path)) == (0, 1)


def test_requests_with_several_keys_are_refused(stranger, workspace, neighbour_key, stored):
    both = [inference("cards/4", CARD) for _ in range(2)]
    for one, key in zip(both, (workspace.ingest_key, neighbour_key), strict=True):
        one["inference"]["request"]["api_key"] = key

    assert post(stranger, *both).status_code == 401
    assert stored() == NOTHING


def sent(client, said, *, packed=False, **query):
    """Post a report as it stands, its members in their order."""
    body = json.dumps(said).encode()
    return client.post(
        "/inference-stats",
        data=gzip.compress(body) if packed else body,
        content_type="application/json",
        headers={"Content-Encoding": "gzip"} if packed else {},
        query_string=query,
    )


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_nothing_large_is_read_before_a_key_is_found(stranger, workspace, stored, packed):
    large = report(*(inference("cards/4", CARD, id_=f"i{n}") for n in range(500)))
    assert len(json.dumps(large)) > 2 * HEAD_BYTES
    keyless = {name: value for name, value in large.items() if name != "api_key"}
    key = workspace.ingest_key

    for late in (keyless, keyless | {"api_key": key}, {"api_key": "tl_unknown"} | keyless):
        assert sent(stranger, late, packed=packed).status_code == 401
    read_only = {"api_key": workspace.read_key} | keyless
    assert sent(stranger, read_only, packed=packed).status_code == 403
    assert stored() == NOTHING

    assert accepted(sent(stranger, {"api_key": key} | keyless, packed=packed)) == (500, 0)
    assert accepted(sent(stranger, keyless, packed=packed, api_key=key)) == (0, 500)
    for one in large["inference_results"]:
        one["inference"]["request"]["api_key"] = key
    assert accepted(sent(stranger, large, packed=packed)) == (0, 500)


def test_the_key_names_its_workspace(client, stranger, workspace):
    answer = stranger.get("/", query_string={"api_key": workspace.read_key, "nocache": "true"})
    assert (answer.status_code, answer.json) == (200, {"workspace": workspace.name})

    refused = stranger.get("/?api_key=unknown")
    assert refused.status_code == 401
    assert refused.json["error"]["type"] == "OAuthException"
    assert stranger.get("/").content_type.startswith("text/html")


def test_another_workspace_is_answered_as_one_that_is_not_there(
    client, workspace, neighbour, stored
):
    theirs = [
        ask(neighbour, workspace),
        post(neighbour, inference("a/1", CARD), to=f"/{workspace.name}/inference-stats"),
        neighbour.post(f"/{workspace.name}/inference-stats/metadata", json={"data": []}),
    ]
    nobodys = [
        client.get("/no-such/inference-stats"),
        post(client, inference("a/1", CARD), to="/no%00such/inference-stats"),
        client.post("/no-such/inference-stats/metadata", json={"data": []}),
    ]
    assert {answer.status_code for answer in theirs + nobodys} == {401}
    assert len({answer.data for answer in theirs + nobodys}) == 1
    assert stored() == NOTHING


# --- shapes ---------------------------------------------------------------------------------


def test_several_images_are_one_inference(client, workspace):
    one = inference("cards/4")
    one["inference"]["response"] = [
        {"predictions": [{"class": "a", "confidence": 0.5}], "time": 0.1},
        {"predictions": [{"class": "a", "confidence": 1}, {"class": "b"}], "time": 0.3},
    ]
    assert accepted(post(client, one)) == (1, 0)
    assert rows(client, workspace, "predicted_class", "num_inferences", "class_count") == [
        ("a", 1, 2),
        ("b", 1, 1),
    ]
    assert rows(client, workspace, "avg_response_time", "avg_confidence") == [
        (0.3, 0.75),
        (0.3, None),
    ]


def test_nothing_found_is_a_row_without_class(client, workspace):
    lone = inference("cards/4")
    none_left = inference("cards/4")
    none_left["inference"]["response"] = [{"predictions": [], "time": 0.2}]
    null = inference("cards")
    null["inference"]["response"] = None
    assert accepted(post(client, lone, none_left, null)) == (3, 0)

    names = ("predicted_class", "class_count", "avg_confidence", "avg_response_time")
    assert rows(client, workspace, *names) == [("", 3, 0, 0)]


def test_whole_answers_are_accepted_and_unknown_members_ignored(client, workspace):
    one = inference("cards/4", unknown={"a": [1]})
    one["inference"]["response"] = {  # a single image's, cached as it is
        "visualization": None,
        "time": 0.25,
        "image": {"width": 1, "height": 2},
        "predictions": [
            {
                "class": "a",
                "confidence": 0.5,
                "x": 1,
                "y": 2,
                "width": 3,
                "height": 4,
                "class_id": 0,
            }
        ],
    }
    labels = inference("tags/1")
    labels["inference"]["response"] = [
        {
            "predictions": {"a": {"confidence": 0.25, "class_id": 1}, "b": {"confidence": 0.5}},
            "predicted_classes": ["b"],
            "time": 0.25,
        }
    ]
    assert accepted(post(client, one, labels, more="x")) == (2, 0)
    assert rows(client, workspace, "model_name", "predicted_class", "avg_confidence") == [
        ("cards", "a", 0.5),
        ("tags", "a", 0.25),
        ("tags", "b", 0.5),
    ]


def test_a_heartbeat_is_taken(client, stored):
    assert accepted(post(client)) == (0, 0)
    assert client.post("/inference-stats", json={"inference_results": []}).status_code == 200
    assert stored() == NOTHING


def test_results_of_workflows(client, workspace, stored):
    flat = {"model_type": "object-detection", "inference_id": "i", "model_id": "cards/4"}
    block = {
        "timestamp": "2025-03-02T12:00:00",
        "source": "workflow",
        "source_info": "ModelMonitoringInferenceAggregatorBlockV1",
        "inference_server_version": "0.64.8",
        "inference_results": [
            flat | {"class_name": "a", "confidence": 0.5},
            flat | {"class_name": "b", "confidence": 0.75},
            flat | {"class_name": "a", "confidence": 1, "inference_id": "j"},
        ],
    }
    path = f"/{workspace.name}/inference-stats"
    assert accepted(client.post(path, json=block)) == (2, 0)
    assert accepted(client.post(path, json=block)) == (0, 2)

    now = {"startTime": "", "endTime": "2199-01-01 00:00:00"}  # they count when they arrive
    assert rows(client, workspace, "predicted_class", "num_inferences", **now) == [
        ("a", 2),
        ("b", 1),
    ]


# --- known again ----------------------------------------------------------------------------


def test_posts_that_overlap_count_once(client, workspace):
    results = [inference("cards/4", CARD, CARD) for _ in range(5)]
    assert accepted(post(client, *results[:3])) == (3, 0)
    assert accepted(post(client, *results[1:])) == (2, 2)
    assert accepted(post(client, results[4], results[4])) == (0, 2)
    assert rows(client, workspace, "num_inferences", "class_count") == [(5, 10)]


def test_posts_that_overlap_and_race_count_once(app, client, workspace):
    results = [inference("cards/4", CARD, ("b", 0.5)) for _ in range(40)]

    def send(start):
        window = (results + results)[start : start + 25]
        return accepted(post(keyed_client(app, workspace.ingest_key), *window))

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(send, range(0, 40, 3)))
    assert sum(taken for taken, _ in verdicts) == 40
    assert all(taken + known == 25 for taken, known in verdicts)
    assert rows(client, workspace, "predicted_class", "num_inferences", "class_count") == [
        ("b", 40, 40),
        ("card", 40, 40),
    ]


# --- metadata -------------------------------------------------------------------------------


def tag(client, workspace, field, value, *ids):
    data = [{"inference_ids": ids, "field_name": field, "field_value": value}]
    return client.post(f"/{workspace.name}/inference-stats/metadata", json={"data": data})


def test_metadata_filters_the_stats(client, workspace):
    for id_, label, confidence in (("i", "a", 0.5), ("j", "a", 1), ("k", "b", 0.25)):
        post(client, inference("cards/4", (label, confidence), id_=id_))
    for field, value, *ids in (
        ("camera", "north", "i", "k", "never-made"),
        ("camera", "south", "j"),
        ("shift", "north", "j"),
        ("camera", "north", "j"),
        ("camera", "south", "k"),
    ):
        answer = tag(client, workspace, field, value, *ids)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})

    north = stats(client, workspace, fieldName="camera", fieldValue="north")
    assert (north["num_inferences"], north["avg_confidence"]) == (2, 0.75)
    (row,) = north["inference_stats"]
    assert (row["predicted_class"], row["median_confidence"], row["class_count"]) == ("a", 0.75, 2)
    east = stats(client, workspace, fieldName="camera", fieldValue="east")
    assert (east["num_inferences"], east["inference_stats"]) == (0, [])


def test_a_neighbours_metadata_is_not_ours(client, workspace, neighbour, neighbour_name):
    post(client, inference("cards/4", CARD, id_="shared"))
    path = f"/{neighbour_name}/inference-stats/metadata"
    data = [{"inference_ids": ["shared"], "field_name": "f", "field_value": "v"}]
    assert neighbour.post(path, json={"data": data}).status_code == 200

    assert stats(client, workspace, fieldName="f", fieldValue="v")["num_inferences"] == 0


@pytest.fixture
def neighbour_name(workspace):
    return f"{workspace.name}-neighbour"


# --- bad input ------------------------------------------------------------------------------


def spoiled(*path, value):
    """A result with one member replaced, or taken away where the value is None."""
    result = deepcopy(inference("cards/4", CARD))
    *outer, last = path
    part = result
    for step in outer:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return result


FOUND = ("inference", "response", 0, "predictions", 0)
FLAT = {"model_id": "a/1", "inference_id": "i", "class_name": "a", "confidence": 0.5}
GAZE = {  # direction of a person's gaze: no class, so it is not stored
    "predictions": [
        {"face": {"class": "face", "confidence": 0.9, "x": 1.0}, "yaw": 0.1, "pitch": -0.2}
    ],
    "time": 0.2,
    "time_face_det": 0.1,
    "time_gaze_det": 0.1,
}
BAD_RESULTS = {
    "empty": {},
    "a number": 7,
    "null": None,
    "no time": spoiled("request_time", value=None),
    "time as text": spoiled("request_time", value="1740873600"),
    "time out of range": spoiled("request_time", value=1e300),
    "time in the future": spoiled("request_time", value=32503680000),
    "time before 1970": spoiled("request_time", value=-1e9),
    "no id": spoiled("inference", "inference_id", value=None),
    "empty id": spoiled("inference", "inference_id", value=""),
    "long id": spoiled("inference", "inference_id", value="x" * 201),
    "no request": spoiled("inference", "request", value=None),
    "no model": spoiled("inference", "request", "model_id", value=None),
    "empty model": spoiled("inference", "request", "model_id", value="/4"),
    "NUL in the model": spoiled("inference", "request", "model_id", value="a\0b"),
    "response as text": spoiled("inference", "response", value="none"),
    "seconds as text": spoiled("inference", "response", 0, "time", value="0.1"),
    "negative seconds": spoiled("inference", "response", 0, "time", value=-1),
    "no class": spoiled(*FOUND, "class", value=None),
    "empty class": spoiled(*FOUND, "class", value=""),
    "confidence as text": spoiled(*FOUND, "confidence", value="0.9"),
    "confidence above 1": spoiled(*FOUND, "confidence", value=1.5),
    "long class": spoiled(*FOUND, "class", value="x" * 201),
    "NUL in the class": spoiled(*FOUND, "class", value="a\0b"),
    "gaze": spoiled("inference", "response", 0, value=GAZE),
    "flat without class": {"model_id": "a/1", "inference_id": "i", "confidence": 0.5},
    "flat without id": {"model_id": "a/1", "class_name": "a", "confidence": 0.5},
    "flat with an empty class": FLAT | {"class_name": ""},
    "flat with NUL in the class": FLAT | {"class_name": "a\0b"},
    "flat with NUL in the model": FLAT | {"model_id": "a\0b/1"},
    "flat with a confidence above 1": FLAT | {"confidence": 1.1},
}


@pytest.mark.parametrize("bad", BAD_RESULTS)
def test_a_bad_result_alone_is_refused(client, stored, bad):
    answer = post(client, BAD_RESULTS[bad])

    assert answer.status_code == 422, answer.text
    assert answer.json["error"]["status"] == answer.status_code
    assert answer.json["error"]["message"]
    assert answer.json["error"]["hint"].startswith("inference_results[0]")
    assert stored() == NOTHING


@pytest.mark.parametrize("bad", BAD_RESULTS)
def test_a_bad_result_costs_no_other(client, workspace, bad):
    """Its server posts it once, whatever the answer is."""
    good = [inference("cards/4", CARD) for _ in range(50)]
    answer = post(client, *good[:20], BAD_RESULTS[bad], *good[20:])

    assert accepted(answer) == (50, 0)
    assert answer.json["refused"] == 1
    assert rows(client, workspace, "num_inferences", "class_count") == [(50, 50)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"inference_results": null}',
        b'{"inference_results": {}}',
        b'{"inference_results": [',
        b"\xff",
        json.dumps(report(timestamp=1740873600)).encode(),
        json.dumps(report(api_key=7)).encode(),
    ],
)
def test_a_bad_body_is_refused(client, stranger, body):
    sent = {"data": body, "content_type": "application/json"}
    answer = client.post("/inference-stats", **sent)
    assert (answer.status_code, answer.json["error"]["type"]) == (400, "InvalidInput")
    assert stranger.post("/inference-stats", **sent).status_code == 401


def test_a_post_is_no_larger_than_the_server_takes(small_client, stored):
    answer = post(small_client, *({} for _ in range(6)))
    assert (answer.status_code, answer.json["error"]["type"]) == (413, "TooLarge")
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "parameters",
    [
        {"startTime": "yesterday"},
        {"startTime": "2025-03-02T00:00:00Z"},
        {"endTime": "2025-02-30 00:00:00"},
        {"endTime": "2025-03-01 00:00:00"},
        {"endTime": "2025-03-02 00:00:00"},
        {"startTime": "0001-01-01 00:00:00", "endTime": "9999-12-31 23:59:59"},
        {"modelNames": "a\0b"},
        {"fieldName": "a"},
        {"fieldValue": "a"},
    ],
)
def test_a_bad_question_is_refused(client, workspace, parameters):
    answer = ask(client, workspace, **parameters)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json["error"]["message"]


def test_a_window_of_fifty_years_is_answered(client, workspace):
    post(client, inference("cards/4", CARD))
    wide = {"startTime": "1980-01-01 00:00:00", "endTime": "2030-01-01 00:00:00"}
    assert stats(client, workspace, **wide)["num_inferences"] == 1


def test_without_anything_averages_are_null(client, workspace):
    empty = stats(client, workspace)
    assert (empty["num_inferences"], empty["avg_confidence"]) == (0, None)
    assert empty["inference_stats"] == []


def test_models_are_picked_by_name(client, workspace):
    for model in ("a/1", "a/2", "b/1", "c/1"):
        post(client, inference(model, CARD))
    assert rows(client, workspace, "model_name", modelNames="a, c,unknown") == [("a",), ("c",)]
    assert stats(client, workspace, modelNames="a")["num_inferences"] == 2


def test_a_model_that_classifies_takes_no_detections(client, stored):
    row = {"model": "cards", "time": "2025-03-02T00:00:00Z", "label": "a"}
    client.post("/api/v1/predictions", json={"predictions": [row]})
    before = stored()

    answer = post(client, inference("cards/4", CARD))
    assert answer.status_code == 422
    assert "classification" in answer.json["error"]["hint"]
    assert stored() == before
