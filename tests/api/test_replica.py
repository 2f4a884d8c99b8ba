"""Questions to a streaming replica: what it answers, and when the primary does.

The replica is a real one. Pausing its replay makes it lag.
"""

import itertools
import random
import re
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text
from truthline import Client

from app.api.http.positions import HEADER
from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.embedded.server import running
from app.factory import create_app
from app.store.database import Database, driver
from app.store.migration import upgrade
from tests.api.given import (
    MODEL,
    START,
    given_pairs,
    keyed_client,
    predict,
    prediction,
    verdict,
)
from tests.api.live import serving
from tests.api.test_every_route import ask_all, given_something
from tests.conftest import Workspace
from tests.recorder import QueryRecorder
from tests.replicas import primary_server, standby_of

PATIENCE_S = 20
STATE = text("""
    SELECT pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn(), pg_get_wal_replay_pause_state(),
           (SELECT status FROM pg_stat_wal_receiver)
""")
CLASSIFICATION = "/api/v1/metrics/classification"
DAY = {"startTime": "2025-02-25T00:00:00Z", "endTime": "2025-02-26T00:00:00Z"}


@pytest.fixture(scope="module")
def primary(tmp_path_factory):
    with primary_server(tmp_path_factory.mktemp("primary")) as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="module")
def standby(primary, tmp_path_factory):
    return standby_of(primary, tmp_path_factory.mktemp("standby") / "data")


@pytest.fixture(scope="module")
def settings(primary, standby):
    with running(standby) as url:
        yield Settings(database_url=primary, read_database_url=url)


@pytest.fixture(scope="module")
def database(settings):
    database = Database.from_settings(settings)
    yield database
    database.dispose()


@pytest.fixture
def workspace(database):
    with database.writing() as conn:
        id_ = find_or_create_workspace(conn, name := f"test-{random.random()}")
        keys = [create_key(conn, id_, role) for role in (Role.INGEST, Role.READ, Role.ADMIN)]
    return Workspace(id_, name, *keys)


@pytest.fixture
def client(settings, database, workspace):
    return keyed_client(create_app(settings, database), workspace.admin_key)


@pytest.fixture
def hold(settings, database):
    """Stops the replica from replaying within a block."""
    with psycopg.connect(
        settings.read_database_url.replace("+psycopg", ""), autocommit=True
    ) as conn:

        @contextmanager
        def holding():
            catch_up(database)
            conn.execute("SELECT pg_wal_replay_pause()")
            try:
                yield
            finally:
                conn.execute("SELECT pg_wal_replay_resume()")

        yield holding


@pytest.fixture(autouse=True)
def caught_up(database):
    """No test finds the replica at rest, or behind, because of the one before."""
    database.replica._rests_until = 0.0
    catch_up(database)


def catch_up(database):
    position, deadline = database.replica.position(), time.monotonic() + PATIENCE_S
    with database.replica.engine.connect() as conn:
        while database.replica._position(conn) < position:
            assert time.monotonic() < deadline, f"behind {position:X}: {conn.execute(STATE).one()}"
            time.sleep(0.01)


def ask(client, headers=None, **parameters):
    return client.get(CLASSIFICATION, query_string=MODEL | DAY | parameters, headers=headers)


def counted(client, headers=None, **parameters):
    """The number of predictions, and the lag of the replica: None from the primary."""
    answer = ask(client, headers, **parameters)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    return body["buckets"][0]["predictions"], body["freshness"].get("replicaLagSeconds")


def store(client, *ids, **headers):
    """Store a prediction for each id; returns the position in the log."""
    answer = predict(client, *(prediction(requestId=id_, label="a") for id_ in ids), **headers)
    verdict(answer)
    return {HEADER: answer.headers[HEADER]}


# --- who answers ----------------------------------------------------------------------------


def test_the_replica_answers_every_question_as_the_primary_does(
    client, database, settings, workspace
):
    given_something(client)
    catch_up(database)
    alone = Database.from_settings(replace(settings, read_database_url=""))
    of_primary = keyed_client(create_app(settings, alone), workspace.admin_key)

    theirs = ask_all(of_primary, workspace)
    recorder = QueryRecorder()
    with recorder.watching(database.replica.engine):
        ours = ask_all(client, workspace)
    for path, answer in ours.items():
        assert answer.status_code == 200, path
        assert without_moments(answer) == without_moments(theirs[path]), path
    assert len(recorder.statements) > len(ours), "it was hardly asked"
    alone.dispose()


def without_moments(answer):
    """The body without what differs from moment to moment."""
    body = re.sub(r'"replicaLagSeconds":[^,}]+|"(asOf|cursor)":"[^"]+"', "", answer.text)
    return re.sub(r"[,{}]+", "", body) if answer.is_json else body


def test_a_question_sees_what_its_position_or_its_moment_says(client, hold):
    store(client, "before")
    with hold():
        written = store(client, "after")
        seen, lag = counted(client)
        assert (seen, lag is None) == (1, False), "this replica has not seen the last one"
        assert counted(client, consistent="true") == (2, None)
        assert counted(client, asOf=now().isoformat()) == (2, None)
        assert counted(client, written) == (2, None)
    seen, lag = counted(client, written)
    assert seen == 2
    assert lag is not None


def test_a_write_that_does_not_wait_for_the_disk_has_a_position_too(
    client, database, settings, workspace, hold
):
    url = f"{settings.database_url}&options=-c%20synchronous_commit%3Doff"
    hasty = Database.from_settings(replace(settings, database_url=url))
    writer = keyed_client(create_app(settings, hasty), workspace.admin_key)
    store(client, "one")
    for number in range(20):
        with hold() if number == 0 else nullcontext():
            assert counted(client, store(writer, f"more-{number}"))[0] == number + 2
    hasty.dispose()


