"""Times finer than a microsecond are truncated, in every dialect: none moves to the next hour."""

from datetime import datetime

import pytest
from sqlalchemy import text

from tests.api.events_given import RESPONSE, attributes, message
from tests.api.events_given import send as send_event
from tests.api.given import (
    given_pairs,
    native_metrics,
    ndjson,
    predict,
    prediction,
    send,
    verdict,
)
from tests.api.roboflow_given import accepted, inference, post

LAST = "2026-03-01T10:59:59.999999+00:00"
FINER = ("2026-03-01T10:59:59.9999999Z", "2026-03-01T12:59:59.99999951234567890123+02:00")
_TIMES = text("""
    SELECT p.time FROM prediction AS p
    JOIN series ON series.id = p.series_id JOIN model ON model.id = series.model_id
    WHERE model.workspace_id = :id
""")


@pytest.fixture
def times(database, workspace):
    """When the predictions of the workspace happened, as it is stored."""

    def read():
        with database.reading() as conn:
            return {
                time.isoformat() for time in conn.execute(_TIMES, {"id": workspace.id}).scalars()
            }

    return read


@pytest.mark.parametrize("time", FINER)
def test_of_rows(client, times, time):
    row = prediction(label="a", time=time)
    assert verdict(predict(client, row)) == (1, 0, 0)
    assert verdict(send(client, ndjson(row), content_type="application/x-ndjson")) == (1, 0, 0)

    assert times() == {LAST}


@pytest.mark.parametrize("time", FINER)
def test_of_events(client, times, time):
    answer = message([[0.1, 0.9]])
    structured = attributes("2", type=RESPONSE, time=time, requestid="r2") | {"data": answer}
    for sent in (
        send_event(client, answer, type=RESPONSE, time=time),
        client.post("/", json=structured, content_type="application/cloudevents+json"),
        client.post("/", json=[structured], content_type="application/cloudevents-batch+json"),
    ):
        assert sent.status_code == 204

    assert times() == {LAST}


def test_of_pingbacks(client, times):
    result = inference("cards/4", ("card", 0.5))
    result["request_time"] = 1772362799.9999998  # the last double before eleven
    assert accepted(post(client, result)) == (1, 0)

    assert times() == {LAST}


@pytest.mark.parametrize("seconds", [1772362799.18, 1772362799.3, 1772362799.999999])
def test_a_time_in_seconds_is_its_decimal(client, times, seconds):
    """The double nearest to some of these is below them."""
    result = inference("cards/4", ("card", 0.5)) | {"request_time": seconds}
    assert accepted(post(client, result)) == (1, 0)

    fraction = repr(seconds).partition(".")[2].ljust(6, "0")
    assert times() == {f"2026-03-01T10:59:59.{fraction}+00:00"}


def test_of_workflows(client, workspace, times):
    flat = {"model_id": "cards/4", "inference_id": "i", "class_name": "a", "confidence": 0.5}
    block = {"timestamp": FINER[0], "inference_results": [flat]}
    assert accepted(client.post(f"/{workspace.name}/inference-stats", json=block)) == (1, 0)

    assert times() == {LAST}


def test_of_executions(client):
    told = {"startedAt": FINER[1], "finishedAt": FINER[0]}
    answer = client.put("/api/v1/executions/x", json=told)

    assert {answer.json[name] for name in told} == {"2026-03-01T10:59:59.999999Z"}


def test_of_bounds(client):
    """A bound is cut as an event at it is, so the event lies after the one and not before it."""
    given_pairs(client, [("a", "a")], time=datetime.fromisoformat(LAST))
    hour = {"startTime": "2026-03-01T10:00:00Z", "endTime": "2026-03-01T11:00:00Z"}

    def predictions(**bounds):
        (bucket,) = native_metrics(client, **(hour | bounds)).json["buckets"]
        return bucket["predictions"]

    assert predictions() == 1
    assert predictions(startTime=FINER[0]) == 1
    assert predictions(endTime=FINER[0]) == 0


def test_of_the_moment_that_is_asked_as_of(client):
    verdict(predict(client, prediction(label="a")))
    answer = native_metrics(client, asOf=FINER[0])

    assert answer.json["freshness"]["asOf"] == "2026-03-01T10:59:59.999999Z"
