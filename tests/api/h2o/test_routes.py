"""H2O MLOps' model monitoring over HTTP: deployments, health, operation, drift, export."""

import base64
import csv
from urllib.parse import quote

import pytest

from tests.api.given import predict, prediction, verdict
from tests.api.h2o_given import DAY, H2O, answered, given_deployed, h2o

LABEL = {"label": "a"}
EXPORT = "/model-monitoring/ai.h2o.mlops.monitoring.api.ModelMonitoringService/ExportMetric"


def names(answer):
    return [one["name"] for one in answered(answer)["deployment"]]


def refused(answer, status, code, said):
    assert answer.status_code == status, answer.text
    assert answer.json.keys() == {"code", "message", "details"}
    assert (answer.json["code"], answer.json["details"]) == (code, [])
    assert said in answer.json["message"]


def export(client, **body):
    return client.post(EXPORT, json={"deploymentId": "shop-fraud"} | DAY | body)


def exported(client, **body):
    data = answered(export(client, **body))["result"]["data"]
    return list(csv.reader(base64.b64decode(data).decode().splitlines()))


# --- deployments ----------------------------------------------------------------------------


def test_a_deployment_shows_what_is_known_of_it_and_nothing_else(client):
    given_deployed(client, LABEL, version="v1", deploymentType="REST")
    given_deployed(client, LABEL, version="v2", deploymentType="REST")

    (one,) = answered(h2o(client))["deployment"]
    assert one.pop("deploymentDate").endswith("Z")
    assert one.pop("models") == [
        {
            "registeredModelName": "fraud",
            "registeredModelVersion": "v2",
            "driftStatus": "UNKNOWN",
            "accuracy": "UNKNOWN",
            "averageScoringRequests": None,
        }
    ]
    assert one == {
        "id": "shop-fraud",
        "name": "shop-fraud",
        "description": "",
        "mode": None,
        "environment": "shop",
        "type": "REST",
        "problemType": "classification",
        "projectId": None,
        "monitoringEnabled": True,
        "storeScoringData": True,
    }
    assert answered(h2o(client, "/shop-fraud"))["deployment"]["id"] == "shop-fraud"


def test_predictions_without_a_deployment_belong_to_none(client):
    verdict(predict(client, prediction(label="a")))

    assert answered(h2o(client)) == {
        "deployment": [],
        "totalDeployments": "0",
        "totalPredictions": "0",
        "nextPageToken": "",
    }


def test_pages_follow_each_other_in_order(client):
    for name in ("b", "d", "a", "c", "e"):
        given_deployed(client, LABEL, deployment=name)

    first = h2o(client, pageSize=2, orderBy="name DESC")
    second = h2o(client, pageSize=2, orderBy="name DESC", pageToken=first.json["nextPageToken"])
    third = h2o(client, pageSize=2, orderBy="name DESC", pageToken=second.json["nextPageToken"])
    assert [names(page) for page in (first, second, third)] == [["e", "d"], ["c", "b"], ["a"]]
    assert third.json["nextPageToken"] == ""
    assert {page.json["totalDeployments"] for page in (first, second, third)} == {"5"}
    assert names(h2o(client, pageSize=0, pageToken="")) == ["a", "b", "c", "d", "e"]


def test_deployments_are_ordered_by_model_and_environment(client):
    for name, model, namespace in [("a", "m2", "p"), ("b", "m1", "q"), ("c", "m1", "p")]:
        given_deployed(client, LABEL, deployment=name, model=model, namespace=namespace)

    assert names(h2o(client, orderBy="modelName,name DESC")) == ["c", "b", "a"]
    assert names(h2o(client, orderBy="env DESC, modelName")) == ["b", "c", "a"]


def test_the_range_of_a_list_is_that_of_its_predictions(client):
    given_deployed(client, LABEL, LABEL)
    given_deployed(client, LABEL, deployment="other", time="2025-02-26T00:00:00Z")

    assert answered(h2o(client))["totalPredictions"] == "3"
    assert answered(h2o(client, **DAY))["totalPredictions"] == "2"
    assert names(h2o(client, **DAY)) == ["other", "shop-fraud"]


def test_the_first_model_is_the_one_seen_first(client):
    given_deployed(client, LABEL, model="zebra")
    given_deployed(client, LABEL, LABEL, model="ant")

    models = answered(h2o(client, "/shop-fraud/models"))
    assert [one["registeredModelName"] for one in models["model"]] == ["zebra", "ant"]
    page = answered(h2o(client, "/shop-fraud/models", orderBy="modelName", pageSize=1))
    assert [one["registeredModelName"] for one in page["model"]] == ["ant"]
    assert page["nextPageToken"] == "1"
    assert answered(h2o(client, "/shop-fraud/metrics/ant/health", **DAY))["totalPredictions"] == 1


