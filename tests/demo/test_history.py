"""The past that the demo stores: received when it happened, once, and counted by every level."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from app.auth.workspaces import default_workspace
from app.cli.demo import demonstrate
from app.config import Settings
from app.demo import history
from app.demo.lesson import DIGITS
from app.demo.story import HOUR, LENGTH, hour_of
from app.ingest.feedback import ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.query.classification import classification
from app.query.question import Question
from app.query.subjects import Scope
from app.query.window import Window
from app.rollup.refresh import audit_levels, refresh
from app.store.database import Database
from tests.demo.conftest import (
    LESSON,
    Rows,
    accuracy,
    count_rows,
    events_until,
    invoke,
    run_once,
)

RECEIVED = """
    SELECT request_id, received_at, time FROM prediction WHERE starts_request
    ORDER BY request_id
"""
LEARNED = """
    SELECT request_id, received_at FROM outcome WHERE weight = 1 ORDER BY request_id, received_at
"""


@pytest.fixture
def database(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def tell(database, now):
    """As the command does, at some moment."""
    return demonstrate(Console(quiet=True), database, LESSON, now)


def expected(events):
    """The rows that events are stored as: a correction is two."""
    truths = [event for event in events if not isinstance(event.row, Prediction)]
    known = len({event.request_id for event in truths})
    return Rows(len(events) - len(truths), 2 * len(truths) - known, known)


def known_digits(events, window, as_of):
    """Last truths and predictions of digits in a window, by what had arrived."""
    predicted, truth = {}, {}
    for event in events:
        row = event.row
        if event.arrival < as_of and row.model == DIGITS.name:
            if not isinstance(row, Prediction):
                truth[event.request_id] = row.label
            elif window.start <= row.time < window.end:
                predicted[event.request_id] = row.label
    both = predicted.keys() & truth.keys()
    return [truth[id_] for id_ in both], [predicted[id_] for id_ in both]


def answer(database, window, as_of=None):
    """The one bucket of the digits' metrics."""
    question = Question(default_workspace(database), Scope(DIGITS), window, as_of=as_of)
    with database.reading() as conn:
        (bucket,) = classification(conn, database.registry, question).buckets
    return bucket.n, bucket.accuracy


def assert_levels_count_all(database):
    assert [fault for audited in audit_levels(database) for fault in audited.faults] == []


def test_everything_was_received_when_it_happened(first_run):
    stored = [row for row in run_rows(first_run.database, RECEIVED) if row.time < first_run.now]
    learned = run_rows(first_run.database, LEARNED)
    events = events_until(first_run.now, first_run.now)
    made = {e.request_id: (e.arrival, e.row.time) for e in events if isinstance(e.row, Prediction)}
    truths = sorted((e.request_id, e.arrival) for e in events if not isinstance(e.row, Prediction))

    assert {row.request_id: (row.received_at, row.time) for row in stored}.items() >= made.items()
    assert set(map(tuple, learned)) >= set(truths)
    assert min(arrival for arrival, _ in made.values()) < first_run.now - LENGTH + HOUR


def run_rows(database, statement):
    with database.reading() as conn:
        return conn.exec_driver_sql(statement).all()


def test_what_was_known_at_an_earlier_moment_can_be_asked(first_run):
    known, learned_later = 0, 0
    for ago in (timedelta(hours=3), timedelta(days=1, hours=5), timedelta(days=6)):
        as_of = first_run.now - ago
        window = Window(as_of - timedelta(days=1), as_of)
        events = events_until(first_run.now, first_run.now)
        truths, predictions = known_digits(events, window, as_of)

        n, share = answer(first_run.database, window, as_of)

        assert n == len(truths) > 50
        assert share == pytest.approx(accuracy(truths, predictions))
        known += n
        learned_later += answer(first_run.database, window)[0] - n
    assert 0 < learned_later < known


