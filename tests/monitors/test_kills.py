"""If a worker or the database is killed, no verdict and no message is lost."""

import random
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.config import Settings
from app.embedded.server import running
from app.factory import create_app
from app.monitors.deliveries import deliver_due
from app.store.database import Database
from app.store.migration import upgrade
from tests.api.given import keyed_client
from tests.effort import is_thorough
from tests.monitors.given import (
    HOUR,
    MINUTE,
    START,
    definition,
    given_truths,
    history,
    judge,
    labels_of,
    put,
    rewind,
    series_of,
    store_truths,
)
from tests.monitors.test_deliveries import put_receiver
from tests.rollup.test_kills import (
    busy,
    kill_backends,
    kill_server,
    kill_worker,
    killable,
    wait_until_it_answers,
)

HOURS = 200


def given_hours(database):
    """Every other hour is bad; and a truth that comes half an hour late turns every fifth one."""
    series, labels = series_of(database, 1), labels_of(database, 1, ["cat", "dog"])
    rows = []
    for number in range(HOURS):
        start = START + number * HOUR
        hits = 9 if number % 2 else 5
        rows += given_truths(
            series, labels, hits=hits, misses=10 - hits, time=start, received_at=start
        )
        late = start + HOUR + 30 * MINUTE
        if number % 5 == 0:
            rows += given_truths(series, labels, hits=30, time=start, received_at=late)
    store_truths(database, rows)


@pytest.mark.parametrize("kill", [kill_worker, kill_backends, kill_server])
def test_no_verdict_and_no_message_is_lost(tmp_path, told, kill):
    cluster = killable(tmp_path)
    with running(cluster) as url:
        upgrade(url)
        settings = Settings(database_url=url, receiver_networks="127.0.0.0/8")
        database = Database.from_settings(settings)
        with database.writing() as conn:
            key = create_key(conn, 1, Role.ADMIN)
        client = keyed_client(create_app(settings, database), key)
        put_receiver(client, told.url)
        put(client, "m", definition(notify=["ops"]))
        rewind(database)
        given_hours(database)
        for _ in range(8 if is_thorough() else 2):
            with busy(url, "tests.monitors.busy") as process:
                time.sleep(random.uniform(0.1, 0.4))
                kill(cluster, process)
            database.dispose()
            with running(cluster):  # starts it again where it was killed
                wait_until_it_answers(database)
        end = finish(database, settings)
        check(database, told, end)
        database.dispose()


def finish(database, settings):
    """One more round, and all that is left to deliver. Returns until when it was judged."""
    with database.reading() as conn:
        as_of = conn.execute(text("SELECT as_of FROM monitor_round")).scalar_one()
    end = max(as_of + timedelta(minutes=10), START + 30 * HOUR)
    judge(database, end)
    patient = replace(settings, statement_timeout_ms=0)
    for _ in range(5 * HOURS):
        with database.writing() as conn:
            conn.execute(text("UPDATE delivery SET due_at = now() WHERE delivered_at IS NULL"))
        if not deliver_due(database, patient):
            return end
    raise AssertionError("deliveries never end")


def check(database, told, end):
    """Each window has its verdict, and the receiver knows each of them, by the ids of messages."""
    found = history(database, 1, "m")
    wanted = []
    for number in range((end - START) // HOUR):
        turned = START + (number + 1) * HOUR + 30 * MINUTE < end and number % 5 == 0
        wanted.append("ok" if number % 2 or turned else "critical")
    assert [verdict.state for verdict in found] == wanted
    with database.reading() as conn:
        rows = conn.execute(text("SELECT message_id, body FROM delivery ORDER BY id")).all()
        states = conn.execute(text("SELECT count(*) FROM verdict")).scalar_one()
    by_id = {}
    for id_, body in zip(told.ids, told.bodies, strict=True):
        by_id.setdefault(id_, body)
        assert by_id[id_] == body, "a repeat says the same"
    assert list(by_id) == [f"msg_{row.message_id.hex}" for row in rows], "in their order"
    assert list(by_id.values()) == [row.body for row in rows]
    assert len(rows) > 20
    assert states >= len(found)
