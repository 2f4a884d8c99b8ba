"""Recent levels: what was received since the last whole hour is counted within seconds."""

import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.rollup import recent
from app.rollup.fold import Folded
from app.rollup.recent import LONGEST_SECONDS, SHORTEST_SECONDS, Pace, refresh_recent
from app.rollup.refresh import audit_levels, refresh
from app.store.copy import copy_rows
from app.upkeep import housekeeping
from tests.rollup.conftest import OUTCOME, fold_all, new_series
from tests.rollup.plain import differences

NOW = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index,
                         predicted_score)
    SELECT clock_timestamp() - n * interval '7 minutes', :series, 1, 1 + n % 2, 0, 0.75
    FROM generate_series(1, :rows) AS n
""")
READ = text("""
    SELECT source, n FROM truthline_internal.explain('outcome', ARRAY[:series],
        truthline_internal.edges(:start, :end, '1 hour'), CAST(:as_of AS timestamptz)) WHERE n > 0
""")
PREDICTION = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "label_id": "integer",
    "latency_seconds": "float8",
    "batch_index": "integer",
    "starts_request": "boolean",
    "starts_label": "boolean",
    "failed": "boolean",
}
TEXT = text("""
    SELECT truthline_internal.cells_query('outcome', '{n}', ARRAY[:series],
        truthline_internal.edges(:start, :end, '1 hour'), CAST(:as_of AS timestamptz))
""")
BEHIND = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    SELECT max(learned_until) - interval '1 ms', clock_timestamp(), :series, 1, 2, 0
    FROM level WHERE recent
""")
# Nobody's clock is so far behind; recent levels begin where hours end, long before that.
STATED = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    VALUES (clock_timestamp() - interval '3 s', clock_timestamp(), :series, 1, 2, 0)
""")
CELLS = text("SELECT count(*) FROM outcome_5m_recent")
COUNTED = text("SELECT coalesce(sum(n_rows), 0) FROM outcome_5m_recent")
CLEAN = text("""
    SELECT min(clean_until) FROM truthline_internal.levels() WHERE learned_width < '1 second'
