"""Readers see every row once during slow writes and folds or refreshes.

TRUTHLINE_TEST_RACE_SECONDS says for how long; the suite's own few seconds find what is wrong at
once.
"""

import os
import random
import sys
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from app.rollup import fold as folding
from app.rollup import writers
from app.rollup.refresh import refresh
from tests.rollup.conftest import fold_all, new_series
from tests.servers import edition

SECONDS = float(os.environ.get("TRUTHLINE_TEST_RACE_SECONDS", "6"))
INSERT = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    SELECT clock_timestamp() - interval '3 hours' * random(), :series, 1, 1 + n % 3, 0
    FROM generate_series(1, :rows) AS n
""")
EDGES = """truthline_internal.edges(
    CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval))"""
PLANNED = text(f"""
    SELECT place, predicted_label, actual_label, n
    FROM truthline_internal.outcome_cells(ARRAY[:series], {EDGES}) ORDER BY 1, 2, 3
""")
RAW = text(f"""
    SELECT width_bucket(time, edges), predicted_label, actual_label, sum(weight)
    FROM outcome, {EDGES} AS edges
    WHERE series_id = :series AND time >= :start AND time < :end
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
WIDTHS = ["6 hours", "1 hour", "37 minutes", "5 minutes", "1 minute"]
ANSWERED = text("""
    INSERT INTO prediction (time, series_id, label_id, batch_index, starts_request, starts_label,
                            failed, request_id)
    SELECT date_trunc('day', now()) + n * interval '1 minute', :series, 1, 0, true, true, false, n
    FROM generate_series(1, :rows) AS n
""")
LATE_LATENCY = text("""
    UPDATE prediction SET latency_seconds = 0.25 * :n
    WHERE series_id = :series AND request_id = CAST(:n AS text) AND latency_seconds IS NULL
""")
LATENCIES = (
    """
    SELECT sum(cell.n_latency), sum(cell.sum_latency), sum(cell.n),
           (SELECT coalesce(sum(n), 0) FROM truthline_internal.latency_cells(ARRAY[:series], day))
    FROM date_trunc('day', now()) AS today
    CROSS JOIN LATERAL truthline_internal.edges(today, today + '1 day') AS day
    CROSS JOIN LATERAL truthline_internal.prediction_cells(ARRAY[:series], day) AS cell
    GROUP BY day
    """,
    """
    SELECT count(latency_seconds), sum(latency_seconds)::numeric, count(*), count(latency_seconds)
    FROM prediction WHERE series_id = :series
    """,
)
FOLDED = text("SELECT coalesce(sum(n), 0) FROM outcome_5m_1h")
ALL = text("SELECT count(*) FROM outcome")


FEW_FOLDED = 20


def n_folded(database):
    """How many truths the first level counts."""
    with database.reading() as conn:
        return conn.execute(FOLDED).scalar_one()


