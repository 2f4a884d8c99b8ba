"""Requests that get no response are counted as failed, where the operator wants that."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.factory import create_app
from app.ingest.events import unanswered
from app.ingest.events.unanswered import store_unanswered
from app.store.database import Database
from app.upkeep.housekeeping import do_round
from tests.api.events_given import NATIVE, REQUEST, RESPONSE, SEED, feedback, message, send
from tests.api.given import keyed_client, predict, verdict

ANSWER = message([[0.1, 0.9]])
NOON = "2026-03-01T12:00:00Z"
DAY = {name: NATIVE[name] for name in ("startTime", "endTime")}
_AGE = text("""
    UPDATE event_pair SET received_at = received_at - INTERVAL '60 s' WHERE workspace_id = :id
""")


@pytest.fixture
def awaiting(app, database, workspace):
    """A client of a server that counts requests without a response."""
    settings = replace(app.extensions["settings"], unanswered_after_s=30)
    return keyed_client(create_app(settings, database), workspace.admin_key)


@pytest.fixture
def a_minute_later(database, workspace):
    """Makes what was sent a minute older, and lets the worker look."""

    def pass_():
        with database.writing() as conn:
            conn.execute(_AGE, {"id": workspace.id})
        store_unanswered(database, 30)

    return pass_


def ask(client, id_="r1", **given):
    answer = send(client, ANSWER, f"{id_}-q", type=REQUEST, requestid=id_, **{"time": NOON} | given)
    assert answer.status_code == 204


def respond(client, id_="r1", body=ANSWER, **given):
    assert send(client, body, f"{id_}-a", type=RESPONSE, requestid=id_, **given).status_code == 204


def counts(client):
    """Successful and failed inferences."""
    totals = client.get("/api/v1/inference-stats", query_string=DAY).json["totals"]
    return totals["inferences"]["now"], totals["errors"]["now"]


def test_a_request_without_a_response_is_a_failure_of_its_model(awaiting, a_minute_later, outputs):
    ask(awaiting)
    ask(awaiting, "r2")
    respond(awaiting, "r2")
    a_minute_later()
    a_minute_later()

    assert counts(awaiting) == (1, 1)
    (model,) = awaiting.get("/api/v1/models", query_string=DAY).json["models"]
    names = [model[name] for name in ("namespace", "pipeline", "model")]
    assert names == [NATIVE[name] for name in ("namespace", "pipeline", "model")]
    assert (model["deployments"], model["versions"]) == (["multiclass-model"], ["main"])
    failure = next(output for output in outputs() if output[0] is None)
    assert failure == (None, None, None, True, True, True)


def test_not_before_its_time(awaiting, database):
    ask(awaiting)
    store_unanswered(database, 30)

    assert counts(awaiting) == (0, 0)


def test_by_default_nothing_is(client, a_minute_later, database, workspace):
    ask(client)
    a_minute_later()

    assert counts(client) == (0, 0)
    with database.reading() as conn:
        kept = text("SELECT request FROM event_pair WHERE workspace_id = :id")
        assert conn.execute(kept, {"id": workspace.id}).scalars().all() == [None]


@pytest.mark.parametrize("first", ["request", "response"])
def test_a_response_in_time_in_any_order(awaiting, a_minute_later, first):
    for half in (ask, respond) if first == "request" else (respond, ask):
        half(awaiting)
    a_minute_later()

    assert counts(awaiting) == (1, 0)


@pytest.mark.parametrize("body", [{"strData": "a"}, {"status": {"status": "FAILURE"}}])
def test_any_response_is_one(awaiting, a_minute_later, body):
    ask(awaiting)
    respond(awaiting, body=body)
    a_minute_later()

    assert counts(awaiting) == ((1, 0) if "strData" in body else (0, 1))


def test_a_response_that_comes_later_is_stored_too(awaiting, a_minute_later):
    """Rows are append-only: the failure stays, as if a retry had succeeded."""
    ask(awaiting)
    a_minute_later()
    respond(awaiting)
    a_minute_later()

    assert counts(awaiting) == (1, 1)
    send(awaiting, feedback(None, [[0, 1]]), "f")
    answer = awaiting.get("/api/v1/metrics/classification", query_string=NATIVE)
    assert answer.json["buckets"][0]["n"] == 1


def test_an_answer_that_came_another_way_is_one(awaiting, a_minute_later):
    ask(awaiting)
    ask(awaiting, "r2")
    send(awaiting, SEED, "f", time=NOON)  # a feedback that contains it
    row = {name: NATIVE[name] for name in ("namespace", "pipeline", "model")}
    row |= {"deployment": "multiclass-model", "version": "main", "time": NOON, "label": "CLASS_1"}
    verdict(predict(awaiting, row | {"requestId": "r2"}))
    a_minute_later()

    assert counts(awaiting) == (2, 0)


@pytest.mark.parametrize("given", [{"requestid": None}, {"time": None}])
def test_without_an_id_or_a_time_a_request_is_not_awaited(awaiting, a_minute_later, given):
    send(awaiting, ANSWER, "q", **{"type": REQUEST, "time": NOON} | given)
    a_minute_later()

    assert counts(awaiting) == (0, 0)


def test_a_request_of_the_future_does_not_stop_the_others(awaiting, a_minute_later):
    ask(awaiting, "r1", time="2999-01-01T00:00:00Z")
    ask(awaiting, "r2")
    a_minute_later()

    assert counts(awaiting) == (0, 1)


def test_many_are_stored_in_parts(awaiting, a_minute_later, monkeypatch):
    monkeypatch.setattr(unanswered, "CHUNK", 2)
    for number in range(5):
        ask(awaiting, f"r{number}")
    a_minute_later()

    assert counts(awaiting) == (0, 5)


def test_while_a_response_is_being_stored_the_worker_waits_for_it(
    awaiting, a_minute_later, database, workspace
):
    ask(awaiting)
    answered = text("""
        UPDATE event_pair SET responded_at = now(), request = NULL WHERE workspace_id = :id
    """)
    with database.writing() as conn:
        conn.execute(_AGE, {"id": workspace.id})
    with database.writing() as conn:
        conn.execute(answered, {"id": workspace.id})
        worker = threading.Thread(target=store_unanswered, args=(database, 30))
        worker.start()
        worker.join(0.3)
        assert worker.is_alive()
    worker.join(30)

    assert not worker.is_alive()
    assert counts(awaiting) == (0, 0)


def test_the_worker_counts_them_in_its_round(fresh_database_url):
    """Without a race with other tests: in a database of its own."""
    settings = Settings(database_url=fresh_database_url, unanswered_after_s=0.001)
    database = Database.from_settings(settings)
    with database.writing() as conn:
        key = create_key(conn, find_or_create_workspace(conn, "w"), Role.ADMIN)
    client = keyed_client(create_app(settings, database), key)
    ask(client)
    do_round(database, settings)

    assert counts(client) == (0, 1)
    database.dispose()


@pytest.mark.parametrize("seconds", [-1, 43_201])
def test_a_time_that_cannot_be_is_refused(seconds):
    with pytest.raises(ValueError, match="TRUTHLINE_UNANSWERED_AFTER_S must be 0 to 43200"):
        Settings(unanswered_after_s=seconds)