""")
FAULTS = text("SELECT level, healed_at IS NOT NULL FROM audit_fault")


@pytest.fixture
def prompt(own, monkeypatch):
    """A database whose recent levels reach the present, and a series."""
    monkeypatch.setattr(recent, "CLOCK_MARGIN", "0 s")
    return own, new_series(own)[0]


def store(database, series, rows=20):
    with database.writing() as conn:
        conn.execute(NOW, {"series": series, "rows": rows})


def the_week(as_of="infinity"):
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    window = {"start": hour - timedelta(days=7), "end": hour + timedelta(hours=1)}
    return window | {"width": timedelta(hours=1), "origin": None, "as_of": as_of}


def read(database, series, as_of="infinity"):
    """The levels and tables that an answer reads, and how many of their cells or rows."""
    with database.reading() as conn:
        return dict(map(tuple, conn.execute(READ, the_week(as_of) | {"series": series})))


def query_text(database, series):
    """What an answer reads, without the newest rows if there are none."""
    with database.reading() as conn:
        return conn.execute(TEXT, the_week() | {"series": series}).scalar_one()


def assert_exact(database, series, as_of="infinity"):
    """In whole hours, and where edges cut off cells of every width."""
    week = the_week(as_of)
    back = timedelta(minutes=31, seconds=22)
    cut = week | {"start": week["start"] - back, "end": week["end"] - back}
    with database.reading() as conn:
        for question in (week, cut, cut | {"width": timedelta(minutes=37)}):
            assert list(differences(conn, [series], question)) == []


def test_after_a_refresh_no_row_is_read_one_by_one(prompt):
    """As right after the first load: its rows were all received within the hour."""
    database, series = prompt
    store(database, series)

    refresh(database)

    sources = read(database, series)
    assert sources.keys() == {"outcome_1h_recent"}
    assert_exact(database, series)


def test_recent_levels_begin_where_hours_end(prompt):
    """A worker finds rows before the levels of hours were ever filled."""
    database, series = prompt
    store(database, series)
    refresh_recent(database)
    store(database, series, rows=3)

    refresh(database)

    assert read(database, series).keys() == {"outcome_1h_recent"}
    assert_exact(database, series)


def test_rows_received_since_are_read_until_the_next_fold(prompt):
    database, series = prompt
    store(database, series)
    refresh(database)

    assert "truthline_data.outcome " not in query_text(database, series)
    store(database, series, rows=5)
    assert read(database, series)["outcome"] == 5
    assert "truthline_data.outcome " in query_text(database, series)
    assert_exact(database, series)
    refresh_recent(database)
    assert "outcome" not in read(database, series)
    assert_exact(database, series)


def test_an_earlier_moment_reads_what_was_known_then(prompt):
    database, series = prompt
    store(database, series)
    refresh(database)
    with database.reading() as conn:
        then = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    store(database, series, rows=7)
    assert read(database, series, then).keys() == {"outcome_1h_recent"}

    refresh_recent(database)

    # the last fold can't be divided at that moment
    assert read(database, series, then) == {"outcome": 20}
    assert_exact(database, series, then)
    assert_exact(database, series)


def test_whole_hours_are_handed_over(brisk):
    """Hours of milliseconds pass; their cells are deleted, and no row is counted twice."""
    series = new_series(brisk)[0]
    for _ in range(4):
        store(brisk, series)
        refresh(brisk)
        assert_exact(brisk, series)
        time.sleep(0.03)

    fold_all(brisk)
    refresh(brisk)
    assert_exact(brisk, series)
    with brisk.reading() as conn:
        assert conn.execute(COUNTED).scalar_one() <= 20
    assert not any(audited.faults for audited in audit_levels(brisk))


def test_cells_of_many_folds_are_merged(prompt, monkeypatch):
    """A busy model adds the same cells every few seconds."""
    monkeypatch.setattr(recent, "MERGED_CELLS", 100)
    database, series = prompt
    store(database, series)
    refresh(database)
    paces = defaultdict(lambda: Pace(pause=0.0, merged=100))
    for _ in range(8):
        store(database, series)
        refresh_recent(database, paces=paces)
        assert_exact(database, series)

    with database.reading() as conn:
        assert conn.execute(CELLS).scalar_one() < 9 * 20 / 2
    assert read(database, series).keys() == {"outcome_1h_recent"}
    assert not any(audited.faults for audited in audit_levels(database))


def test_rows_that_a_fold_missed_are_found(prompt, monkeypatch):
    """A clock went back during the fold: it ends after the stamp of a row that is not there yet."""
    database, series = prompt
    store(database, series)
    refresh(database)
    store(database, series)
    missed = []

    def wait(conn, source):
        if not missed and source == "outcome" and folded_beyond(database):
            missed.append(source)
            with database.writing() as writer:
                writer.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger
                writer.execute(BEHIND, {"series": series})
        return True

    bound = counted_until(database)

    def folded_beyond(database):
        return counted_until(database) > bound

    monkeypatch.setattr(recent, "writers_have_ended", wait)
    refresh_recent(database)
    assert missed
    with database.reading() as conn:
        faults = dict(map(tuple, conn.execute(FAULTS)))
    assert faults["outcome_5m_recent"]  # found, and closed
    assert_exact(database, series)
    refresh_recent(database)
    assert "outcome" not in read(database, series)
    assert_exact(database, series)


def counted_until(database):
    with database.reading() as conn:
        return conn.execute(
            text("SELECT learned_until FROM level WHERE name = 'outcome_5m_recent'")
        ).scalar_one()


def test_backdated_rows_are_counted_once(prompt):
    database, series = prompt
    store(database, series)
    refresh(database)
    for _ in range(3):
        with database.writing() as conn:
            conn.execute(STATED, {"series": series})
        assert_exact(database, series)
        store(database, series, rows=1)
        refresh_recent(database)
        assert_exact(database, series)
    assert not any(audited.faults for audited in audit_levels(database))
    assert "outcome" not in read(database, series)


def test_copied_rows_are_counted_once(prompt):
    """Also by the levels of hours: TimescaleDB records them as changes."""
    database, series = prompt
    store(database, series)
    refresh(database)
    now = datetime.now(UTC)
    for age in (timedelta(seconds=3), timedelta(hours=5)):
        with database.writing() as conn:
            copy_rows(conn, "outcome", OUTCOME, [(now - age, now - age, series, 1, 2, 1, 0)] * 3)
            made = (now - age, now - age, series, 1, 0.5, 0, True, True, False)
            copy_rows(conn, "prediction", PREDICTION, [made] * 3)
        assert_exact(database, series)
    refresh(database)
    assert_exact(database, series)
    assert not any(audited.faults for audited in audit_levels(database))
    assert "outcome" not in read(database, series)


def test_rows_of_a_clock_that_went_back_are_counted_once(prompt):
    """Here the clock didn't move, but the levels claim to hold what it is yet to stamp."""
    database, series = prompt
    store(database, series)
    refresh(database)
    with database.writing() as conn:
        conn.execute(text("""
            UPDATE level SET learned_until = learned_until + interval '1 minute',
                             audited_until = audited_until + interval '1 minute'
            WHERE recent AND learned_until > learned_since
        """))  # fmt: skip

    store(database, series, rows=3)

    assert_exact(database, series)