def test_its_lag_is_said_and_one_that_is_too_far_behind_is_not_asked(
    client, database, settings, workspace, hold
):
    store(client, "before")
    near = Database.from_settings(replace(settings, max_replica_lag_s=0.5))
    strict = keyed_client(create_app(settings, near), workspace.admin_key)
    assert counted(strict)[1] is not None
    with hold():
        store(client, "after")
        time.sleep(1.5)
        seen, lag = counted(client)
        assert seen == 1
        assert 1.4 < lag < 60
        assert counted(strict) == (2, None)
        assert 1.4 < client.get("/readyz").get_json()["replica"]["lagSeconds"] < 60
        assert "truthline_replica_up 1.0" in client.get("/metrics").text
    near.dispose()


def test_a_replica_that_has_gone_is_replaced_by_the_primary_and_asked_again_once_it_is_back(
    primary, tmp_path, workspace
):
    cluster = standby_of(primary, tmp_path / "data")
    with running(cluster) as url:
        settings = Settings(database_url=primary, read_database_url=url)
        own = Database.from_settings(settings)
        client = keyed_client(create_app(settings, own), workspace.admin_key)
        store(client, "one")
        catch_up(own)
        assert counted(client)[1] is not None
    assert counted(client) == (1, None)
    assert client.get("/readyz").get_json()["replica"] == {"lagSeconds": None}
    assert "truthline_replica_up 0.0" in client.get("/metrics").text
    with running(cluster):
        own.replica._rests_until = 0.0
        catch_up(own)
        seen, lag = counted(client)
        assert seen == 1
        assert lag is not None
    own.dispose()


def test_another_database_is_no_replica(primary, server, workspace, caplog):
    other = Settings(database_url=primary, read_database_url=server)
    database = Database.from_settings(other)
    client = keyed_client(create_app(other, database), workspace.admin_key)
    store(client, "one")
    assert counted(client) == (1, None)
    assert "it is not a copy of the database of TRUTHLINE_DATABASE_URL" in caplog.text
    database.dispose()


def test_a_look_that_fails_leaves_no_connection_that_commits_each_statement(database):
    replica = database.replica
    with pytest.raises(psycopg.Error):
        replica._ask_primary("SELECT 1 / 0")
    with pytest.raises(psycopg.Error), replica.engine.connect() as conn:
        replica._ask(conn, "SELECT 1 / 0")
    for engine in (database.engine, replica.engine):
        with engine.connect() as conn:
            assert not driver(conn).autocommit


@pytest.mark.parametrize("position", ["1", "16/", "x/y", "16/B374D848'", "0/1 0/2"])
def test_what_is_no_position_is_refused(client, position):
    answer = ask(client, {HEADER: position})
    assert answer.status_code == 400
    assert HEADER in answer.get_json()["detail"]


def test_consistent_is_true_or_false(client):
    given_pairs(client, [("a", "a")])
    assert ask(client, consistent="true").status_code == 200
    refused = ask(client, consistent="maybe")
    assert (refused.status_code, refused.get_json()["detail"]) == (
        400,
        "consistent must be true or false",
    )


def test_the_client_reads_its_own_writes(settings, database, workspace, hold):
    app = create_app(settings, database)
    with serving(app) as url, Client(url, workspace.admin_key) as client:
        for number in range(2):
            with hold():
                row = {"label": "a", "request_id": str(number), "time": START}
                client.send_predictions([row], model="fraud")
                metrics = client.classification_metrics(
                    "fraud", start=START, end=START + timedelta(minutes=1)
                )
                assert metrics.buckets[0].predictions == number + 1


# --- whatever happens -----------------------------------------------------------------------


def test_no_answer_claims_more_than_it_counts(client, database, settings, workspace, hold):
    """While rows come in and replay stops and goes on, each answer is checked by what is known.

    It counts everything that was acknowledged by its `asOf`, and what its position asked for.
    """
    acknowledged = []  # (moment, rows so far, position)
    store(client, "first")
    done = threading.Event()

    def write():
        writer = keyed_client(create_app(settings, database), workspace.admin_key)
        for number in itertools.count():
            position = store(writer, *(f"{number}-{row}" for row in range(5)))
            acknowledged.append((now(), 5 * number + 6, position))
            if done.wait(0.02):
                return

    writing = threading.Thread(target=write)
    writing.start()
    by_replica = []
    try:
        for _ in range(4):
            with hold():
                by_replica += [check(client, acknowledged, asked=n == 1) for n in range(3)]
            by_replica += [check(client, acknowledged, asked=n == 1) for n in range(2)]
    finally:
        done.set()
        writing.join()
    assert sum(by_replica) >= len(by_replica) / 2, "the replica was hardly asked"


def check(client, acknowledged, *, asked):
    """One question, with the position of the newest write if `asked`; whether the replica knew."""
    known = list(acknowledged) or [(now(), 1, {})]
    body = ask(client, known[-1][2] if asked else None).get_json()
    seen, until = body["buckets"][0]["predictions"], body["freshness"]["asOf"]
    by_then = [rows for moment, rows, _ in known if moment <= datetime.fromisoformat(until)]
    assert seen >= max(by_then, default=1)
    if asked:
        assert seen >= known[-1][1]
    return "replicaLagSeconds" in body["freshness"]


def now():
    return datetime.now(UTC)
