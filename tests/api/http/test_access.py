"""Who may do what: no door opens without a key, and none leads to a neighbour."""

import pytest

from app.api.http.access import workspace_of_key
from app.auth.keys import Role
from app.errors import TruthlineError
from tests.api.given import (
    MODEL,
    NOTHING,
    SELDON,
    SELDON_MODEL,
    categorical,
    given_pairs,
    index,
    keyed_client,
    matrix,
    metrics,
    predict,
    prediction,
    subscribe,
    subscribed,
    subscriptions,
    tell,
    truth,
    unsubscribe,
)

NO_KEY = "send an API key as 'Authorization: Bearer ...' or as 'X-API-Key: ...'"
WRONG_KEY = "this API key does not exist, has expired or was revoked"
INVENTED = "tl_invented-key-that-was-never-made"
LIST = f"{SELDON}/pipeline/subscriptions"


# --- no key, or none that is known ----------------------------------------------------------


def test_the_native_api_rejects_with_a_problem(app):
    answer = app.test_client().post("/api/v1/predictions")

    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems#Unauthenticated",
        "title": "The request has no valid API key",
        "status": 401,
        "detail": NO_KEY,
    }


def test_the_seldon_dialect_rejects_in_its_form(app):
    answer = app.test_client().get(LIST)

    assert answer.content_type == "application/json"
    assert answer.json == {"code": 16, "message": NO_KEY, "details": []}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": f"Bearer {INVENTED}"}, WRONG_KEY),
        ({"X-API-Key": INVENTED}, WRONG_KEY),
        ({"X-API-Key": "\xff"}, WRONG_KEY),
        ({"Authorization": "Bearer "}, NO_KEY),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, NO_KEY),
        ({"Authorization": INVENTED}, NO_KEY),
        ({"X-API-Key": ""}, NO_KEY),
    ],
    ids=["bearer", "X-API-Key", "no text", "bearer of nothing", "basic", "no scheme", "empty"],
)
def test_a_key_that_is_not_known_opens_nothing(app, headers, message):
    answer = app.test_client().get(LIST, headers=headers)

    assert (answer.status_code, answer.json["message"]) == (401, message)
    assert INVENTED not in answer.text


# --- how a key is presented -----------------------------------------------------------------


@pytest.mark.parametrize(
    "present",
    [
        lambda key: {"headers": {"Authorization": f"Bearer {key}"}},
        lambda key: {"headers": {"Authorization": f"bearer  {key} "}},
        lambda key: {"headers": {"X-API-Key": key}},
        lambda key: {"query_string": {"api_key": key}},
    ],
    ids=["bearer", "bearer in small letters", "X-API-Key", "api_key"],
)
def test_a_key_is_accepted_as(app, workspace, present):
    answer = app.test_client().get(LIST, **present(workspace.read_key))

    assert answer.status_code == 200


def in_the_body(app, body, **headers):
    """The workspace that a dialect finds by a key in the body, or the name of the refusal."""
    with app.test_request_context("/anywhere", headers=headers):
        try:
            return workspace_of_key(body, Role.INGEST)
        except TruthlineError as refusal:
            return type(refusal).__name__


def test_a_key_in_the_body_is_accepted_where_a_dialect_has_it_there(app, workspace, neighbour_key):
    assert in_the_body(app, workspace.ingest_key) == workspace.id
    assert in_the_body(app, workspace.read_key) == "Forbidden"
    assert in_the_body(app, INVENTED) == "Unauthenticated"
    assert in_the_body(app, None) == in_the_body(app, "") == "Unauthenticated"
    assert in_the_body(app, "\ud800") == "Unauthenticated"  # JSON can hold what no encoding can
    # what the request carries outside its body goes first
    assert in_the_body(app, neighbour_key, **{"X-API-Key": workspace.ingest_key}) == workspace.id
    assert in_the_body(app, workspace.ingest_key, Authorization="Bearer x") == "Unauthenticated"


# --- roles ----------------------------------------------------------------------------------


def forbidden(answer):
    return answer.status_code == 403


def test_a_read_key_writes_nothing(app, workspace, stored):
    reader = keyed_client(app, workspace.read_key)

    assert forbidden(predict(reader, prediction(label="a")))
    assert forbidden(tell(reader, truth("r", label="a")))
    assert forbidden(subscribe(reader, categorical("a")))
    assert forbidden(unsubscribe(reader, "1"))
    body = SELDON_MODEL | {"requestId": "r", "feedback": index(0)}
    assert forbidden(reader.post(f"{SELDON}/pipeline/model/feedback", json=body))
    assert stored() == NOTHING


def test_an_ingest_key_reads_nothing(app, workspace):
    writer = keyed_client(app, workspace.ingest_key)
    given_pairs(writer, [("a", "a")])

    assert forbidden(metrics(writer))
    assert forbidden(metrics(writer, "regression"))
    assert forbidden(writer.get(LIST))


def test_each_form_names_the_required_role(app, workspace):
    answer = predict(keyed_client(app, workspace.read_key), prediction(label="a"))
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"] == "this needs a key with the role ingest or admin"
    assert "WWW-Authenticate" not in answer.headers

    answer = keyed_client(app, workspace.ingest_key).get(LIST)
    message = "this needs a key with the role read or admin"
    assert answer.json == {"code": 7, "message": message, "details": []}


def test_ingest_and_read_keys_do_what_they_are_for(app, workspace):
    writer = keyed_client(app, workspace.ingest_key)
    id_ = subscribed(writer, categorical("a", "b"))
    given_pairs(writer, [("a", "b")])

    assert matrix(keyed_client(app, workspace.read_key)) == (["a", "b"], [0, 0, 1, 0])
    assert unsubscribe(writer, id_).status_code == 200


# --- neighbours -----------------------------------------------------------------------------


def test_a_neighbour_sees_no_metrics(client, neighbour):
    given_pairs(client, [("a", "a")])
    given_pairs(client, [(1, 1)], output="value", model="price")

    assert metrics(neighbour).status_code == 404
    assert metrics(neighbour, "regression", modelName="price").status_code == 404


def test_a_neighbour_sees_and_forgets_no_subscription(client, neighbour):
    id_ = subscribed(client, categorical("a", "b"))

    assert subscriptions(neighbour) == []
    assert unsubscribe(neighbour, id_).status_code == 404
    assert [one["subscriptionId"] for one in subscriptions(client)] == [id_]


def test_a_neighbour_gives_no_feedback(client, neighbour):
    subscribed(client, categorical("a", "b"))
    predict(client, prediction(requestId="r", label="a"))

    body = SELDON_MODEL | {"requestId": "r", "feedback": index(0)}
    answer = neighbour.post(f"{SELDON}/pipeline/model/feedback", json=body)
    assert answer.status_code == 404
    assert tell(neighbour, truth("r", label="a")).json["pending"] == 1
    assert matrix(client) == ([], [])


def test_neighbours_have_models_and_labels_of_the_same_names(client, neighbour):
    given_pairs(client, [("a", "b")])
    given_pairs(neighbour, [("b", "a"), ("b", "b")])

    assert matrix(client) == (["a", "b"], [0, 0, 1, 0])
    assert matrix(neighbour) == (["a", "b"], [0, 1, 0, 1])


def test_neighbours_may_have_models_of_other_kinds(client, neighbour):
    predict(client, MODEL | {"label": "a"})

    assert predict(neighbour, MODEL | {"value": 1}).status_code == 200
