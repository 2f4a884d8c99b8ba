"""Craft's endpoints on the wire: pages, error forms, and bad input that leaves nothing behind."""

import json
import logging

import pytest

from app.query import steps
from tests.api.given import LIST, NOTHING, SINGLE, append, keyed_client, record, recorded
from tests.ingest.crowd import at_once

BOTH = [SINGLE, LIST]


def refused(answer, status, name=None):
    """The message of an error in Craft's form."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    assert answer.json.keys() == {"message", "name", "request_id"}
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    if name:
        assert answer.json["name"] == name
    return answer.json["message"]


def page(client, path=SINGLE, **query):
    answer = client.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def names(client, path=SINGLE, **query):
    return [row["name"] for row in page(client, path, **query)["metrics"]]


# --- pages ----------------------------------------------------------------------------------


@pytest.fixture
def seven(client):
    """Seven scalars and lists; the first are recorded once more at the end."""
    for number in (*range(7), 0, 1):
        recorded(record(client, f"m{number}", number))
        recorded(append(client, f"m{number}", [number]))


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_pages_are_in_order_and_without_gaps(client, seven, path, size):
    pages = [page(client, path, items_per_page=size, page=number) for number in range(1, 9)]

    assert {one["total_count"] for one in pages} == {7}
    rows = [row["name"] for one in pages for row in one["metrics"]]
    assert rows == [f"m{number}" for number in range(7)]


@pytest.mark.parametrize("path", BOTH)
def test_a_new_metric_moves_no_page(client, seven, path):
    before = names(client, path, items_per_page=3, page=2)
    recorded(record(client, "a-new-one", 1, execution="another"))
    recorded(append(client, "a-new-one", [1], execution="another"))

    assert names(client, path, items_per_page=3, page=2) == before
    assert names(client, path, items_per_page=3, page=3) == ["m6", "a-new-one"]


@pytest.mark.parametrize("path", BOTH)
def test_the_default_page_is_the_first_and_large(client, seven, path):
    assert len(page(client, path)["metrics"]) == 7
    assert page(client, path, page=2**31 - 1)["metrics"] == []


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"page": 0}, "page must be greater"),
        ({"page": "x"}, "page not a valid integer"),
        ({"page": 2**31}, "page must be"),
        ({"items_per_page": 5001}, "items_per_page must be"),
        ({"items_per_page": -1}, "items_per_page must be"),
        ({"filters[nam]": "x"}, "filters[nam] is not a parameter"),
        ({"filters[name]": "a\0"}, "filters[name] must not contain the character NUL"),
    ],
)
def test_refused_questions(client, path, query, message):
    assert message in refused(client.get(path, query_string=query), 422)


def test_a_page_of_long_lists_comes_in_pieces(client, monkeypatch):
    """With the same rows, however much is held at a time."""
    for number in range(6):
        for _ in range(number):
            recorded(append(client, f"m{number}", [number] * number))
    whole = page(client, LIST)

    for portion in (1, 5, 30):
        monkeypatch.setattr(steps, "PORTION", portion)
        answer = client.get(LIST)
        assert answer.is_streamed
        assert json.loads(answer.data) == whole
    assert [len(row["values"]) for row in whole["metrics"]] == [1, 4, 9, 16, 25]


def test_a_key_may_stand_in_the_query(app, client, workspace):
    recorded(record(client, "loss", 1))
    stranger = app.test_client()

    assert names(stranger, api_key=workspace.read_key) == ["loss"]


# --- the form of errors ---------------------------------------------------------------------


@pytest.mark.parametrize("path", BOTH)
def test_wrong_methods_and_paths_are_rejected_in_craft_s_form(client, path):
    for method, where in [("DELETE", path), ("PUT", path + "/"), ("GET", path + "/x")]:
        assert refused(client.open(where, method=method), 405)
    assert refused(client.patch(f"{path}/a/b"), 405)
    assert refused(client.get("/api/v1/auth/nothing"), 404)


def test_other_paths_are_not_craft_s(client):
    answer = client.get("/api/v1/metrics/single-values")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("send", [record, append])
def test_a_body_beyond_the_limit_is_413(small_client, stored, send):
    value = 1 if send is record else [1]
    message = refused(send(small_client, "loss", value, filler="x" * 3000), 413, "TooLarge")

    assert message == "a body may have at most 2000 bytes"
    assert stored() == NOTHING


def test_a_crash_is_reported_in_craft_s_form_without_details(client, monkeypatch, caplog):
    def crash(*_, **__):
        raise RuntimeError("secret")

    caplog.set_level(logging.CRITICAL)
    for name in ("record_value", "append_values", "step_metrics"):
        monkeypatch.setattr(f"app.api.craft.routes.{name}", crash)
    for answer in (
        record(client, "loss", 1),
        append(client, "loss", [1]),
        client.get(SINGLE),
        client.get(LIST),
    ):
        assert "secret" not in refused(answer, 500)


def test_roles(app, workspace, stored):
    reader, writer = (keyed_client(app, key) for key in (workspace.read_key, workspace.ingest_key))

    refused(record(reader, "loss", 1), 403, "Forbidden")
    refused(append(reader, "loss", [1]), 403, "Forbidden")
    assert stored() == NOTHING
    recorded(record(writer, "loss", 1))
    refused(writer.get(SINGLE), 403, "Forbidden")
    refused(app.test_client().get(SINGLE), 401, "Unauthenticated")


# --- bad input ------------------------------------------------------------------------------

BAD_NUMBERS = ["true", '"1"', "null", "1e400", "-1e400", "1" + "0" * 400, "[1]", "{}", "NaN", "01"]
BAD_BODIES = [
    "",
    "[]",
    "1",
    "{",
    "{}",
    '{"value": 1, "values": [1]}',
    '{"value": 1, "values": [1], "execution_id": ""}',
    '{"value": 1, "values": [1], "execution_id": 1}',
    '{"value": 1, "values": [1], "execution_id": null}',
    '{"value": 1, "values": [1], "execution_id": "a\\u0000"}',
    json.dumps({"value": 1, "values": [1], "execution_id": "x" * 201}),
    '{"execution_id": "x"}',
    '{"value": 1, "values": {"0": 1}, "execution_id": 2}',
    *(f'{{"value": {n}, "values": [0.5, {n}], "execution_id": "x"}}' for n in BAD_NUMBERS),
    "[" * 100_000,
]


@pytest.mark.parametrize("body", [*BAD_BODIES, b"\xff", b'{"execution_id": "\xff"}'])
def test_a_body_that_cannot_be_stored_leaves_nothing(client, stored, body):
    for answer in (
        client.put(f"{SINGLE}/loss", data=body, content_type="application/json"),
        client.post(f"{LIST}/loss", data=body, content_type="application/json"),
    ):
        assert refused(answer, 400, "InvalidInput")
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 201, "a metric's name must have at most 200 characters"),
        ("%00", "a metric's name must not contain the character NUL"),
    ],
)
def test_a_name_that_cannot_be_stored_leaves_nothing(client, stored, name, message):
    assert refused(record(client, name, 1), 400, "InvalidInput") == message
    assert refused(append(client, name, [1]), 400, "InvalidInput") == message
    assert stored() == NOTHING


def test_a_body_of_another_type_is_refused(client, stored):
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.put(f"{SINGLE}/loss", data="{}", content_type=content_type)
        assert "application/json" in refused(answer, 415)
    assert stored() == NOTHING


def test_more_values_than_a_list_may_have_are_refused_at_once(client, stored):
    answer = append(client, "loss", [1] * 50_001)

    expected = "a list may contain at most 50000 values per execution"
    assert refused(answer, 413, "TooLarge") == expected
    assert stored() == NOTHING


def test_a_refused_append_changes_nothing(client, stored):
    recorded(append(client, "loss", [1] * 49_999))
    before, rows = stored(), page(client, LIST)

    message = refused(append(client, "loss", [2, 3]), 409, "ListFull")

    assert message == (
        "the list has 49999 values, and 2 more would exceed the limit of 50000 per execution;"
        " none of them was stored"
    )
    assert stored() == before
    assert page(client, LIST) == rows


def test_an_empty_append_is_nothing(client, stored):
    recorded(append(client, "loss", []))
    assert stored() == NOTHING


# --- retries --------------------------------------------------------------------------------


def history(client, kind, **named):
    asked = {"name": "loss", "execution": "x", "kind": kind} | named
    return client.get("/api/v1/metrics/steps/values", query_string=asked).json["values"]


def test_what_comes_again_under_its_key_is_recorded_once(client):
    for _ in range(3):
        recorded(append(client, "loss", [1, 2], key="k"))
        recorded(record(client, "loss", 0.5, key="k"))
    recorded(record(client, "loss", 0.25))
    recorded(record(client, "loss", 0.5, key="k"))

    assert history(client, "list") == [1, 2]
    assert history(client, "scalar") == [0.5, 0.25]
    assert page(client)["metrics"][0]["value"] == 0.25


def test_the_same_without_a_key_or_under_another_is_more(client):
    for key in (None, None, "a", "b"):
        recorded(append(client, "loss", [1], key=key))

    assert history(client, "list") == [1] * 4


def test_tries_at_once_under_one_key_append_once(app, workspace):
    def attempt():
        recorded(append(keyed_client(app, workspace.ingest_key), "loss", [1, 2], key="k"))

    at_once(*[attempt] * 8)

    assert history(keyed_client(app, workspace.admin_key), "list") == [1, 2]


@pytest.mark.parametrize(
    "another",
    [
        lambda client: append(client, "loss", [1, 3], key="k"),
        lambda client: append(client, "los", [1, 2], key="k"),
        lambda client: append(client, "loss", [1, 2], execution="y", key="k"),
    ],
)
def test_a_key_used_for_other_values_is_refused(client, stored, another):
    recorded(append(client, "loss", [1, 2], key="k"))
    before = stored()

    message = refused(another(client), 422, "IdempotencyKeyReused")

    assert message == "this Idempotency-Key was used for a different batch"
    assert stored() == before


def test_the_key_of_a_refused_append_is_free_again(client):
    recorded(append(client, "loss", [1] * 49_999))
    refused(append(client, "loss", [2, 3], key="k"), 409, "ListFull")
    recorded(append(client, "loss", [2], key="k"))

    assert page(client, LIST)["metrics"][0]["values"][-2:] == [1, 2]


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(client, stored, key):
    for send in (record, append):
        answer = send(client, "loss", [1] if send is append else 1, key=key)
        assert "Idempotency-Key must be 1 to 255" in refused(answer, 400, "InvalidInput")
    assert stored() == NOTHING
