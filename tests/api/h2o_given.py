"""What tests of H2O's dialect ask with."""

from tests.api.given import predict, prediction, verdict

H2O = "/model-monitoring/v1/deployment"
DAY = {"startDateTime": "2025-02-25T00:00:00Z", "endDateTime": "2025-02-26T00:00:00Z"}


def given_deployed(client, *rows, deployment="shop-fraud", **fields):
    """Predictions of a deployment at noon of DAY; each row and `fields` say more."""
    at_noon = {"time": "2025-02-25T12:00:00Z", "deployment": deployment}
    verdict(predict(client, *(prediction(**at_noon | fields | row) for row in rows)))


def h2o(client, path="", **parameters):
    """The answer to a question of the dialect."""
    return client.get(H2O + path, query_string=parameters)


def answered(answer):
    assert answer.status_code == 200, answer.text
    return answer.json
