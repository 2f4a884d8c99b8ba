"""H2O's published client, unmodified, against a live server: the example of its documentation.

The example's numbers say how many predictions there were, and when. Their latencies are made to
have the mean that it prints.
"""

import importlib
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from tests.api.live import serving

DEPLOYMENT_ID = "f9fa4db1-2f30-4b10-ace2-f383a9f74880"
START = datetime(2022, 7, 19, 7, 28, 40, tzinfo=UTC)
END = datetime(2022, 8, 18, 7, 28, 40, tzinfo=UTC)
PREDICTIONS, MEAN_MILLISECONDS = 17670, Decimal("1.756577830589034")
USUAL = Decimal("0.001756577830589")
LAST = MEAN_MILLISECONDS / 1000 * PREDICTIONS - USUAL * (PREDICTIONS - 1)
WHEN = datetime(2022, 8, 17, 21, tzinfo=UTC)  # all of them in the last bin
REGRESSOR, FAILING = "price/eu", "failing"


@pytest.fixture(scope="module")
def packages():
    """The client, as `import h2o_mlops` registers it, and that package; its imports are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        h2o_mlops = importlib.import_module("h2o_mlops")
        return importlib.import_module("h2o_mlops_client"), h2o_mlops


@pytest.fixture
def url(app):
    with serving(app) as url:
        yield url


@pytest.fixture
def token_provider(packages, url, workspace):
    """The key is the refresh token."""
    mlops, _ = packages
    return mlops.TokenProvider(
        refresh_token=workspace.read_key,
        client_id="any",
        client_secret="any",
        token_endpoint_url=f"{url}/auth/realms/x/protocol/openid-connect/token",
    )


@pytest.fixture
def service(packages, url, token_provider):
    """The model monitoring service through the client."""
    mlops, _ = packages
    client = mlops.Client(gateway_url=url, token_provider=token_provider)
    yield client.model_monitoring.monitoring_service
    close(client.model_monitoring)


def close(adapter):
    """What the client leaves to the garbage collector: its connections."""
    adapter.monitoring_service.api_client.rest_client.pool_manager.clear()


@pytest.fixture
def given_example(database, workspace):
    rows = [
        Prediction(
            model="model",
            deployment=DEPLOYMENT_ID,
            time=WHEN + number * timedelta(seconds=1),
            label="yes",
            latency_seconds=float(USUAL if number else LAST),
        )
        for number in range(PREDICTIONS)
    ]
    beside = [
        Prediction(model="other", deployment="other", time=WHEN, label="a"),
        Prediction(model="price", deployment=REGRESSOR, time=WHEN, value=2.5),
        Prediction(model="m", deployment=FAILING, time=WHEN, error=True),
    ]
    ingest_predictions(database, workspace.id, rows)
    ingest_predictions(database, workspace.id, beside)


def test_the_documented_example(packages, service, given_example):
    mlops, _ = packages

    deployments: mlops.ApiListMonitoredDeploymentsResponse = service.list_monitored_deployments()
    (selected,) = [one for one in deployments.deployment if one.id == DEPLOYMENT_ID]
    health = service.get_model_health_metrics(
        deployment_id=selected.id, model_id="", start_date_time=START, end_date_time=END
    )

    bins = {(one.x_min, one.x_max): one.y for one in health.predictions.bin}
    assert len(bins) == 11
    documented = {
        ("2022-07-19T07:28:40Z", "2022-07-21T00:00:00Z"): "0",
        ("2022-07-24T00:00:00Z", "2022-07-27T00:00:00Z"): "0",
        ("2022-08-14T00:00:00Z", "2022-08-17T00:00:00Z"): "0",
        ("2022-08-17T00:00:00Z", "2022-08-18T07:28:40Z"): "17670",
    }
    assert documented.items() <= bins.items()
    assert sum(map(int, bins.values())) == PREDICTIONS
    printed = health.to_dict()
    printed["predictions"]["bin"] = "as above"
    assert printed == {
        "prediction_values": None,
        "predictions": {
            "bin": "as above",
            "description": "",
            "name": "Predictions Over Time",
            "x_label": "Time",
            "y_label": "Predictions",
        },
        "scoring_latency": 1.756577830589034,
        "total_predictions": 17670,
    }
    assert "'scoring_latency': 1.756577830589034" in str(health)


def test_every_call_of_the_client(service, given_example):
    monitoring = importlib.import_module("_h2o_mlops_client.model_monitoring")
    span = {"start_date_time": START, "end_date_time": END}

    page = service.list_monitored_deployments(page_size=2, order_by="name DESC", **span)
    assert [one.name for one in page.deployment] == [REGRESSOR, "other"]
    assert (page.total_deployments, page.total_predictions) == ("4", str(PREDICTIONS + 2))
    following = service.list_monitored_deployments(page_token=page.next_page_token)
    assert [one.name for one in following.deployment] == ["other", REGRESSOR]
    found = service.get_monitored_deployment(deployment_id=REGRESSOR).deployment
    assert (found.problem_type, found.deployment_date.tzinfo is not None) == ("regression", True)
    models = service.get_monitored_models(deployment_id=REGRESSOR).model
    assert [one.registered_model_name for one in models] == ["price"]
    health = service.get_model_health_metrics(REGRESSOR, "a/b", **span)
    assert [(box.y0, box.y4) for box in health.prediction_values.box] == [("2.5", "2.5")]
    drift = service.get_model_drift_metrics(REGRESSOR, "m", **span)
    assert (drift.count_feature_drift, drift.feature_summary.feature) == (None, [])
    operation = service.get_model_operational_summary_metrics(FAILING, "m", **span)
    assert [one.y_axis for one in operation.failed_prediction.point][-1] == "1"
    assert (operation.avg_scoring_latency, operation.uptime) == (None, None)
    asked = monitoring.ApiExportMetricRequest(
        deployment_id=REGRESSOR, metric_name="predictions", **span
    )
    assert service.export_metric(body=asked).result.data


def test_naive_times_are_utc(service, given_example):
    naive = {"start_date_time": WHEN.replace(tzinfo=None), "end_date_time": END}

    found = service.get_model_health_metrics(DEPLOYMENT_ID, "", **naive)
    assert (found.total_predictions, found.predictions.bin[0].x_min) == (
        PREDICTIONS,
        "2022-08-17T21:00:00Z",
    )


def test_refusals_reach_the_client_as_they_are(service, given_example, database, workspace):
    exceptions = importlib.import_module("_h2o_mlops_client.model_monitoring.exceptions")

    with pytest.raises(exceptions.ApiException) as unknown:
        service.get_model_health_metrics("no", "")
    assert unknown.value.status == 404
    assert '"code":5' in unknown.value.body
    with pytest.raises(exceptions.ApiException) as reversed_:
        service.get_model_health_metrics(
            DEPLOYMENT_ID, "", start_date_time=END, end_date_time=START
        )
    assert reversed_.value.status == 400
    with database.writing() as conn:
        conn.execute(
            text("UPDATE api_key SET revoked_at = now() WHERE workspace_id = :id"),
            {"id": workspace.id},
        )
    with pytest.raises(exceptions.ApiException) as revoked:
        service.get_model_health_metrics(DEPLOYMENT_ID, "")
    assert (revoked.value.status, '"code":16' in revoked.value.body) == (401, True)


def test_the_newer_constructor(packages, url, token_provider, given_example):
    _, h2o_mlops = packages

    with warnings.catch_warnings():  # it makes a TLS context the old way
        warnings.simplefilter("ignore", DeprecationWarning)
        client = h2o_mlops.Client(gateway_url=url, token_provider=token_provider)
    monitoring = client._backend.model_monitoring
    found = monitoring.monitoring_service.get_monitored_deployment(deployment_id=DEPLOYMENT_ID)
    close(monitoring)
    assert found.deployment.id == DEPLOYMENT_ID
