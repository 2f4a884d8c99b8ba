"""A fold misses no row, however long its writer takes to commit."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from app.config import Settings
from app.rollup import fold as folding
from app.rollup.fold import fold
from app.rollup.levels import LEVELS
from app.store.database import Database

SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name)
               VALUES (1, '', '', 'm') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT id, '', '', '', '' FROM m RETURNING id
""")
INSERT = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    SELECT clock_timestamp() - interval '3 hours' * random(), :series, 1, 1 + n % 3, 0
    FROM generate_series(1, :rows) AS n
""")
# Both counts in one statement, hence in one snapshot.
BOTH = text("""
    SELECT (SELECT coalesce(sum(n), 0) FROM truthline.outcome_cells(
                ARRAY[:series], now() - interval '6 hours', now() + interval '1 hour',
                width => '1 hour', origin => '1970-01-01Z')),
           (SELECT coalesce(sum(weight), 0) FROM outcome WHERE series_id = :series
                AND time >= now() - interval '6 hours' AND time < now() + interval '1 hour')
""")


SPANS = ("10 milliseconds", "70 milliseconds", "350 milliseconds")


@pytest.fixture
def levels(fresh_database_url, monkeypatch):
    """A database whose levels have spans so short that folds follow the writers closely."""
    short = [
        replace(level, span_of=f"date_bin('{span}', {{at}}, TIMESTAMPTZ '2000-01-03Z')")
        for level, span in zip(LEVELS, SPANS, strict=True)
    ]
    monkeypatch.setattr(folding, "LEVELS", short)
    monkeypatch.setattr(folding, "CLOCK_MARGIN", "0 s")
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def new_series(database):
    with database.writing() as conn:
        return conn.execute(SERIES).scalar_one()


def test_readers_beside_slow_writers_and_folds_see_every_row_once(levels):
    series = new_series(levels)
    stop = threading.Event()
    wrong, compared, errors = [], [], []

    def repeat(action):
        try:
            while not stop.is_set():
                action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            errors.append(error)
            stop.set()

    def write():
        with levels.writing() as conn:
            conn.execute(INSERT, {"series": series, "rows": 3})
            time.sleep(0.05)  # the rows are stamped, and nobody sees them yet
            conn.execute(INSERT, {"series": series, "rows": 2})

    def read():
        with levels.reading() as conn:
            planned, raw = conn.execute(BOTH, {"series": series}).one()
        compared.append(raw)
        if planned != raw:
            wrong.append((planned, raw))

    actions = [write, write, write, lambda: fold(levels), read, read]
    threads = [threading.Thread(target=repeat, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    stop.wait(6)
    stop.set()
    for thread in threads:
        thread.join(30)

    assert errors == []
    assert wrong == []
    assert len(compared) > 50
    assert compared[-1] > 100
    with levels.reading() as conn:
        folded = conn.execute(text("SELECT sum(n) FROM outcome_1h")).scalar_one()
    assert folded > 100


def test_a_fold_waits_for_a_writer_and_gives_up_on_a_stuck_one(levels, monkeypatch):
    monkeypatch.setattr(folding, "PATIENCE_SECONDS", 0.2)
    series = new_series(levels)
    with levels.engine.connect() as stuck:
        stuck.execute(INSERT, {"series": series, "rows": 1})
        assert fold(levels) == []
        stuck.commit()

    assert fold(levels)[0].cells == 1


def test_what_a_stopped_fold_did_is_undone(levels, monkeypatch):
    series = new_series(levels)
    with levels.writing() as conn:
        conn.execute(INSERT, {"series": series, "rows": 10})
    broken = text("SELECT 1 / 0 WHERE :level <> CAST(:until AS text)")
    monkeypatch.setattr(folding, "_MOVE_BOUND", broken)
    with pytest.raises(DataError, match="division by zero"):
        fold(levels)

    with levels.reading() as conn:
        planned, raw = conn.execute(BOTH, {"series": series}).one()
        assert conn.execute(text("SELECT count(*) FROM outcome_1h")).scalar_one() == 0
    assert planned == raw == 10
