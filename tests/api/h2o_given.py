"""Requests for tests of H2O's dialect."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.given import predict, prediction, verdict

H2O = "/model-monitoring/v1/deployment"
DAY = {"startDateTime": "2025-02-25T00:00:00Z", "endDateTime": "2025-02-26T00:00:00Z"}


def given_deployed(
    client: FlaskClient, *rows: dict[str, Any], deployment: str = "shop-fraud", **fields: Any
) -> None:
    """Predictions of a deployment at noon of DAY; each row and `fields` say more."""
    at_noon = {"time": "2025-02-25T12:00:00Z", "deployment": deployment}
    verdict(predict(client, *(prediction(**at_noon | fields | row) for row in rows)))


def h2o(client: FlaskClient, path: str = "", **parameters: Any) -> TestResponse:
    """The answer to a question of the dialect."""
    return client.get(H2O + path, query_string=parameters)


def answered(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.get_json()
