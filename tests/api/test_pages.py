"""Lists: in pages where their clients know pages, bounded where they know none."""

import pytest

from app.api.native import inferences
from app.api.roboflow import routes as roboflow
from app.api.seldon_mpm import routes as seldon
from tests.api.given import SELDON, predict, prediction, tell, truth, verdict
from tests.api.h2o_given import H2O
from tests.api.roboflow_given import PERIOD, ask, inference, post

DAY = {"startTime": "2025-02-25T00:00:00Z", "endTime": "2025-02-26T00:00:00Z"}
MODELS, STATS = "/api/v1/models", "/api/v1/inference-stats"
# More names than parts: namespaces and pipelines have to settle the order.
NAMES = [
    {"namespace": namespace, "pipeline": pipeline, "model": model}
    for model in ("b", "a", "Z")
    for namespace in ("y", "")
    for pipeline in ("q", "p")
]


@pytest.fixture
def crowd(client):
    """Models of NAMES, each with as many predictions as its place modulo 4; 0 has but a truth."""
    rows = [
        prediction(**name, label=f"c{number}")
        for place, name in enumerate(NAMES)
        for number in range(place % 4)
    ]
    verdict(predict(client, *rows))
    verdict(tell(client, *(truth("r", **name, label="x") for name in NAMES)))
    return client


def page(client, path, **query):
    answer = client.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def pages(client, path, **query):
    """All pages; the last has no cursor."""
    found = [page(client, path, **query)]
    while cursor := found[-1]["nextCursor"]:
        found.append(page(client, path, **{**query, "cursor": cursor}))
        assert len(found) < 50
    return found


def names(answer):
    return [(one["model"], one["namespace"], one["pipeline"]) for one in answer["models"]]


@pytest.mark.parametrize("path", [MODELS, STATS])
@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 1000])
def test_pages_hold_what_one_answer_holds(crowd, path, size):
    whole = page(crowd, path, **DAY)
    found = pages(crowd, path, **DAY, limit=size)

    assert whole["nextCursor"] is None
    assert whole["total"] == len(whole["models"]) == (12 if path == MODELS else 9)
    assert {one["total"] for one in found} == {whole["total"]}
    assert [len(one["models"]) for one in found[:-1]] == [size] * (len(found) - 1)
    assert [model for one in found for model in one["models"]] == whole["models"]


def test_models_stand_in_order_of_names_and_stats_of_how_busy_they_are(crowd):
    by_name = names(page(crowd, MODELS, **DAY))
    busy = page(crowd, STATS, **DAY)["models"]

    assert by_name == sorted((n["model"], n["namespace"], n["pipeline"]) for n in NAMES)
    keys = [
        (-one["inferences"]["now"], one["model"], one["namespace"], one["pipeline"]) for one in busy
    ]
    assert keys == sorted(keys)


def test_pages_are_of_one_window_however_long_they_take(crowd):
    first = page(crowd, STATS, limit=1, startTime=DAY["startTime"], endTime=DAY["endTime"])
    second = page(crowd, STATS, limit=1, cursor=first["nextCursor"])

    assert second["startTime"] == first["startTime"]
    assert second["endTime"] == first["endTime"]


def test_a_model_that_appears_shifts_no_page(crowd):
    first = page(crowd, MODELS, **DAY, limit=3)
    verdict(predict(crowd, prediction(model="A", label="x")))
    rest = pages(crowd, MODELS, **DAY, limit=3, cursor=first["nextCursor"])

    found = names(first) + [name for one in rest for name in names(one)]
    assert len(found) == len(set(found))
    assert {(n["model"], n["namespace"], n["pipeline"]) for n in NAMES} <= set(found)


@pytest.mark.parametrize("path", [MODELS, STATS])
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "W10="}, "cursor"),
        ({"cursor": ""}, "cursor"),
    ],
)
def test_a_page_that_is_none_is_refused(client, path, wrong, named):
    answer = client.get(path, query_string=wrong)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [named]


