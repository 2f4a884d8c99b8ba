"""The service behind PgBouncer in transaction mode, whose sessions are everybody's.

The pool is small and hands out its server connections in turn, so that nothing that one transaction
leaves in its session is there in the next.
"""

import time
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, event, make_url, text

from app.auth.keys import Role, create_key
from app.auth.workspaces import default_workspace
from app.config import Settings
from app.errors import ClientGone, Unauthenticated, Unavailable
from app.factory import create_app
from app.store.database import Database, driver
from app.store.migration import downgrade, schema_version, upgrade
from app.upkeep.housekeeping import do_round, leading
from tests.api.given import (
    START,
    given_pairs,
    keyed_client,
    native_metrics,
    predict,
    prediction,
)
from tests.poolers import pooling
from tests.recorder import QueryRecorder
from tests.store.test_disconnects import SLEEP, asked_by, wait_until_nobody_sleeps

PATIENCE_S = 10  # far below the 20 s of the pooler and the 35 s of a silent database
SHOWN = text("""
    SELECT current_setting('search_path'), current_setting('TimeZone'),
           current_setting('statement_timeout')
""")
OURS = ("truthline_data, truthline, public", "UTC", "30s")
LEFT = """
    SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
    UNION ALL SELECT count(*) FROM pg_prepared_statements WHERE from_sql = false
"""


@pytest.fixture(scope="module")
def pooler(server, tmp_path_factory):
    """Three server connections: the leader of a round holds one, and works with the others."""
    with pooling(server, tmp_path_factory.mktemp("pooler"), size=3) as url:
        yield url


@pytest.fixture(scope="module")
def settings(pooler, empty_database_url, template):
    name = make_url(empty_database_url(template)).database
    return Settings(database_url=pooler.set(database=name).render_as_string(hide_password=False))


@pytest.fixture(scope="module")
def pooled(settings):
    database = Database.from_settings(settings)
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def client(settings, pooled):
    with pooled.writing() as conn:
        key = create_key(conn, default_workspace(pooled), Role.ADMIN)
    return keyed_client(create_app(settings, pooled), key)


@pytest.fixture
def sessions(settings):
    """Plain connections to the pooler, one for each of its server connections at the same time."""
    engine = create_engine(settings.database_url)
    conns = [engine.connect() for _ in range(3)]
    yield conns
    for conn in conns:
        conn.close()
    engine.dispose()


def test_each_transaction_has_our_settings_and_leaves_none(pooled, sessions):
    for _ in range(4):
        with pooled.reading() as conn:
            assert tuple(conn.execute(SHOWN).one()) == OURS
        with pooled.writing() as conn:
            assert tuple(conn.execute(SHOWN).one()) == OURS
        with pooled.glancing() as conn:
            assert conn.execute(SHOWN.text).fetchone() == OURS

    for conn in sessions:
        search_path, _, statement_timeout = conn.execute(SHOWN).one()
        assert "truthline" not in search_path
        assert statement_timeout == "0"


def test_settings_cost_no_statement(pooled, database):
    """They are sent with BEGIN: as many statements as without a pooler."""
    counts = []
    for each in (database, pooled):
        recorder = QueryRecorder()
        with each.reading() as conn:
            conn.execute(text("SELECT 1"))
        with recorder.watching(each.engine), each.reading() as conn:
            conn.execute(text("SELECT 1"))
        counts.append(recorder.statements)

    assert counts == [["SELECT 1"], ["SELECT 1"]]


@pytest.mark.parametrize(
    ("choice", "behind", "found"),
    [
        ("auto", False, False),
        ("auto", True, True),
        ("transaction", False, True),
        ("transaction", True, True),
        ("none", False, False),
    ],
)
def test_a_pooler_is_detected_or_told_of(shared_settings, settings, choice, behind, found):
    url = (settings if behind else shared_settings).database_url
    database = Database.from_settings(Settings(database_url=url, pooler=choice))
    with database.reading() as conn:
        assert driver(conn).pooled is found
        assert tuple(conn.execute(SHOWN).one()) == OURS
    database.dispose()


