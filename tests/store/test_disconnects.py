"""Nobody waits for a database that hangs, and a database works for nobody who has left."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app.config import Settings
from app.errors import ClientGone, Unavailable
from app.store.database import Database
from app.store.disconnects import client_gone, time_limit

PATIENCE = 60
SLEEP = text("SELECT pg_sleep(:seconds), 'of test_asker'")
ASLEEP = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%of test_asker%' AND pid <> pg_backend_pid()
      AND datname = current_database()
""")
PID = text("SELECT pg_backend_pid()")


@contextmanager
def asked_by(gone):
    before = client_gone.set(gone)
    try:
        yield
    finally:
        client_gone.reset(before)


def wait_until_nobody_sleeps(database):
    deadline = time.monotonic() + PATIENCE
    with database.glancing() as conn:
        while conn.execute(ASLEEP.text).fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_who_left_cancels_what_is_read(database):
    with asked_by(lambda: True), pytest.raises(ClientGone), database.reading() as conn:
        conn.execute(SLEEP, {"seconds": 20})  # less than a statement may take

    wait_until_nobody_sleeps(database)
    with database.reading() as conn:
        assert conn.execute(text("SELECT 1")).scalar() == 1


def test_who_waits_gets_an_answer(database):
    with asked_by(lambda: False), database.reading() as conn:
        assert conn.execute(SLEEP, {"seconds": 2}).one()


def test_what_is_written_is_written_for_who_left_too(database):
    with asked_by(lambda: True), database.writing() as conn:
        assert conn.execute(SLEEP, {"seconds": 2}).one()


def test_what_nobody_asked_for_takes_as_long_as_it_needs(database):
    with time_limit(0.5), database.reading() as conn:
        assert conn.execute(SLEEP, {"seconds": 1}).one()


@contextmanager
def stopped(pid):
    """A backend that hangs, as on a disk that does not answer."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        pytest.skip("the server runs elsewhere")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def hurried(shared_settings):
    """A database whose statements have half a second, and five more until it times out."""
    settings = Settings(database_url=shared_settings.database_url, statement_timeout_ms=500)
    database = Database.from_settings(settings)
    yield database
    database.dispose()


@pytest.mark.parametrize("kind", ["reading", "writing"])
def test_a_database_that_hangs_is_given_up(hurried, kind):
    with (
        asked_by(lambda: False),
        pytest.raises(Unavailable),
        getattr(hurried, kind)() as conn,
        stopped(conn.execute(PID).scalar()),
    ):
        conn.execute(text("SELECT 1"))

    with hurried.reading() as conn:
        assert conn.execute(text("SELECT 1")).scalar() == 1


def test_a_glance_is_given_up_too(hurried):
    with (
        asked_by(lambda: False),
        time_limit(1),
        pytest.raises(Unavailable),
        hurried.glancing() as conn,
        stopped(conn.execute(PID.text).fetchone()[0]),
    ):
        conn.execute("SELECT 1")


def test_each_thread_has_an_asker_of_its_own(database):
    found = []
    with asked_by(lambda: True):
        thread = threading.Thread(target=lambda: found.append(client_gone.get()))
        thread.start()
        thread.join()

    assert found == [None]