def test_a_transaction_that_sees_older_bounds_can_not_backdate(prompt):
    database, series = prompt
    store(database, series)
    refresh(database)
    with (
        database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn,
        conn.begin(),
    ):
        conn.execute(COUNTED)
        time.sleep(3.2)
        store(database, series, rows=1)
        refresh_recent(database)
        with pytest.raises(OperationalError, match="could not serialize access"):
            conn.execute(STATED, {"series": series})


def test_where_hours_are_not_clean_recent_levels_are_not_read(prompt):
    """They only hold what was received since the hours that were clean before."""
    database, series = prompt
    store(database, series)
    refresh(database)
    with database.writing() as conn:
        conn.execute(text("UPDATE level SET audited_until = audited_until - interval '3 hours'"
                          " WHERE name = 'outcome_1h_1h'"))  # fmt: skip

    assert read(database, series) == {"outcome": 20}
    assert_exact(database, series)


def test_the_newest_pages_are_summarized(prompt):
    """Otherwise each fold would read all pages since the last vacuum."""
    database, series = prompt
    store(database, series, rows=20_000)
    refresh(database)

    with database.writing() as conn:
        left = conn.execute(text("""
            SELECT sum(brin_summarize_new_values(indexrelid))
            FROM truthline_internal.written_tables('outcome') AS written (id)
            JOIN pg_index ON indrelid = written.id
            JOIN pg_class ON pg_class.oid = indexrelid
            JOIN pg_am ON pg_am.oid = relam AND amname = 'brin'
        """)).scalar_one()  # fmt: skip
    assert left <= 1  # the range that is still being filled


def test_the_worker_fills_them_between_its_rounds(prompt, monkeypatch):
    database, series = prompt
    monkeypatch.setattr(housekeeping, "RECENT_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(recent, "SHORTEST_SECONDS", 0.05)
    rounds, stop = [], threading.Event()
    do_round = housekeeping.do_round
    monkeypatch.setattr(
        housekeeping, "do_round", lambda *given: (do_round(*given), rounds.append(given))
    )
    worker = threading.Thread(
        target=housekeeping.run_housekeeping, args=(database, Settings(), stop)
    )
    worker.start()
    try:
        wait_until(lambda: rounds)
        store(database, series)
        wait_until(lambda: read(database, series).keys() == {"outcome_1h_recent"})
    finally:
        stop.set()
        worker.join(30)
    assert len(rounds) == 1
    assert_exact(database, series)


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_folds_pause_longer_while_cells_save_little():
    pace = Pace()
    at = datetime.now(UTC)

    def after(cells, rows):
        pace.note([Folded("outcome_5m_recent", cells, rows, at)], now=100.0)
        assert pace.due == 100.0 + pace.pause
        return pace.pause

    assert after(cells=900, rows=1_000) == 2 * SHORTEST_SECONDS
    assert after(cells=900, rows=1_000) == 4 * SHORTEST_SECONDS
    assert after(cells=90, rows=100) == 4 * SHORTEST_SECONDS  # too few to tell
    assert after(cells=10, rows=1_000) == 2 * SHORTEST_SECONDS
    assert after(cells=10, rows=1_000) == SHORTEST_SECONDS
    assert after(cells=10, rows=1_000) == SHORTEST_SECONDS
    for _ in range(20):
        after(cells=900, rows=1_000)
    assert pace.pause == LONGEST_SECONDS
