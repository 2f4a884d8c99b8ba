"""What is sent while the demo serves: what is due, through the public API, once."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from app.config import Settings
from app.demo.live import Plan, replay
from app.demo.story import hour_of
from app.factory import create_app
from app.ingest.inferences import Prediction
from app.store.database import Database
from tests.api.live import Keeping, serving
from tests.demo.conftest import LESSON, count_rows, events_until
from tests.servers import free_port


@pytest.fixture
def database(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def plan(url, since):
    host, port = url.removeprefix("http://").split(":")
    return Plan(host, int(port), hour_of(since), since, LESSON.models, os.getpid())


def rounds(number):
    """Go on for some rounds, without a pause."""
    turns = iter(range(number))
    return lambda: next(turns, None) is not None


def test_what_is_due_is_sent_and_nothing_else(database):
    now = datetime.now(UTC)
    since = now - timedelta(hours=3)
    app = create_app(Settings(auth=False), database)

    with serving(app, Keeping) as url:
        replay(plan(url, since), rounds(6))

    due = [event for event in events_until(now, since) if event.arrival >= since]
    made = {event.request_id for event in due if isinstance(event.row, Prediction)}
    with database.reading() as conn:
        stored = conn.exec_driver_sql("""
            SELECT request_id, received_at FROM prediction WHERE starts_request
        """).all()
    assert made <= {row.request_id for row in stored}
    assert len(stored) == len({row.request_id for row in stored}) <= len(made) + 5
    assert all(row.received_at >= now for row in stored)  # by the database's clock
    known = {e.request_id for e in due if not isinstance(e.row, Prediction)} & made
    assert count_rows(database).known >= len(known) > 10


def test_what_could_not_be_sent_is_sent_again(database):
    now = datetime.now(UTC)
    since = now - timedelta(hours=2)
    app = create_app(Settings(auth=False), database)
    port = free_port()

    replay(plan(f"http://127.0.0.1:{port}", since), rounds(2))
    assert count_rows(database).predictions == 0
    for _ in range(2):  # the second time, it is stored already
        with serving(app, Keeping) as url:
            replay(plan(url, since), rounds(5))

    made = [e for e in events_until(now, since) if isinstance(e.row, Prediction)]
    due = {event.request_id for event in made if event.arrival >= since}
    assert len(due) <= count_rows(database).predictions <= len(due) + 5
