"""Seldon's subscriptions: declared, listed, forgotten."""

import json

import pytest

from tests.api.given import (
    NOTHING,
    NUMERIC,
    SELDON,
    SELDON_MODEL,
    categorical,
    given_pairs,
    matrix,
    subscribe,
    subscribed,
    subscriptions,
    unsubscribe,
)

YES_NO = categorical("yes", "no")


def test_a_subscription_gets_an_id_of_digits(client):
    id_ = subscribed(client, YES_NO)

    assert isinstance(id_, str)
    assert id_.isdigit()
    assert 0 < int(id_) < 2**63


@pytest.mark.parametrize(
    "metadata",
    [YES_NO, categorical("a", "b", member="categoricalProbaTensor"), NUMERIC],
    ids=["categorical", "categoricalProbaTensor", "numeric"],
)
def test_a_subscription_is_listed_as_it_was_given(client, metadata):
    id_ = subscribed(client, metadata)

    assert subscriptions(client) == [{"subscriptionId": id_} | SELDON_MODEL | metadata]


def test_a_second_subscription_of_a_model_is_a_conflict(client):
    id_ = subscribed(client, YES_NO)

    answer = subscribe(client, categorical("other"))
    assert answer.status_code == 409
    message = "this model is already subscribed; unsubscribe it first"
    assert answer.json == {"code": 6, "message": message, "details": []}
    assert subscriptions(client) == [{"subscriptionId": id_} | SELDON_MODEL | YES_NO]


@pytest.fixture
def four(client):
    """Models a to d; a and b in one namespace, b and c in pipelines of the same name."""
    for name, namespace, pipeline in ("anp", "bnq", "cmq", "d__"):
        names = {"namespace": namespace.strip("_"), "pipelineName": pipeline.strip("_")}
        subscribed(client, YES_NO, modelName=name, **names)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "abcd"),
        ({"namespace": "", "pipelineName": ""}, "abcd"),
        ({"namespace": "n"}, "ab"),
        ({"pipelineName": "q"}, "bc"),
        ({"namespace": "n", "pipelineName": "q"}, "b"),
        ({"namespace": "other"}, ""),
    ],
    ids=str,
)
def test_subscriptions_are_listed_oldest_first_and_filtered(client, four, filters, names):
    assert [one["modelName"] for one in subscriptions(client, **filters)] == list(names)


def test_a_filter_with_nul_is_refused(client):
    answer = client.get(f"{SELDON}/pipeline/subscriptions?namespace=%00")

    assert answer.status_code == 400
    assert answer.json["message"] == "namespace must not contain the character NUL"


def test_a_subscription_is_forgotten_once(client):
    id_ = subscribed(client, YES_NO)

    answer = unsubscribe(client, id_)
    assert (answer.status_code, answer.json) == (200, {})
    assert subscriptions(client) == []
    answer = unsubscribe(client, id_)
    assert answer.status_code == 404
    message = f"no subscription has the id {id_}"
    assert answer.json == {"code": 5, "message": message, "details": []}


def test_a_model_can_be_resubscribed_in_another_order(client):
    given_pairs(client, [("yes", "no")])
    unsubscribe(client, subscribed(client, YES_NO))

    subscribed(client, categorical("no", "yes"))
    assert matrix(client) == (["no", "yes"], [0, 1, 0, 0])


