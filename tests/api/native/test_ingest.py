"""Native ingest of predictions: valid input is stored, once."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from backports import zstd
from sqlalchemy import text

from tests.api.given import (
    MODEL,
    NOTHING,
    keyed_client,
    ndjson,
    predict,
    prediction,
    send,
    tell,
    truth,
    verdict,
)
from tests.ingest import crowd

BATCH = json.dumps({"predictions": [prediction(label="a"), prediction(label="b")]})
FIRST, OF_LABEL, FAILED = True, True, True


def at_once(app, workspace, *tasks):
    """Results of tasks that start together, each with a client of its own."""
    clients = [keyed_client(app, workspace.ingest_key) for _ in tasks]
    return crowd.at_once(*map(partial, tasks, clients))


# --- outputs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(
            {"label": "cat"}, [("cat", None, None, FIRST, OF_LABEL, not FAILED)], id="label"
        ),
        pytest.param(
            {"label": "cat", "confidence": 0.75},
            [("cat", None, 0.75, FIRST, OF_LABEL, not FAILED)],
            id="label with confidence",
        ),
        pytest.param(
            {"scores": {"cat": 0.25, "dog": 0.5, "eel": 0.25}},
            [("dog", None, 0.5, FIRST, OF_LABEL, not FAILED)],
            id="largest of scores",
        ),
        pytest.param(
            {"scores": {"dog": 0.5, "cat": 0.5}},
            [("dog", None, 0.5, FIRST, OF_LABEL, not FAILED)],
            id="first of equal scores",
        ),
        pytest.param(
            {"value": -2.5}, [(None, -2.5, None, FIRST, OF_LABEL, not FAILED)], id="value"
        ),
        pytest.param(
            {"value": 0}, [(None, 0.0, None, FIRST, OF_LABEL, not FAILED)], id="value nought"
        ),
        pytest.param(
            {
                "detections": [
                    {"label": "cat", "confidence": 0.9},
                    {"label": "dog", "confidence": 0.8},
                    {"label": "cat", "confidence": 0.7},
                ]
            },
            [
                ("cat", None, 0.9, FIRST, OF_LABEL, not FAILED),
                ("dog", None, 0.8, not FIRST, OF_LABEL, not FAILED),
                ("cat", None, 0.7, not FIRST, not OF_LABEL, not FAILED),
            ],
            id="detections",
        ),
        pytest.param(
            {"detections": []},
            [("", None, 0.0, FIRST, OF_LABEL, not FAILED)],
            id="nothing detected",
        ),
        pytest.param(
            {"error": True}, [(None, None, None, FIRST, OF_LABEL, FAILED)], id="error alone"
        ),
        pytest.param(
            {"error": True, "label": "cat"},
            [("cat", None, None, FIRST, OF_LABEL, FAILED)],
            id="error with an output",
        ),
    ],
)
def test_an_output_is_stored(client, outputs, output, expected):
    assert verdict(predict(client, prediction(**output))) == (1, 0, 0)

    assert outputs() == expected


def test_a_prediction_is_stored_with_all_its_members(client, database, workspace):
    row = MODEL | {
        "time": "2025-02-25T13:51:22.123456+02:00",
        "deployment": "blue",
        "version": "7",
        "deploymentType": "canary",
        "serverVersion": "1.2",
        "requestId": "r",
        "batchIndex": 2**31 - 1,
        "label": "a",
        "latencySeconds": 0.25,
    }

    verdict(predict(client, row))

    with database.reading() as conn:
        query = """
            SELECT m.namespace, m.pipeline, m.name, m.kind, s.deployment, s.version,
                   s.deployment_type, s.server_version, p.time, p.request_id, p.batch_index,
                   p.latency_seconds
            FROM prediction AS p JOIN series AS s ON s.id = p.series_id
            JOIN model AS m ON m.id = s.model_id WHERE m.workspace_id = :id
        """
        found = conn.execute(text(query), {"id": workspace.id}).one()
    time = datetime(2025, 2, 25, 11, 51, 22, 123456, UTC)
    assert tuple(found) == (
        *("shop", "checkout", "fraud", "classification", "blue", "7", "canary", "1.2"),
        *(time, "r", 2**31 - 1, 0.25),
    )


def test_a_prediction_without_a_time_was_made_now(client, database, workspace):
    before = datetime.now(UTC)

    verdict(predict(client, MODEL | {"label": "a"}))

    query = "SELECT p.time FROM prediction AS p JOIN series ON series.id = p.series_id"
    query += " JOIN model ON model.id = model_id WHERE workspace_id = :id"
    with database.reading() as conn:
        (time,) = conn.execute(text(query), {"id": workspace.id}).scalars()
    assert before <= time <= datetime.now(UTC)


def test_a_clock_that_is_23_hours_ahead_is_believed(client):
    time = (datetime.now(UTC) + timedelta(hours=23)).isoformat()

    assert verdict(predict(client, prediction(label="a", time=time))) == (1, 0, 0)


def test_a_model_that_only_failed_so_far_may_become_of_any_kind(client):
    verdict(predict(client, prediction(error=True)))

    assert verdict(predict(client, prediction(value=1))) == (1, 0, 0)


# --- forms of a batch -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ndjson(prediction(label="a"), prediction(label="b")), id="lines"),
        pytest.param(ndjson(prediction(label="a"), prediction(label="b"))[:-1], id="no last end"),
        pytest.param(
            ndjson(prediction(label="a")) + "\r\n \n" + ndjson(prediction(label="b")),
            id="empty lines between",
        ),
    ],
)
def test_newline_delimited_json_is_accepted(client, body):
    assert verdict(send(client, body, content_type="application/x-ndjson")) == (2, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(BATCH.encode()), id="one member"),
        pytest.param(
            gzip.compress(BATCH[:50].encode()) + gzip.compress(BATCH[50:].encode()),
            id="two members",
        ),
    ],
)
def test_gzip_is_unpacked(client, body):
    assert verdict(send(client, body, Content_Encoding="gzip")) == (2, 0, 0)


def test_zstd_is_unpacked(client):
    two_frames = zstd.compress(BATCH[:50].encode()) + zstd.compress(BATCH[50:].encode())

    for body in (zstd.compress(BATCH.encode()), two_frames):
        assert verdict(send(client, body, Content_Encoding="zstd")) == (2, 0, 0)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"],
)
def test_a_content_type_may_say_more(client, content_type):
    assert verdict(send(client, BATCH, content_type=content_type)) == (2, 0, 0)


def test_names_are_unicode(client, outputs):
    verdict(predict(client, prediction(label="猫 \U0001f408 é")))

    assert outputs()[0][0] == "猫 \U0001f408 é"


# --- repeated batches -----------------------------------------------------------------------


def test_a_batch_repeated_under_its_key_changes_nothing(client, stored):
    assert verdict(send(client, BATCH, Idempotency_Key="k")) == (2, 0, 0)
    before = stored()

    assert verdict(send(client, BATCH, Idempotency_Key="k")) == (0, 2, 0)
    assert stored() == before


def test_a_repeated_batch_may_come_packed(client):
    send(client, BATCH, Idempotency_Key="k")

    packed = gzip.compress(BATCH.encode())
    answer = send(client, packed, Idempotency_Key="k", Content_Encoding="gzip")
    assert verdict(answer) == (0, 2, 0)


def test_two_attempts_at_once_under_one_key_store_the_batch_once(app, workspace, stored):
    def attempt(client):
        return verdict(send(client, BATCH, Idempotency_Key="k"))

    assert sorted(at_once(app, workspace, attempt, attempt)) == [(0, 2, 0), (2, 0, 0)]
    assert stored()["prediction"] == 2


def test_a_key_used_for_another_batch_is_refused(client, stored):
    send(client, BATCH, Idempotency_Key="k")
    before = stored()

    answer = send(client, BATCH.replace('"b"', '"a"'), Idempotency_Key="k")
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["type"] == "/problems#IdempotencyKeyReused"
    assert answer.json["detail"] == "this Idempotency-Key was used for a different batch"
    assert stored() == before


def test_predictions_and_feedback_may_use_the_same_key(client):
    key = {"Idempotency-Key": "k"}
    verdict(predict(client, prediction(requestId="r", label="a"), **key))

    assert verdict(tell(client, truth("r", label="a"), **key)) == (1, 0, 0)


def test_workspaces_may_use_the_same_key(client, neighbour):
    verdict(send(client, BATCH, Idempotency_Key="k"))

    assert verdict(send(neighbour, BATCH, Idempotency_Key="k")) == (2, 0, 0)


def test_the_same_batch_without_a_key_is_another_one(client):
    verdict(send(client, BATCH))

    assert verdict(send(client, BATCH)) == (2, 0, 0)


# --- repeated requests ----------------------------------------------------------------------


def test_a_repeated_request_id_is_a_duplicate(client, outputs):
    verdict(predict(client, prediction(requestId="r", label="first")))

    again = prediction(requestId="r", label="second")
    assert verdict(predict(client, again, prediction(requestId="s", label="a"))) == (1, 1, 0)
    assert [label for label, *_ in outputs()] == ["first", "a"]


def test_of_equal_request_ids_in_a_batch_the_first_is_stored(client, outputs):
    rows = [prediction(requestId="r", label=label) for label in ("first", "second", "third")]

    assert verdict(predict(client, *rows, prediction(requestId="s", label="a"))) == (2, 2, 0)
    assert sorted(label for label, *_ in outputs()) == ["a", "first"]


def test_requests_that_arrive_twice_at_once_are_stored_once(app, workspace, stored):
    rows = [prediction(requestId=f"r{number}", label="a") for number in range(50)]

    def forward(client):
        return verdict(predict(client, *rows))

    def backward(client):
        return verdict(predict(client, *reversed(rows)))

    accepted, duplicates, _ = zip(*at_once(app, workspace, forward, backward), strict=True)
    assert (sum(accepted), sum(duplicates)) == (50, 50)
    assert stored()["prediction"] == 50


@pytest.mark.parametrize(
    "difference",
    [{"batchIndex": 1}, {"version": "2"}, {"deployment": "green"}, {"model": "other"}],
    ids=lambda difference: next(iter(difference)),
)
def test_request_ids_are_distinguished_by(client, difference):
    row = prediction(requestId="r", label="a")

    assert verdict(predict(client, row, row | difference)) == (2, 0, 0)


def test_a_failed_attempt_does_not_hide_the_retry_that_succeeds(client, outputs):
    verdict(predict(client, prediction(requestId="r", error=True)))

    assert verdict(predict(client, prediction(requestId="r", label="a"))) == (1, 0, 0)
    assert [label for label, *_ in outputs()] == [None, "a"]


def test_a_failed_request_sent_twice_is_a_duplicate(client):
    failed = prediction(requestId="r", error=True)

    assert verdict(predict(client, failed, failed)) == (1, 1, 0)


# --- kinds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "field", "reason"),
    [
        ({"value": 1}, "value", "does classification, and this is regression"),
        ({"detections": []}, "detections", "does classification, and this is detection"),
    ],
    ids=["value", "detections"],
)
def test_a_classifier_makes_no(client, stored, output, field, reason):
    verdict(predict(client, prediction(label="a")))
    before = stored()

    answer = predict(client, prediction(scores={"a": 1}), prediction(**output))
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {"index": 1, "field": field, "reason": f"model shop/checkout/fraud {reason}"}
    ]
    assert stored() == before


def test_a_batch_that_contradicts_itself_registers_no_model(client, stored):
    answer = predict(client, prediction(value=1), prediction(error=True), prediction(label="a"))

    reason = "model shop/checkout/fraud does regression, and this is classification"
    assert answer.json["errors"] == [{"index": 2, "field": "label", "reason": reason}]
    assert stored() == NOTHING
