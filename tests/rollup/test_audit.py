"""The audit finds a level that lost rows; it is not used for answers, and is repaired."""

import contextlib
import random
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.embedded.server import Cluster, running
from app.query.status import fresh_levels
from app.rollup.aggregates import recompute_aggregate, refresh_aggregate
from app.rollup.audit import audit, audit_new
from app.rollup.levels import levels
from app.rollup.recent import refresh_recent
from app.rollup.refresh import audit_levels, refresh
from app.rollup.retention import HOURS_OF_DAYS, drop_expired
from app.store.copy import copy_rows
from app.store.database import Database
from app.store.migration import upgrade
from tests.rollup.conftest import fold_all, new_series
from tests.rollup.plain import differences
from tests.rollup.test_races import SECONDS
from tests.rollup.test_retention import KEEP, OUTCOME
from tests.servers import binaries, edition, server_settings

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FROM_ROWS = "outcome_5m_1h"
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = {"start": MONDAY - DAY, "end": MONDAY + 6 * DAY, "width": 7 * HOUR, "origin": None}


@pytest.fixture
def own(fresh_database_url):
    """A database of this test's own, with the levels of production."""
    database = Database.from_settings(Settings(database_url=fresh_database_url, pool_size=32))
    yield database
    database.dispose()


def store(database, series, received, pairs=((1, 1), (1, 2))):
    """Outcomes received at those moments, a minute after their predictions."""
    rows = [
        (at, at - timedelta(minutes=1), series, *pair, 1, 0) for at in received for pair in pairs
    ]
    with database.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, rows)


def cells_table(conn, level):
    """The table that holds a level's cells."""
    if edition() != "community":
        return f"truthline_data.{level}"
    return conn.execute(
        text(
            "SELECT format('%I.%I', materialization_hypertable_schema,"
            " materialization_hypertable_name)"
            " FROM timescaledb_information.continuous_aggregates WHERE view_name = :level"
        ),
        {"level": level},
    ).scalar_one()


def damage(database, level, change="DELETE FROM {cells} WHERE learned = :span", **parameters):
    """Change a level's cells behind everybody's back."""
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        statement = text(change.format(cells=cells_table(conn, level)))
        assert conn.execute(statement, parameters).rowcount


def clean(database, level):
    with database.reading() as conn:
        return conn.execute(
            text("SELECT nullif(truthline_internal.clean_until(:level), '-infinity')"),
            {"level": level},
        ).scalar_one()


def level_named(database, name):
    with database.reading() as conn:
        return next(level for level in levels(conn) if level.name == name)


def fresh(database, name):
    with database.reading() as conn:
        return next(level for level in fresh_levels(conn) if level.name == name)


def wrong_answers(database, series):
    """Where the planner differs from plain Python over the rows, now and as of earlier moments."""
    moments = ["infinity", MONDAY + 6.5 * HOUR, MONDAY + DAY]
    with database.reading() as conn:
        return [
            difference
            for as_of in moments
            for difference in differences(conn, [series], WEEK | {"as_of": as_of})
        ]


@pytest.fixture(scope="module")
def filled_once(empty_database_url, template, as_template):
    """Name of a database with three days of outcomes, twice an hour, in every level; a series."""
    url = empty_database_url(template)
    database = Database.from_settings(Settings(database_url=url))
    series = new_series(database)[0]
    store(database, series, [MONDAY + n * HOUR / 2 + timedelta(minutes=7) for n in range(144)])
    refresh(database)
    assert clean(database, "outcome_1d_1d") > MONDAY + 2 * DAY
    database.dispose()
    return as_template(url), series


@pytest.fixture
def filled(empty_database_url, filled_once):
    """A copy of it."""
    name, series = filled_once
    settings = Settings(database_url=empty_database_url(name), pool_size=32)
    database = Database.from_settings(settings)
    yield database, series
    database.dispose()


SPAN = MONDAY + 30 * HOUR  # of the second day