def test_the_levels_are_filled_audited_and_right(first_run):
    with first_run.database.reading() as conn:
        until = dict(
            conn.exec_driver_sql("SELECT name, clean_until FROM truthline_internal.levels()").all()
        )

    assert until["outcome_5m_1h"] >= hour_of(first_run.now - timedelta(minutes=20))
    assert until["prediction_1d_1d"] >= first_run.now - timedelta(days=1, hours=1)
    assert_levels_count_all(first_run.database)


def test_the_next_day_what_was_missed_is_stored_and_nothing_twice(database):
    today = datetime.now(UTC)
    yesterday = today - timedelta(days=1, hours=3)

    first = tell(database, yesterday)
    assert count_rows(database) == expected(events_until(yesterday, yesterday))
    second = tell(database, today)

    events = events_until(today, yesterday)
    assert count_rows(database) == expected(events)
    assert second.story == first.story
    assert second.release.start == first.release.start  # the link still shows it
    assert_levels_count_all(database)
    window = Window(today - timedelta(days=2), today)
    truths, predictions = known_digits(events, window, today)
    assert answer(database, window) == (
        len(truths), pytest.approx(accuracy(truths, predictions))
    )  # fmt: skip


def test_rows_from_before_what_is_folded_are_counted(database):
    """The worker of another server may have filled the levels up to now."""
    today = datetime.now(UTC)
    tell(database, today - timedelta(days=2))
    refresh(database)

    tell(database, today)

    assert count_rows(database) == expected(events_until(today, today - timedelta(days=2)))
    assert_levels_count_all(database)


def test_after_a_month_the_last_eight_days_are_stored(database):
    today = datetime.now(UTC)
    before = today - timedelta(days=30)
    tell(database, before)

    told = tell(database, today)

    days = {row.received_at.date() for row in run_rows(database, RECEIVED)}
    assert {(today - timedelta(days=days)).date() for days in range(1, 8)} <= days
    assert (before + timedelta(days=3)).date() not in days
    assert told.release.start > today - timedelta(days=8)
    n, _ = answer(database, told.release)
    assert n > 50


def test_an_interrupted_run_is_completed(database, monkeypatch):
    now = datetime.now(UTC)
    real, batches = history._learn, []

    def until_the_power_fails(*arguments):
        batches.append(arguments)
        if len(batches) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(history, "_learn", until_the_power_fails)
    with pytest.raises(KeyboardInterrupt):
        tell(database, now)
    monkeypatch.undo()
    before = count_rows(database)

    tell(database, now)

    assert 0 < before.predictions < count_rows(database).predictions
    assert count_rows(database) == expected(events_until(now, now))
    assert_levels_count_all(database)


def test_what_was_sent_live_is_not_stored_again(database):
    """Its last truths may not have arrived when the server was stopped."""
    now = datetime.now(UTC)
    started, stopped = now - timedelta(hours=7), now - timedelta(hours=4)
    tell(database, started)
    events = events_until(now, started)
    sent = [event for event in events if started <= event.arrival < stopped]
    workspace = default_workspace(database)
    ingest_predictions(database, workspace, [e.row for e in sent if isinstance(e.row, Prediction)])
    truths = [event.row for event in sent if not isinstance(event.row, Prediction)]
    ingest_feedback(database, workspace, truths[: len(truths) // 2])

    tell(database, now)

    rows, wanted = count_rows(database), expected(events)
    assert (rows.predictions, rows.known) == (wanted.predictions, wanted.known)
    window = Window(now - timedelta(hours=12), now)
    truths, predictions = known_digits(events, window, now)
    assert answer(database, window)[1] == pytest.approx(accuracy(truths, predictions))


def test_running_again_stores_only_what_is_new(first_run):
    again = run_once(first_run.url)

    assert "Stored before: predictions from 20" in again.text
    assert again.count("predictions") + again.count("truths") < 100  # of the seconds in between


def test_training_is_not_logged_level_by_level(first_run, caplog):
    assert "folded" not in first_run.output.text
    assert logging.root.manager.disable == logging.NOTSET


def test_a_given_database_is_left_alone_unless_asked_for(fresh_database_url, database):
    result = invoke("--once", url=fresh_database_url)

    assert result.exit_code == 2
    assert "--use-database" in result.output
    assert count_rows(database).predictions == 0