@pytest.mark.parametrize("name", ["a/b", "a b", "models", "é%2F", "a//b"])
def test_an_id_may_hold_anything(client, name):
    given_deployed(client, LABEL, deployment=name)

    path = "/" + quote(name, safe="")
    assert answered(h2o(client, path))["deployment"]["id"] == name
    for metric in ("health", "drift", "operational"):
        for model in ("", "m", "m%2Fn"):
            answered(h2o(client, f"{path}/metrics/{model}/{metric}", **DAY))


# --- metrics --------------------------------------------------------------------------------


def test_health_counts_answers_and_averages_reported_latencies(client):
    given_deployed(
        client,
        LABEL | {"latencySeconds": 0.001},
        LABEL | {"latencySeconds": 0.002},
        LABEL,
        {"error": True, "latencySeconds": 0.006},
    )

    health = answered(h2o(client, "/shop-fraud/metrics//health", **DAY))
    assert health["totalPredictions"] == 3
    assert health["scoringLatency"] == 3.0
    assert health["predictionValues"] is None
    bins = health["predictions"].pop("bin")
    assert health["predictions"] == {
        "name": "Predictions Over Time",
        "description": "",
        "xLabel": "Time",
        "yLabel": "Predictions",
    }
    assert [one["y"] for one in bins] == list("0000030000")
    assert bins[5] == {"xMin": "2025-02-25T12:00:00Z", "xMax": "2025-02-25T14:24:00Z", "y": "3"}


def test_a_request_of_several_detections_is_one_prediction(client):
    given_deployed(client, {"detections": [{"label": "a"}, {"label": "b"}]}, model="eye")

    health = answered(h2o(client, "/shop-fraud/metrics/eye/health", **DAY))
    assert health["totalPredictions"] == 1


def test_nothing_in_the_window_is_zeros_and_no_latency(client):
    given_deployed(client, LABEL | {"latencySeconds": 0.001})

    health = answered(h2o(client, "/shop-fraud/metrics//health"))  # the last 30 days
    assert (health["totalPredictions"], health["scoringLatency"]) == (0, None)
    assert {one["y"] for one in health["predictions"]["bin"]} == {"0"}
    assert len(health["predictions"]["bin"]) in (10, 11)


def test_a_regressor_has_boxes(client):
    given_deployed(client, *({"value": value} for value in (1, 2, 3, 4, 10)), model="price")

    health = answered(h2o(client, "/shop-fraud/metrics/price/health", **DAY))
    (box,) = health["predictionValues"]["box"]
    assert box == {
        "x": "2025-02-25T12:00:00Z",
        "xMin": "2025-02-25T12:00:00Z",
        "xMax": "2025-02-25T14:24:00Z",
        "y0": "1.0",
        "y1": "2.0",
        "y2": "3.0",
        "y3": "4.0",
        "y4": "10.0",
    }


def test_operation_shows_what_is_known_and_null_otherwise(client):
    given_deployed(client, LABEL | {"latencySeconds": 0.002}, {"error": True})

    found = answered(h2o(client, "/shop-fraud/metrics//operational", **DAY))
    assert found["avgScoringLatency"] == 2.0
    unknown = ("uptime", "memoryUsage", "cpuUsage", "availability")
    assert [found[name] for name in unknown] == [None] * 4
    noon = "2025-02-25T12:00:00Z"
    assert found["scoringLatency"]["point"] == [{"xAxis": noon, "yAxis": "2.0", "value": None}]
    for name in ("successPrediction", "failedPrediction"):
        assert [one["yAxis"] for one in found[name]["point"]] == list("0000010000")


def test_drift_is_not_recorded(client):
    given_deployed(client, LABEL)

    found = answered(h2o(client, "/shop-fraud/metrics//drift", **DAY))
    counts = [found[f"{level}FeatureDrift"] for level in ("count", "high", "medium", "low")]
    assert counts == [None] * 4
    assert found["featureImportance"]["featureDrift"] == []
    assert found["featureSummary"] == {"feature": [], "description": "Features are not recorded"}
    assert found["featureFrequency"]["featureDensity"] == []


def test_times_without_an_offset_are_utc(client):
    given_deployed(client, LABEL)

    naive = {"startDateTime": "2025-02-25T00:00:00", "endDateTime": "2025-02-25T23:59:59.999999"}
    found = answered(h2o(client, "/shop-fraud/metrics//health", **naive))
    assert found["predictions"]["bin"][0]["xMin"] == "2025-02-25T00:00:00Z"
    shifted = {"startDateTime": "2025-02-25T01:00:00+01:00", "endDateTime": DAY["endDateTime"]}
    assert h2o(client, "/shop-fraud/metrics//health", **shifted).json == (
        h2o(client, "/shop-fraud/metrics//health", **DAY).json
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1975-01-01T00:00:00Z", "2025-03-01T00:00:00Z"),
        ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"),
        ("2025-02-25T12:00:00Z", "2025-02-25T12:00:00.000001Z"),
    ],
)
def test_any_window_is_answered(client, start, end):
    given_deployed(client, LABEL)

    for metric in ("health", "operational"):
        found = h2o(client, f"/shop-fraud/metrics//{metric}", startDateTime=start, endDateTime=end)
        answered(found)
    health = h2o(client, "/shop-fraud/metrics//health", startDateTime=start, endDateTime=end).json
    assert health["totalPredictions"] == 1
    assert sum(int(one["y"]) for one in health["predictions"]["bin"]) == 1
    answered(h2o(client, startDateTime=start, endDateTime=end))