@pytest.mark.parametrize(
    ("level", "change", "span"),
    [
        (FROM_ROWS, "DELETE FROM {cells} WHERE learned = :span", SPAN),
        (FROM_ROWS, "UPDATE {cells} SET n_rows = n_rows + 1 WHERE learned = :span", SPAN),
        (FROM_ROWS, "UPDATE {cells} SET learned = learned + interval '1 h' WHERE learned = :span",
         SPAN),
        ("outcome_1h_1h", "DELETE FROM {cells} WHERE learned = :span", SPAN),
        ("outcome_1h_1d", "DELETE FROM {cells} WHERE learned = :span", MONDAY + DAY),
        ("outcome_1d_1d", "DELETE FROM {cells} WHERE learned = :span", MONDAY + DAY),
    ],
)  # fmt: skip
def test_damage_is_found_excluded_from_answers_and_repaired(filled, level, change, span):
    database, series = filled
    damage(database, level, change, span=span)

    assert audit(database, level_named(database, level))
    assert fresh(database, level).open_faults >= 1
    assert clean(database, level) <= span  # nothing from there on
    assert wrong_answers(database, series) == []

    found = {audited.level: audited for audited in audit_levels(database)}
    assert found[level].faults
    assert not any(audited.unrepaired for audited in found.values())
    assert clean(database, level) > span
    assert (fresh(database, level).open_faults, fresh(database, level).repaired_faults > 0) == (
        0,
        1,
    )
    assert wrong_answers(database, series) == []
    assert not any(audited.faults for audited in audit_levels(database))


def test_an_audit_between_two_moments_compares_whole_cells(filled):
    """Rows after a moment within a cell's span aren't compared with the cells after it."""
    database, series = filled
    now = datetime.now(UTC)
    store(database, series, [now - timedelta(seconds=5)])
    refresh_recent(database)
    since, until = MONDAY + 30.3 * HOUR, MONDAY + 45.7 * HOUR
    recently = now - timedelta(seconds=2)
    for bounds in ((since, until), (since, None), (None, until), (recently, None)):
        for audited in audit_levels(database, None, *bounds):
            assert not audited.faults, (audited, bounds)


def test_rows_that_cancel_each_other_are_missed_too(own):
    """A correction takes back as much as it adds: its weights can't tell that it is missing."""
    series = new_series(own)[0]
    store(own, series, [MONDAY + timedelta(minutes=5)])
    refresh(own)
    again = [(MONDAY, MONDAY, series, 1, 1, weight, 0) for weight in (1, -1)]
    with own.writing() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        copy_rows(conn, "outcome", OUTCOME, again)

    if edition() != "community":  # there the rows are known, and the level isn't clean
        fault = audit(own, level_named(own, FROM_ROWS))[0]
        assert (fault.n_rows, fault.n_counted) == (4, 2)
    refresh(own)
    assert not any(audited.unrepaired for audited in audit_levels(own))
    assert wrong_answers(own, series) == []


def test_nothing_is_clean_before_it_is_audited(own):
    """Filled without the audit, as a foreign policy would."""
    series = new_series(own)[0]
    store(own, series, [MONDAY + n * HOUR for n in range(30)])
    fill_unaudited(own)
    assert clean(own, FROM_ROWS) is None
    assert wrong_answers(own, series) == []

    damage(own, FROM_ROWS, span=MONDAY + HOUR)
    assert wrong_answers(own, series) == []
    assert len(audit_new(own, level_named(own, FROM_ROWS))) == 1
    assert clean(own, FROM_ROWS) <= MONDAY + HOUR
    assert wrong_answers(own, series) == []


def fill_unaudited(database):
    if edition() == "community":
        with database.outside_transactions() as conn:
            conn.execute(text(f"CALL refresh_continuous_aggregate('{FROM_ROWS}', NULL, now())"))
    else:
        fold_all(database)
        with database.writing() as conn:
            conn.execute(text("UPDATE level SET audited_until = '-infinity'"))


def test_retention_drops_nothing_that_is_miscounted(own, monkeypatch):
    series, now = new_series(own)[0], datetime.now(UTC)
    received = now.replace(minute=7) - 20 * DAY
    store(own, series, [received + n * DAY for n in range(3)])
    refresh(own)
    span = received.replace(minute=0, second=0, microsecond=0)
    damage(own, FROM_ROWS, span=span)
    monkeypatch.setattr(
        "app.rollup.refresh._repair", lambda _database, _level, faults: list(faults)
    )
    dropped = {done.relation: done.since for done in drop_expired(own, KEEP, now)}
    miscounted = ["outcome", *(name for name in HOURS_OF_DAYS if name.startswith("outcome"))]
    assert all(dropped.get(name, span) <= span for name in miscounted)
    monkeypatch.undo()

    for _ in range(3):  # a span that one round repairs does not stop the next
        refresh(own)
        drop_expired(own, KEEP, now)
    with own.reading() as conn:
        assert conn.execute(text("SELECT sum(n) FROM outcome_1h_1d")).scalar_one() == 6
        assert conn.execute(text("SELECT count(*) FROM outcome")).scalar_one() == 0


