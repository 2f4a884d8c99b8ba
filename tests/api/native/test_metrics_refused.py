"""Questions about metrics that are refused, and the words in which they are."""

from datetime import timedelta

import pytest

from tests.api.given import (
    MINUTE,
    given_pairs,
    keyed_client,
    native_metrics,
    now_of,
)

TIME_FORM = "must be RFC 3339 with an offset, like 2025-02-25T11:51:22Z"
FORM = "interval must be a duration like 10s, 1.5h or 2h45m"
FORM += ", or of the calendar, like 1d, 2w, 1mo or 1y"


def refused(answer, status=400):
    """The detail of a problem; of parameters the status is 422 and they are named."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    return answer.json["detail"]


@pytest.fixture
def hit(client):
    """One true positive at START."""
    given_pairs(client, [("a", "a")])


@pytest.mark.parametrize(
    ("interval", "end", "count"),
    [
        ("1s", "2025-02-25T14:38:02.000001Z", 10_001),
        ("1s", "2075-02-25T11:51:22Z", 1_577_836_800),
        ("1d", "2052-07-13T11:51:22.000001Z", 10_001),
    ],
)
def test_more_buckets_are_refused(client, hit, interval, end, count):
    message = refused(native_metrics(client, interval=interval, endTime=end))

    assert message == f"{count} buckets; an answer may have 10000"


def test_an_unknown_part_is_not_found(client, hit):
    message = refused(native_metrics(client, version="9", deployment="eu"), 404)

    expected = "no predictions of model shop/checkout/fraud, deployment eu, version 9"
    assert message == expected


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("name", ["model", "startTime", "endTime"])
def test_a_missing_parameter_is_named(client, kind, name):
    answer = native_metrics(client, kind, **{name: None})

    assert refused(answer, 422) == f"{name} is required"
    assert answer.json["errors"] == [{"field": name, "reason": "is required"}]


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_an_unknown_model_is_not_found(client, kind):
    answer = native_metrics(client, kind)

    assert answer.json == {
        "type": "/problems#UnknownModel",
        "title": "No such model exists",
        "status": 404,
        "detail": "no predictions or subscription of model shop/checkout/fraud",
    }
    refused(answer, 404)


def test_a_question_of_the_wrong_kind_is_refused(client, hit):
    given_pairs(client, [(1, 1)], output="value", model="price")

    message = "model shop/checkout/fraud does classification, not regression"
    assert refused(native_metrics(client, "regression")) == message
    message = "model shop/checkout/price does regression, not classification"
    assert refused(native_metrics(client, model="price")) == message


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"endTime": MINUTE["startTime"]}, "the end of the window must be after its start"),
        ({"endTime": "2024-01-01T00:00:00Z"}, "the end of the window must be after its start"),
        ({"interval": "1m1us"}, "the interval is longer than the window"),
        ({"interval": "2m", "align": "epoch"}, "the interval is longer than the window"),
        ({"interval": "0s"}, "the interval must be longer than zero"),
        ({"align": "epoch"}, "align=epoch needs an interval"),
        ({"asOf": "9999-12-31T23:59:59Z"}, "asOf must not be in the future"),
    ],
    ids=str,
)
def test_a_question_that_has_no_answer_is_refused(client, hit, parameters, message):
    answer = native_metrics(client, **parameters)

    assert refused(answer) == message
    assert answer.json["type"] == "/problems#InvalidWindow"


def test_a_moment_to_come_is_refused_by_the_databases_clock(client, database, hit):
    later = now_of(database) + timedelta(minutes=1)

    assert (
        refused(native_metrics(client, asOf=later.isoformat())) == "asOf must not be in the future"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": ""}, "model must not be empty"),
        ({"interval": "10"}, FORM),
        ({"interval": ""}, FORM),
        ({"interval": "0d"}, FORM),
        ({"interval": "1.5d"}, FORM),
        ({"interval": "1M"}, FORM),
        ({"interval": "10000d"}, FORM),
        ({"interval": "1000y"}, FORM),
        ({"interval": "1d12h"}, FORM),
        ({"interval": "PT10S"}, FORM),
        ({"interval": "-10s"}, "interval must not be negative"),
        ({"interval": "1ns"}, "interval must be a whole number of microseconds"),
        ({"interval": "9999999999999h"}, "interval is too long"),
        ({"timeZone": "Mars/Olympus"}, "timeZone must be a time zone like Europe/Paris"),
        ({"timeZone": ""}, "timeZone must be a time zone like Europe/Paris"),
        ({"timeZone": "CET"}, "timeZone must be a time zone like Europe/Paris"),
        ({"timeZone": "UTC\0"}, "timeZone must be a time zone like Europe/Paris"),
        ({"timeZone": "../UTC"}, "timeZone must be a time zone like Europe/Paris"),
        ({"align": "end"}, "align must be one of: start, epoch"),
        ({"average": "mean"}, "average must be one of: macro, micro, weighted"),
        ({"explain": "perhaps"}, "explain must be true or false"),
        ({"asOf": "yesterday"}, f"asOf {TIME_FORM}"),
        ({"startTime": "2025-02-25"}, f"startTime {TIME_FORM}"),
        ({"endTime": "2025-02-30T00:00:00Z"}, "endTime day is out of range for month"),
        ({"intervall": "10s"}, "intervall is not a parameter"),
    ],
    ids=str,
)
def test_a_parameter_that_can_not_be_read_is_refused(client, hit, parameters, message):
    assert refused(native_metrics(client, **parameters), 422) == message


@pytest.mark.parametrize("name", ["namespace", "pipeline", "model", "deployment", "version"])
def test_a_name_with_nul_is_refused(client, name):
    message = refused(native_metrics(client, **{name: "a\0b"}), 422)

    assert message == f"{name} must not contain the character NUL"


def test_a_regressor_has_no_average(client):
    assert (
        refused(native_metrics(client, "regression", average="macro"), 422)
        == "average is not a parameter"
    )


def test_a_key_may_stand_in_the_query(app, workspace, hit):
    answer = native_metrics(app.test_client(), api_key=workspace.read_key)

    assert answer.status_code == 200
    assert native_metrics(keyed_client(app, workspace.ingest_key)).status_code == 403


def test_a_zone_that_only_we_know_is_refused(client, hit, monkeypatch):
    monkeypatch.setattr("app.api.native.metrics.zones", lambda: {"Mars/Olympus"})

    message = refused(native_metrics(client, timeZone="Mars/Olympus"))
    assert message == "the database has no time zone Mars/Olympus"


def test_a_matrix_for_each_customer_is_too_large(client, monkeypatch):
    given_pairs(client, [("cat", "dog")])
    monkeypatch.setattr("app.query.classification.MAX_MATRIX_CELLS", 3)

    message = "1 confusion matrices of 2 classes are more than 3 cells; ask for fewer buckets"
    assert refused(native_metrics(client), 413) == message
