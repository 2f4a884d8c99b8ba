"""Intervals over history: from levels, rows or both, and null where their sums are missing."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.config import Settings
from app.query.measures import REGRESSION
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from app.store.copy import copy_rows
from app.store.database import Database
from app.store.migration import downgrade, upgrade
from tests.rollup.conftest import new_series

DAY = timedelta(days=1)
KEEP = Settings(keep_raw_days=3)
OUTCOME = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "predicted_value": "float8",
    "actual_value": "float8",
    "weight": "smallint",
    "batch_index": "integer",
}
INTERVALS = text("""
    SELECT metric, low, high FROM truthline_internal.regression_intervals(
        :series, ARRAY[CAST(:start AS timestamptz), CAST(:end AS timestamptz)], 'infinity', 0.95)
""")
# Their sums are in the levels of outcomes since the first release.
OF_OUTCOMES = {"mean_absolute_error", "mean_error"}


def intervals(database, series, start, end):
    """The intervals of a window by metric, those that are known."""
    with database.reading() as conn:
        rows = conn.execute(INTERVALS, {"series": series, "start": start, "end": end})
        return {row.metric: (row.low, row.high) for row in rows if row.low is not None}


def explained(database, series, start, end):
    """What the sums of powers of a window are read from."""
    with database.reading() as conn:
        rows = conn.execute(
            text("""SELECT source, n FROM truthline_internal.explain(
                'deviation', :series,
                ARRAY[CAST(:start AS timestamptz), CAST(:end AS timestamptz)])"""),
            {"series": series, "start": start, "end": end},
        )
        return {row.source for row in rows if row.n}


@pytest.fixture
def history(fresh_database_url):
    """Ten days of a regressor, and its series."""
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    series = new_series(database)
    dice = random.Random(11)
    received = sorted(now - dice.random() * 10 * DAY for _ in range(3000))
    truths = [(at, at - dice.random() * DAY / 12, dice.gauss(20, 4)) for at in received]
    rows = [
        (at, time, dice.choice(series), actual + dice.gauss(0, 1), actual, 1, 0)
        for at, time, actual in truths
    ]
    with database.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, rows)
    yield database, series, now
    database.dispose()


def test_levels_hold_what_intervals_need_after_their_rows_are_dropped(history):
    database, series, now = history
    window = (now - 9 * DAY, now - 4 * DAY)
    of_rows = intervals(database, series, *window)
    assert of_rows.keys() == REGRESSION.keys()
    assert explained(database, series, *window) == {"outcome"}

    refresh(database)
    drop_expired(database, KEEP, datetime.now(UTC))

    assert intervals(database, series, *window) == of_rows
    assert "outcome" not in explained(database, series, *window)
    with database.reading() as conn:
        assert conn.execute(text("SELECT min(received_at) FROM outcome")).scalar() > window[1]


def test_history_from_before_the_levels_has_no_interval_that_needs_them(
    history, fresh_database_url
):
    """As after an upgrade: levels of outcomes remain, new ones begin with the remaining rows."""
    database, series, now = history
    old, recent = (now - 9 * DAY, now - 4 * DAY), (now - 2 * DAY, now - DAY)
    across = (old[0], recent[1])
    refresh(database)
    before = {window: intervals(database, series, *window) for window in (old, recent, across)}
    drop_expired(database, KEEP, datetime.now(UTC))
    database.dispose()
    downgrade(fresh_database_url, "0002")
    upgrade(fresh_database_url)

    for _ in range(2):  # from rows, and then from the new levels
        for window in (old, across):
            known = intervals(database, series, *window)
            assert known == {n: before[window][n] for n in OF_OUTCOMES}
        assert intervals(database, series, *recent) == before[recent]
        refresh(database)
    assert "outcome" not in explained(database, series, *recent)