def test_what_is_ingested_is_counted(client):
    pairs = [("a", "a")] * 6 + [("a", "b")] * 2
    given_pairs(client, pairs)
    again = predict(client, prediction(requestId=f"{START.isoformat()}-0", label="a"))

    assert again.json["duplicates"] == 1
    (bucket,) = native_metrics(client).json["buckets"]
    assert bucket["accuracy"] == 0.75, bucket


def test_large_batches_leave_no_table_and_no_statement_behind(client, sessions):
    rows = [prediction(requestId=f"large{n}", label="a") for n in range(2000)]
    for _ in range(4):
        assert predict(client, *rows).status_code == 200

    for conn in sessions:
        assert [count for (count,) in conn.exec_driver_sql(LEFT)] == [0, 0]


def test_who_left_cancels_what_is_read(pooled):
    with asked_by(lambda: True), pytest.raises(ClientGone), pooled.reading() as conn:
        conn.execute(SLEEP, {"seconds": 20})

    wait_until_nobody_sleeps(pooled)


def test_a_statement_that_takes_too_long_is_cancelled(settings):
    hurried = Database.from_settings(
        Settings(database_url=settings.database_url, statement_timeout_ms=200)
    )
    with pytest.raises(Unavailable, match="too long"), hurried.reading() as conn:
        conn.execute(SLEEP, {"seconds": 20})
    hurried.dispose()


@pytest.mark.parametrize("connected", [True, False], ids=["connected before", "new"])
@pytest.mark.parametrize("block", ["reading", "writing", "glancing"])
def test_waiting_for_a_busy_pooler_is_limited(settings, sessions, connected, block):
    hurried = Database.from_settings(replace(settings, pool_timeout_s=0.3))
    if connected:
        _ask(hurried, block)
    for conn in sessions:
        conn.execute(text("SELECT 1"))  # each now holds a server connection

    began = time.monotonic()
    with pytest.raises(Unavailable, match="all database connections are busy; try") as raised:
        _ask(hurried, block)
    assert time.monotonic() - began < PATIENCE_S
    assert "pooler has had no free server connection for 0 s" in raised.value.reason

    for conn in sessions:
        conn.rollback()
    _ask(hurried, block)
    hurried.dispose()


def _ask(database, block):
    with getattr(database, block)() as conn:
        conn.execute("SELECT 1" if block == "glancing" else text("SELECT 1"))


def test_a_round_that_finds_the_pooler_busy_ends(settings, sessions):
    """The leader keeps its connection while it works in others, of which there is none."""
    hurried = Database.from_settings(replace(settings, pool_timeout_s=0.3))
    for conn in sessions[1:]:
        conn.execute(text("SELECT 1"))

    with leading(hurried) as leads, pytest.raises(Unavailable, match="connections are busy"):
        do_round(hurried, settings)
    assert leads

    for conn in sessions[1:]:
        conn.rollback()
    with leading(hurried) as leads:
        assert leads
        do_round(hurried, settings)
    hurried.dispose()


def test_an_error_of_ours_in_a_glance_costs_no_connection(pooled):
    with pooled.glancing() as conn:  # the pool may be empty
        conn.execute("SELECT 1")
    made = []
    event.listen(pooled.engine, "connect", lambda *_: made.append(1))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            _look_up_a_wrong_key(pooled)
    assert made == []


def _look_up_a_wrong_key(database):
    with database.glancing() as conn:
        conn.execute("SELECT 1")
        raise Unauthenticated


def test_a_worker_does_its_round_and_one_at_a_time(client, settings, pooled):
    other = Database.from_settings(settings)
    with leading(pooled) as leads, leading(other) as too:
        assert (leads, too) == (True, False)
        do_round(pooled, settings)
    other.dispose()
    with leading(pooled) as leads:
        assert leads
    assert client.get("/readyz").json["status"] == "ready"


def test_migrations_go_up_and_down(pooler, empty_database_url):
    name = make_url(empty_database_url()).database
    url = pooler.set(database=name).render_as_string(hide_password=False)
    for _ in range(2):
        upgrade(url)
        database = Database.from_settings(Settings(database_url=url))
        with database.reading() as conn:
            assert schema_version(conn).at_head
        database.dispose()
        downgrade(url, "base")
