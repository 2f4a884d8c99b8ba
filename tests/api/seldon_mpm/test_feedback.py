"""Seldon's feedback: by the index of a declared category, or as a number."""

import json

import pytest

from tests.api.given import (
    NOTHING,
    NUMERIC,
    SELDON,
    SELDON_MODEL,
    buckets,
    categorical,
    feed_back,
    index,
    matrix,
    metrics,
    number,
    predict,
    prediction,
    subscribed,
)


@pytest.fixture
def classifier(client):
    """A model that declares yes before no, and answered `yes` in the two rows of request r."""
    subscribed(client, categorical("yes", "no"))
    rows = [prediction(requestId="r", batchIndex=place, label="yes") for place in (0, 1)]
    assert predict(client, *rows).json["accepted"] == 2


@pytest.fixture
def regressor(client):
    """A model that answered 10 in request r."""
    subscribed(client, NUMERIC)
    assert predict(client, prediction(requestId="r", value=10)).json["accepted"] == 1


def accepted(answer):
    return (answer.status_code, answer.json) == (200, {})


def refused(answer):
    """The message of a feedback that is refused."""
    assert answer.status_code == 400, answer.text
    assert answer.content_type == "application/json"
    assert (answer.json["code"], answer.json["details"]) == (3, [])
    return answer.json["message"]


def mean_absolute_error(client):
    (bucket,) = buckets(metrics(client, "regression"))
    return bucket["meanAbsoluteError"]


def test_an_index_counts_in_declared_order(client, classifier):
    assert accepted(feed_back(client, "r", index(1)))

    assert matrix(client) == (["yes", "no"], [0, 0, 1, 0])  # a no predicted as a yes


def test_a_batch_id_names_the_row(client, classifier):
    assert accepted(feed_back(client, "r", index(0), batchId=1))
    assert accepted(feed_back(client, "r", index(1)))

    assert matrix(client) == (["yes", "no"], [1, 0, 1, 0])


def test_a_second_feedback_replaces_the_first(client, classifier):
    feed_back(client, "r", index(1))

    assert accepted(feed_back(client, "r", index(0)))
    assert matrix(client) == (["yes", "no"], [1, 0, 0, 0])


def test_the_same_feedback_again_changes_nothing(client, classifier, stored):
    feed_back(client, "r", index(1))
    before = stored()

    assert accepted(feed_back(client, "r", index(1)))
    assert stored() == before


def test_feedback_before_its_prediction_counts_when_that_comes(client, classifier):
    assert accepted(feed_back(client, "late", index(1)))
    assert matrix(client) == ([], [])

    predict(client, prediction(requestId="late", label="no"))
    assert matrix(client) == (["yes", "no"], [0, 0, 0, 1])


def test_a_number_is_the_truth_of_a_regressor(client, regressor):
    assert accepted(feed_back(client, "r", number(7.5)))

    assert mean_absolute_error(client) == 2.5


def test_nought_is_a_number(client, regressor):
    assert accepted(feed_back(client, "r", number(0)))

    assert mean_absolute_error(client) == 10


def test_a_second_number_replaces_the_first(client, regressor):
    feed_back(client, "r", number(0))

    assert accepted(feed_back(client, "r", number(9)))
    assert mean_absolute_error(client) == 1


@pytest.mark.parametrize("value", [-1, 2, 10**30])
def test_an_index_beyond_the_categories_is_refused(client, classifier, stored, value):
    before = stored()

    message = refused(feed_back(client, "r", index(value)))
    assert message == "value must be an index of the categories, from 0 to 1"
    assert stored() == before


def test_an_index_means_nothing_without_a_subscription(client, stored):
    answer = feed_back(client, "r", index(0))

    assert answer.status_code == 404
    message = "model shop/checkout/fraud is not subscribed"
    assert answer.json == {"code": 5, "message": message, "details": []}
    assert stored() == NOTHING


def refused_as_unknown(answer):
    message = "model shop/checkout/fraud is not known"
    assert answer.status_code == 404, answer.text
    return answer.json == {"code": 5, "message": message, "details": []}