# --- export ---------------------------------------------------------------------------------


def test_a_metric_is_exported_as_csv(client):
    given_deployed(client, {"value": 1.5, "latencySeconds": 0.25}, {"error": True})
    noon, end = "2025-02-25T12:00:00Z", "2025-02-25T14:24:00Z"

    assert exported(client, metricName="predictions")[6] == [noon, end, "1"]
    assert exported(client, metricName="failedPrediction")[6] == [noon, end, "1"]
    assert exported(client, metricName="scoringLatency")[5:7] == [
        ["2025-02-25T09:36:00Z", noon, ""],
        [noon, end, "250.0"],
    ]
    boxes = exported(client, metricName="predictionValues")
    assert boxes[1:] == [[noon, end, "1.5", "1.5", "1.5", "1.5", "1.5"]]


def test_a_request_in_any_form_of_protobufs_json(client):
    given_deployed(client, LABEL)
    body = {"deployment_id": "shop-fraud", "metric_name": "predictions", "model_id": None}
    body |= {"start_date_time": DAY["startDateTime"], "endDateTime": DAY["endDateTime"]}
    answer = client.post(EXPORT, json=body)
    assert answer.json == export(client, metricName="predictions").json

    page = {"page_size": "1", "page_token": "1", "order_by": "name"}
    path = "/model-monitoring/v1/deployment"
    first, second = (client.get(path, query_string=page | {"page_token": n}).json for n in (0, 1))
    assert [len(answer["deployment"]) for answer in (first, second)] == [1, 0]


def test_an_export_that_cannot_be_is_refused(client):
    given_deployed(client, LABEL)

    refused(export(client, metricName="uptime"), 400, 3, "metricName must be one of predictions")
    refused(export(client, metricName="predictions", deploymentId="no"), 404, 5, "deployment no")
    refused(export(client, metricName="predictions", endDateTime="soon"), 400, 3, "endDateTime")
    refused(client.post(EXPORT, json=[]), 400, 3, "object")
    refused(client.post(EXPORT, data="x", content_type="text/plain"), 415, 3, "Content-Type")


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/no", "/no/models", *(f"/no/metrics/m/{m}" for m in ("health", "operational", "drift"))],
)
def test_an_unknown_deployment_is_reported(client, path):
    refused(h2o(client, path), 404, 5, "no predictions of deployment no")


@pytest.mark.parametrize(
    "path", ["", *(f"/d/metrics//{m}" for m in ("health", "operational", "drift"))]
)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"startDateTime": DAY["endDateTime"], "endDateTime": DAY["startDateTime"]}, "end of the"),
        ({"startDateTime": DAY["endDateTime"], "endDateTime": DAY["endDateTime"]}, "end of the"),
        ({"startDateTime": "yesterday"}, "startDateTime must be RFC 3339"),
        ({"endDateTime": "2025-02-30T00:00:00"}, "endDateTime"),
        ({"endDateTime": "9999-12-31T23:59:59-12:00"}, "endDateTime is out of range"),
        ({"startDateTime": "2999-01-01T00:00:00"}, "end of the"),
        ({"endDateTime": ""}, "endDateTime"),
    ],
)
def test_a_range_that_is_none_is_refused(client, path, wrong, said):
    given_deployed(client, LABEL, deployment="d")

    refused(h2o(client, path, **wrong), 400, 3, said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pageSize": "-1"}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"pageToken": "x"}, "pageToken must be a nextPageToken"),
        ({"pageToken": "-5"}, "pageToken"),
        ({"pageToken": "9" * 30}, "pageToken"),
        ({"orderBy": "size"}, "orderBy must be name, modelName or env"),
        ({"orderBy": "name UP"}, "orderBy"),
    ],
)
def test_a_page_that_is_none_is_refused(client, wrong, said):
    refused(h2o(client, **wrong), 400, 3, said)


def test_the_end_alone_reaches_back_thirty_days(client):
    given_deployed(client, LABEL)

    found = answered(h2o(client, "/shop-fraud/metrics//health", endDateTime=DAY["endDateTime"]))
    assert found["predictions"]["bin"][0]["xMin"] == "2025-01-27T00:00:00Z"
    assert found["totalPredictions"] == 1
    early = h2o(client, "/shop-fraud/metrics//health", endDateTime="0001-01-02T00:00:00")
    assert answered(early)["totalPredictions"] == 0


def test_paths_below_are_refused_in_the_same_form(client):
    refused(client.get("/model-monitoring/v1/nothing"), 404, 5, "There is nothing at this path")
    refused(client.post(H2O), 405, 12, "method")