def test_a_model_of_very_many_classes_reports_their_number(client, monkeypatch):
    monkeypatch.setattr(inferences, "MAX_CLASSES", 3)
    rows = [prediction(label=f"c{number}") for number in range(5)] + [prediction(label="c4")]
    verdict(predict(client, *rows))
    (model,) = page(client, STATS, **DAY)["models"]

    assert model["totalClasses"] == 5
    assert [one["label"] for one in model["classes"]] == ["c4", "c0", "c1"]


# --- dialects -------------------------------------------------------------------------------


def test_roboflows_stats_have_a_bound_for_they_have_no_pages(client, workspace, monkeypatch):
    monkeypatch.setattr(roboflow, "MAX_ROWS", 3)
    post(client, *(inference(f"m{n}/1", ("a", 0.5), at=PERIOD) for n in range(4)))

    refused = ask(client, workspace)
    assert refused.status_code == 413
    assert "modelNames" in refused.json["error"]["message"]
    assert ask(client, workspace, modelNames="m0,m1,m2").status_code == 200


def subscribe(client, number, categories=2):
    model = {"namespace": "n", "pipelineName": f"p{number}", "modelName": "m"}
    names = [f"c{place}" for place in range(categories)]
    body = model | {"featuresMetadata": [{"categorical": {"name": "y", "categories": names}}]}
    return client.post(f"{SELDON}/pipeline/model/subscribe", json=body)


def test_a_subscription_has_a_bound_of_categories(client, stored):
    refused = subscribe(client, 0, 10_001)

    assert (refused.status_code, refused.json["code"]) == (400, 3)
    assert "10000 categories" in refused.json["message"]
    assert stored()["label"] == 0
    assert subscribe(client, 0, 10_000).status_code == 200


@pytest.mark.parametrize(
    ("bound", "value"), [("MAX_SUBSCRIPTIONS", 3), ("MAX_LISTED_CATEGORIES", 7)]
)
def test_a_long_list_of_subscriptions_is_rejected_or_paginated(client, monkeypatch, bound, value):
    monkeypatch.setattr(seldon, bound, value)
    path = f"{SELDON}/pipeline/subscriptions"
    assert [subscribe(client, number).status_code for number in range(4)] == [200] * 4

    refused = client.get(path)
    assert (refused.status_code, refused.json["code"]) == (413, 8)
    assert "limit and offset" in refused.json["message"]
    found = [page(client, path, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [len(one["subscriptions"]) for one in found] == [2, 2, 0]
    assert {one["total"] for one in found} == {4}
    assert list(page(client, path, pipelineName="p1")) == ["subscriptions"]


def test_a_deployment_of_very_many_models_has_pages_of_them(client, monkeypatch):
    monkeypatch.setattr("app.api.h2o.routes.MAX_PAGE_SIZE", 2)
    verdict(
        predict(client, *(prediction(model=f"m{n}", label="a", deployment="d") for n in range(5)))
    )

    assert len(page(client, f"{H2O}/d")["deployment"]["models"]) == 2
    assert len(page(client, H2O)["deployment"][0]["models"]) == 2
    token, found = "", []
    for _ in range(3):
        answer = page(client, f"{H2O}/d/models", pageSize=2, pageToken=token)
        found, token = found + answer["model"], answer["nextPageToken"]
    assert (len(found), token) == (5, "")


# --- what a batch may hold ------------------------------------------------------------------


def detections(*counts):
    found = [[{"label": "a", "confidence": 0.5}] * count for count in counts]
    return [{"model": "m", "detections": one} for one in found]


def test_detections_count_as_rows(small_client, stored):
    refused = predict(small_client, *detections(2, 4))
    assert refused.status_code == 413
    assert "at most 5 rows; with its detections it has 6" in refused.json["detail"]
    assert stored()["prediction"] == 0

    assert predict(small_client, *detections(2, 2, 0)).status_code == 200
    assert stored()["prediction"] == 5


def test_detections_of_a_report_count_as_rows(small_client, stored):
    refused = post(small_client, inference("m/1", *[("a", 0.5)] * 6))

    assert refused.status_code == 413
    assert "may contain at most 5 values" in refused.json["error"]["message"]
    assert stored()["prediction"] == 0
    assert post(small_client, inference("m/1", *[("a", 0.5)] * 5)).status_code == 200