def test_a_number_about_a_model_that_nobody_knows_is_refused(client, stored):
    assert refused_as_unknown(feed_back(client, "r", number(0)))

    assert stored() == NOTHING


def test_a_number_about_a_neighbours_model_is_refused(neighbour, regressor):
    assert refused_as_unknown(feed_back(neighbour, "r", number(0)))


def test_a_number_waits_for_the_predictions_of_a_subscribed_model(client, stored):
    subscribed(client, NUMERIC)

    assert accepted(feed_back(client, "r", number(7)))
    assert stored()["pending_feedback"] == 1
    assert predict(client, prediction(requestId="r", value=10)).json["accepted"] == 1
    assert mean_absolute_error(client) == 3


def test_a_number_counts_without_a_subscription_once_the_model_has_predicted(client):
    assert predict(client, prediction(requestId="r", value=10)).json["accepted"] == 1

    assert accepted(feed_back(client, "r", number(7)))
    assert mean_absolute_error(client) == 3


def test_an_index_is_refused_for_a_regressor(client, regressor):
    message = refused(feed_back(client, "r", index(0)))

    assert message == "model shop/checkout/fraud does regression, not classification"


def test_a_number_is_refused_for_a_classifier(client, classifier, stored):
    before = stored()

    message = refused(feed_back(client, "r", number(1)))
    assert "does classification, and this is regression" in message
    assert stored() == before


# A feedback on index 0 of row 0, and on index 1 of row 1, as grpc-gateway's clients write them.
PROTO_FORMS = {
    "as it is": ({"feedback": index(0), "batchId": 0}, {"feedback": index(1), "batchId": 1}),
    "zeros omitted": (
        {"feedback": {"classificationFeedback": {}}},
        {"feedback": {"classificationFeedback": {"value": 1}}, "batchId": 1},
    ),
    "numbers as texts": (
        {"feedback": index("0"), "batchId": "0"},
        {"feedback": index("1"), "batchId": "1"},
    ),
    "as the .proto file has it": (
        {"feedback": {"classification_feedback": {"value": 0}}, "batch_id": 0},
        {"feedback": {"classification_feedback": {"value": 1}}, "batch_id": 1},
    ),
    "nulls": (
        {"feedback": index(None) | {"regressionFeedback": None}, "batchId": None},
        {"feedback": index(1.0) | {"regression_feedback": None}, "batchId": 1e0},
    ),
}


@pytest.mark.parametrize("form", PROTO_FORMS)
def test_a_feedback_in_any_form_of_protobufs_json(client, classifier, form):
    names = {"namespace": "shop", "pipeline_name": "checkout", "model_name": "fraud"}
    for members in PROTO_FORMS[form]:
        body = names | {"request_id": "r"} | members
        assert accepted(client.post(f"{SELDON}/pipeline/model/feedback", json=body))

    assert matrix(client) == (["yes", "no"], [1, 0, 1, 0])  # each was predicted as a yes


@pytest.mark.parametrize("value", [{}, {"value": "0"}, {"value": "-0.0"}, {"value": None}])
def test_a_number_in_any_form_of_protobufs_json(client, regressor, value):
    assert accepted(feed_back(client, "r", {"regression_feedback": value}))

    assert mean_absolute_error(client) == 10


def test_a_member_under_both_of_its_names_is_refused(client, classifier):
    message = refused(feed_back(client, "r", index(0), batchId=1, batch_id=1))

    assert message == "batchId is given twice"


def test_parameters_as_the_proto_file_has_them(client, classifier):
    feed_back(client, "r", index(1))
    names = {"pipelineName": "pipeline_name", "modelName": "model_name"}
    names |= {"startTime": "start_time", "endTime": "end_time"}
    answer = metrics(client)
    same = client.get(
        answer.request.path,
        query_string={names.get(name, name): value for name, value in answer.request.args.items()},
    )
    assert (same.status_code, same.json) == (200, answer.json)

    both = client.get(answer.request.path, query_string=dict(answer.request.args) | {"end_time": 1})
    assert refused(both) == "endTime is given twice"