def test_what_was_stored_outlives_the_subscription(client):
    given_pairs(client, [("yes", "no")])
    unsubscribe(client, subscribed(client, YES_NO))

    assert matrix(client) == (["no", "yes"], [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("id_", "message"),
    [
        (None, "subscriptionId is required"),
        ("", "subscriptionId not a valid integer"),
        ("x", "subscriptionId not a valid integer"),
        ("1.5", "subscriptionId not a valid integer"),
        ("9" * 5_000, "subscriptionId not a valid integer"),
        ("-1", "subscriptionId must be greater than or equal to 0"),
        (str(2**63), "subscriptionId must be greater than or equal to 0"),
        (str(2**64), "subscriptionId must be greater than or equal to 0"),
    ],
    ids=["none", "empty", "a letter", "a fraction", "5000 digits", "-1", "2**63", "2**64"],
)
def test_what_is_no_id_is_refused(client, id_, message):
    answer = unsubscribe(client, id_)

    assert answer.status_code == 400
    assert answer.json["code"] == 3
    assert answer.json["message"].startswith(message)


# --- bad subscriptions ----------------------------------------------------------------------

ONE_OUTPUT = "featuresMetadata must describe exactly one output"
ONE_MEMBER = "an output is one of numeric, categorical and categoricalProbaTensor"
DIFFERENT = "categories must be there, and all different"
NUL = "a text must not contain the character NUL"
CATEGORIES = "featuresMetadata[0].categorical.categories"
INCOMPLETE = "the body is not complete JSON, or has half a surrogate pair"
HEAD = '{"namespace": "n", "pipelineName": "p", "modelName": "m", "featuresMetadata": '
BAD_BODIES = {
    "no output": ({"featuresMetadata": []}, ONE_OUTPUT),
    "two outputs": ({"featuresMetadata": NUMERIC["featuresMetadata"] * 2}, ONE_OUTPUT),
    "an output without a member": ({"featuresMetadata": [{}]}, ONE_MEMBER),
    "an unknown member": ({"featuresMetadata": [{"image": {"name": "x"}}]}, ONE_MEMBER),
    "two members": (
        {"featuresMetadata": [YES_NO["featuresMetadata"][0] | NUMERIC["featuresMetadata"][0]]},
        ONE_MEMBER,
    ),
    "no category": (categorical(), DIFFERENT),
    "the same category twice": (categorical("a", "b", "a"), DIFFERENT),
    "an empty category": (categorical("a", ""), f"{CATEGORIES}[1] must not be empty"),
    "a category of 201 characters": (
        categorical("a" * 201),
        f"{CATEGORIES}[0] must have at most 200 characters",
    ),
    "a list as category": (
        categorical("a", []),
        f"{CATEGORIES}[1] must be a text or a number",
    ),
    "NUL in a category": (categorical("a\0"), NUL),
    "NUL in the name of an output": ({"featuresMetadata": [{"numeric": {"name": "\0"}}]}, NUL),
    "NUL in the model": (YES_NO | {"modelName": "a\0"}, NUL),
    "NUL in the namespace": (YES_NO | {"namespace": "\0"}, NUL),
    "NUL in the pipeline": (YES_NO | {"pipelineName": "\0"}, NUL),
    "an empty model": (YES_NO | {"modelName": ""}, "modelName must not be empty"),
    "a number as namespace": (
        YES_NO | {"namespace": 1},
        "namespace must be a text, not a whole number",
    ),
    "features in an object": (
        {"featuresMetadata": {}},
        "featuresMetadata must be a list, not an object",
    ),
    "no features": ({}, "featuresMetadata is required"),
}


def refused(client, body):
    """The message of a body that is refused."""
    answer = client.post(
        f"{SELDON}/pipeline/model/subscribe", data=body, content_type="application/json"
    )
    assert answer.status_code == 400, answer.text
    assert answer.content_type == "application/json"
    assert (answer.json["code"], answer.json["details"]) == (3, [])
    return answer.json["message"]


@pytest.mark.parametrize(("members", "message"), BAD_BODIES.values(), ids=list(BAD_BODIES.keys()))
def test_a_bad_subscription_is_refused(client, stored, members, message):
    assert refused(client, json.dumps(SELDON_MODEL | members)) == message

    assert stored() == NOTHING


@pytest.mark.parametrize("name", SELDON_MODEL)
def test_a_subscription_names_its_model(client, stored, name):
    names = {other: value for other, value in SELDON_MODEL.items() if other != name}

    message = refused(client, json.dumps(names | YES_NO))
    assert message == f"{name} is required"
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(HEAD + "[", INCOMPLETE, id="truncated"),
        pytest.param("", INCOMPLETE, id="nothing"),
        pytest.param("[]", "the body must be an object, not a list", id="array"),
        pytest.param(HEAD + "NaN}", "the body is not JSON: invalid character (byte 78)", id="NaN"),
        pytest.param(b'{"namespace": "\xe9"}', "the body is not UTF-8", id="Latin-1"),
        pytest.param(
            '{"x": ' + "[" * 9_999 + "]" * 9_999 + "}",
            "the body is nested too deeply",
            id="brackets",
        ),
    ],
)
def test_a_body_that_is_no_subscription_is_refused(client, stored, body, message):
    assert refused(client, body) == message

    assert stored() == NOTHING


def test_a_model_of_another_kind_cannot_be_subscribed(client, stored):
    given_pairs(client, [(1, 2)], output="value")
    before = stored()

    message = refused(client, json.dumps(SELDON_MODEL | YES_NO))
    assert message == "model shop/checkout/fraud does regression, not classification"
    assert stored() == before


def test_a_subscription_settles_the_kind(client):
    subscribed(client, NUMERIC)

    rows = [{"model": "fraud", "namespace": "shop", "pipeline": "checkout", "label": "a"}]
    answer = client.post("/api/v1/predictions", json={"predictions": rows})
    assert answer.status_code == 422
    assert "does regression" in answer.json["errors"][0]["reason"]


def test_too_large_a_subscription_is_refused(small_client, stored):
    answer = subscribe(small_client, categorical(*(f"category {n}" for n in range(500))))

    assert answer.status_code == 413
    assert answer.json["code"] == 8
    assert stored() == NOTHING