class Crowd:
    """Threads that each do one thing again and again until the time is over or one fails."""

    def __init__(self, seconds):
        self.stop, self.errors, self.seconds = threading.Event(), [], seconds

    def run(self, *actions):
        threads = [threading.Thread(target=self._repeat, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        self.stop.wait(self.seconds)
        self.stop.set()
        for thread in threads:
            thread.join(60)
        assert self.errors == []

    def _repeat(self, action):
        try:
            while not self.stop.is_set():
                action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            self.errors.append(error)
            self.stop.set()


def a_question(now, series):
    start = now - timedelta(hours=random.choice([1, 4, 6]), microseconds=random.randrange(10**9))
    end = start + timedelta(hours=random.choice([1, 3, 8]))
    return {"series": series, "start": start, "end": end, "width": random.choice(WIDTHS)}


def test_readers_see_every_row_once_during_slow_writes_and_refreshes(brisk):
    series = new_series(brisk)[0]
    wrong, compared = [], []

    def write(pause):
        with brisk.writing() as conn:
            conn.execute(INSERT, {"series": series, "rows": 3})
            time.sleep(pause)  # the rows are stamped but not visible yet
            conn.execute(INSERT, {"series": series, "rows": 2})

    def precompute():
        with brisk.reading() as conn:
            now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        refresh(brisk, now - timedelta(seconds=0.1))

    def read():
        with brisk.reading() as conn:
            now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
            question = a_question(now, series)
            planned = list(map(tuple, conn.execute(PLANNED, question)))
            raw = list(map(tuple, conn.execute(RAW, question)))
        compared.append(sum(row[3] for row in raw))
        if planned != raw:
            wrong.append((question, planned, raw))

    slow = [lambda pause=pause: write(pause) for pause in (0.02, 0.05, 0.2, 0.8)]
    for _ in range(5):  # a round of all levels may take longer than that on a busy machine
        Crowd(SECONDS).run(*slow, precompute, read, read)
        if n_folded(brisk) > FEW_FOLDED:
            break

    sys.stdout.write(f"{len(compared)} answers compared, {len(wrong)} wrong\n")
    assert wrong == []
    assert len(compared) > 5 * SECONDS
    assert max(compared) > 100
    assert n_folded(brisk) > FEW_FOLDED


def test_latencies_that_arrive_during_folds_are_counted_once(brisk):
    """Of rows that levels count, are just counting or have yet to count."""
    series = new_series(brisk)[0]
    with brisk.writing() as conn:
        conn.execute(ANSWERED, {"series": series, "rows": 400})
    refresh(brisk)
    wrong, late = [], iter(range(1, 400))

    def learn():
        with brisk.writing() as conn:
            conn.execute(ANSWERED, {"series": series, "rows": 2})
            conn.execute(LATE_LATENCY, {"series": series, "n": next(late, 0)})
            time.sleep(random.choice([0, 0.02]))

    def read():
        with brisk.reading() as conn:
            counted, stored = (
                conn.execute(text(query), {"series": series}).one() for query in LATENCIES
            )
        if counted != stored:
            wrong.append((counted, stored))

    Crowd(2).run(learn, learn, lambda: fold_all(brisk), read)
    refresh(brisk)
    read()

    assert wrong == []
    with brisk.reading() as conn:
        n, *_ = conn.execute(text(LATENCIES[1]), {"series": series}).one()
    assert n > FEW_FOLDED


@pytest.mark.skipif(edition() == "community", reason="TimescaleDB keeps the levels there")
class TestFolds:
    """What only our own fold has to do."""

    def test_a_fold_waits_for_a_writer_and_gives_up_on_a_stuck_one(self, brisk, monkeypatch):
        monkeypatch.setattr(writers, "TIME_LIMIT_SECONDS", 0.2)
        series = new_series(brisk)[0]
        with brisk.engine.connect() as stuck:
            stuck.execute(INSERT, {"series": series, "rows": 1})
            assert not [done for done in fold_all(brisk) if done.level == "outcome_5m_1h"]
            stuck.commit()

        time.sleep(0.05)
        assert fold_all(brisk)[0].cells == 1

    def test_what_a_stopped_fold_did_is_undone(self, brisk, monkeypatch):
        series = new_series(brisk)[0]
        with brisk.writing() as conn:
            conn.execute(INSERT, {"series": series, "rows": 10})
        time.sleep(0.05)
        broken = text("SELECT 1 / 0 WHERE :level <> CAST(:target AS text)")
        monkeypatch.setattr(folding, "_MOVE_LEARNED_UNTIL", broken)
        with pytest.raises(DataError, match="division by zero"):
            fold_all(brisk)

        with brisk.reading() as conn:
            assert conn.execute(FOLDED).scalar_one() == 0

    def test_two_folds_at_once_append_once(self, brisk):
        series = new_series(brisk)[0]

        def write():
            with brisk.writing() as conn:
                conn.execute(INSERT, {"series": series, "rows": 3})

        Crowd(2).run(write, *[lambda: fold_all(brisk)] * 3)

        time.sleep(0.6)
        fold_all(brisk)
        with brisk.reading() as conn:
            assert conn.execute(FOLDED).scalar_one() == conn.execute(ALL).scalar_one()

    def test_backdated_rows_during_folds_are_counted_once(self, brisk):
        """Stamped by the client for spans that are folded, or just being folded."""
        series = new_series(brisk)[0]
        late = text("""
            INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label,
                                 batch_index)
            SELECT clock_timestamp() - interval '6 minutes' - :age * interval '1 ms',
                   clock_timestamp() - interval '1 hour', :series, 1, 1, 0
            FROM generate_series(1, 3)
        """)
        wrong = []

        def backdate():
            with brisk.writing() as conn:
                conn.execute(late, {"series": series, "age": random.randrange(200)})
                time.sleep(random.choice([0, 0.03]))

        def read():
            with brisk.reading() as conn:
                now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
                hours = {"start": now - timedelta(hours=3), "end": now, "width": "1 hour"}
                question = hours | {"series": series}
                planned = list(map(tuple, conn.execute(PLANNED, question)))
                raw = list(map(tuple, conn.execute(RAW, question)))
            if planned != raw:
                wrong.append((planned, raw))

        def hold_back():
            # what is folded ends where the backdated rows are, so that both meet
            with brisk.reading() as conn:
                now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
            fold_all(brisk, now - timedelta(minutes=6, milliseconds=-random.randrange(300)))

        Crowd(4).run(backdate, backdate, hold_back, read)

        assert wrong == []
        fold_all(brisk)
        with brisk.reading() as conn:
            assert conn.execute(FOLDED).scalar_one() == conn.execute(ALL).scalar_one()