NUL = "a text must not contain the character NUL"
INDEX, NUMBER = "feedback.classificationFeedback.value", "feedback.regressionFeedback.value"
NOT_WHOLE = "must be a whole number, written without a point or exponent"
ONE_TRUTH = "feedback must be one of classificationFeedback and regressionFeedback"
BAD_MEMBERS = {
    "both truths": ({"feedback": index(0) | number(1)}, ONE_TRUTH),
    "no truth": ({"feedback": {}}, ONE_TRUTH),
    "no feedback": ({}, "feedback is required"),
    "feedback null": ({"feedback": None}, "feedback is required"),
    "an index that is a word": (
        {"feedback": index("first")},
        f"{INDEX} must be a whole number, not a text",
    ),
    "an index of 0.5": ({"feedback": index(0.5)}, f"{INDEX} {NOT_WHOLE}"),
    "an index true": (
        {"feedback": index(True)},
        f"{INDEX} must be a whole number, not true or false",
    ),
    "a number that is a word": (
        {"feedback": number("one")},
        f"{NUMBER} must be a number, not a text",
    ),
    "not a number": ({"feedback": number("NaN")}, f"{NUMBER} must be at least -1e+100"),
    "infinity": ({"feedback": number("-Infinity")}, f"{NUMBER} must be at least -1e+100"),
    "a number beyond any quantity": (
        {"feedback": number(1e101)},
        f"{NUMBER} must be at most 1e+100",
    ),
    "no requestId": ({"feedback": index(0), "requestId": ""}, "requestId must not be empty"),
    "batchId -1": ({"feedback": index(0), "batchId": -1}, "batchId must be 0 to 2147483647"),
    "batchId 2**31": ({"feedback": index(0), "batchId": 2**31}, "batchId must be 0 to 2147483647"),
    "batchId 0.5": ({"feedback": index(0), "batchId": 0.5}, f"batchId {NOT_WHOLE}"),
    "NUL in requestId": ({"feedback": index(0), "requestId": "\0"}, NUL),
    "NUL in the model": ({"feedback": index(0), "modelName": "\0"}, NUL),
    "NUL in the namespace": ({"feedback": number(0), "namespace": "\0"}, NUL),
}


def refuse(client, stored, body):
    """Send a body that is refused without a trace; returns the message."""
    before = stored()
    message = refused(
        client.post(f"{SELDON}/pipeline/model/feedback", data=body, content_type="application/json")
    )
    assert stored() == before
    return message


@pytest.mark.parametrize(("members", "message"), BAD_MEMBERS.values(), ids=list(BAD_MEMBERS.keys()))
def test_a_bad_feedback_is_refused(client, classifier, stored, members, message):
    body = json.dumps(SELDON_MODEL | {"requestId": "r"} | members)

    assert refuse(client, stored, body) == message


@pytest.mark.parametrize("name", [*SELDON_MODEL, "requestId"])
def test_a_feedback_names_its_prediction(client, classifier, stored, name):
    members = SELDON_MODEL | {"requestId": "r", "feedback": index(0)}
    members.pop(name)

    message = refuse(client, stored, json.dumps(members))
    assert message == f"{name} is required"


@pytest.mark.parametrize(
    ("number_text", "reason"),
    [
        ("1e999", "must be at most 1e+100"),
        ("-1e999", "must be at least -1e+100"),
        ("9" * 401, "is out of range"),
    ],
)
def test_a_number_out_of_range_is_refused(client, regressor, stored, number_text, reason):
    body = json.dumps(SELDON_MODEL | {"requestId": "r", "feedback": number(0.125)})

    message = refuse(client, stored, body.replace("0.125", number_text))
    assert message == f"{NUMBER} {reason}"


def test_a_truncated_feedback_is_refused(client, classifier, stored):
    message = refuse(client, stored, '{"namespace": "shop"')
    assert message == "the body is not complete JSON, or has half a surrogate pair"