class Writers:
    """Threads that store outcomes in the hour that is now by the test's own clock.

    Each keeps its transaction open for a while after its last row. The rows are stamped by hand,
    so that a test lives through an hour in a fraction of a second.
    """

    def __init__(self, database, series):
        self.database, self.series = database, series
        self.hour, self.stop, self.errors = MONDAY, threading.Event(), []
        self.lock = threading.Lock()
        self.writing = 0

    def write(self):
        while not self.stop.is_set():
            try:
                with self.database.writing() as conn:
                    hour = self._begin(conn)
                    time.sleep(random.choice([0, 0, 0.01, 0.15]))
            except Exception as error:  # noqa: BLE001 - the test must see it
                self.errors.append(error)
                self.stop.set()
            assert hour

    def _begin(self, conn):
        """The lock on the table is taken before the hour is read, as by a current writer.

        The commit takes a tenth of a second from reading the threshold until it is visible.
        """
        conn.exec_driver_sql("SET LOCAL commit_delay = 100000")
        conn.execute(text("LOCK TABLE outcome IN ROW EXCLUSIVE MODE"))
        hour = self.hour
        rows = [
            (hour + random.random() * HOUR, hour - HOUR, self.series, 1, random.randint(1, 3), 1, 0)
            for _ in range(5)
        ]
        copy_rows(conn, "outcome", OUTCOME, rows)
        return hour


@pytest.fixture
def slow_commits(tmp_path):
    """A database on a server of its own, on which writers may delay their commits."""
    slow = dict.fromkeys(("fsync", "synchronous_commit"), "on")
    slow |= {"commit_siblings": "0"}  # commits are delayed even without other writers
    settings = server_settings() | slow
    with running(Cluster(directory=tmp_path, binaries=binaries(), settings=settings)) as url:
        upgrade(url)
        database = Database.from_settings(Settings(database_url=url, pool_size=32))
        yield database
        database.dispose()


@pytest.mark.skipif(edition() != "community", reason="TimescaleDB's own refreshes are raced with")
@pytest.mark.parametrize("others", [False, True], ids=["ours", "and a foreign policy's"])
def test_refreshes_that_meet_commits(slow_commits, others):
    """Transactions held open across an hour's end, while that hour is refreshed and audited.

    The commit delay keeps a writer between reading the threshold and its rows becoming visible.
    With `others`, a refresh that waits for no writer, as of a policy of TimescaleDB, runs with
    ours: it loses rows, and no answer may.
    """
    lost = race(slow_commits, others=others)

    assert others or lost == 0


def race(database, *, others):
    """Live through hours; returns how many spans the audits found wrong."""
    series = new_series(database)[0]
    writers = Writers(database, series)
    threads = [threading.Thread(target=writers.write) for _ in range(4)]
    threads += [threading.Thread(target=refresh_carelessly, args=(writers,))] * others
    for thread in threads:
        thread.start()
    level = level_named(database, FROM_ROWS)
    deadline, compared, lost = time.monotonic() + SECONDS, 0, 0
    try:
        while time.monotonic() < deadline and not writers.stop.is_set():
            time.sleep(0.1)
            writers.hour += HOUR
            lost += len(bring_up(database, level, writers.hour))
            assert wrong_answers(database, series) == []
            compared += 1
    finally:
        writers.stop.set()
        for thread in threads:
            thread.join(30)
    assert writers.errors == []
    assert compared
    refresh(database, writers.hour)
    assert not any(audited.unrepaired for audited in audit_levels(database))
    assert wrong_answers(database, series) == []
    sys.stdout.write(
        f"{compared} hours, {3 * compared} answers right, {lost} spans lost and repaired\n"
    )
    return lost


def bring_up(database, level, until):
    """A round of the worker for the level computed from rows; returns its faulty spans."""
    refresh_aggregate(database, level, until)
    faults = audit_new(database, level)
    for fault in faults:
        recompute_aggregate(database, level, fault.learned_from, fault.learned_until)
        assert audit(database, level, fault.learned_from, fault.learned_until) == []
    return faults


def refresh_carelessly(writers):
    """As a policy does: up to now, without waiting for writers."""
    careless = text("CALL refresh_continuous_aggregate('outcome_5m_1h', NULL, :until)")
    with writers.database.outside_transactions() as conn:
        while not writers.stop.is_set():
            # ours may be at it
            with contextlib.suppress(OperationalError):
                conn.execute(careless, {"until": writers.hour})
            time.sleep(0.02)
