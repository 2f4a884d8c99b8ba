"""A migration that changes what levels are made of makes them anew, and keeps the cells of which
nothing is left to count them from."""

import pytest

from app.config import Settings
from app.rollup.refresh import refresh
from app.store.database import Database
from tests.rollup.conftest import new_series
from tests.servers import edition

# Of two days: an answered request and one that failed, of a class and of a value; and truths.
ROWS = """
    INSERT INTO prediction (received_at, time, series_id, label_id, value, confidence,
                            latency_seconds, batch_index, starts_request, starts_label, failed)
    SELECT at, at, {series}, label, value, confidence, seconds, 0, true, true, failed
    FROM (VALUES (1, NULL, 0.5, 1, false), (1, NULL, 0.5, 9, true),
                 (NULL, 1e9 + 0.1, NULL, 1, false), (NULL, 5, NULL, 9, true))
        AS row (label, value, confidence, seconds, failed)
    CROSS JOIN (VALUES (TIMESTAMPTZ '2026-03-01 12:00+00'), ('2026-03-20 12:00+00')) AS day (at);
    INSERT INTO outcome (received_at, time, series_id, predicted_value, actual_value, batch_index)
    SELECT at, at, {series}, 1e9 + value, 1e9 + 2 * value, 0
    FROM unnest(ARRAY[0.1, 0.2, 0.3]) AS value
    CROSS JOIN (VALUES (TIMESTAMPTZ '2026-03-01 12:00+00'), ('2026-03-20 12:00+00')) AS day (at);
"""
DROPPED = """
    INSERT INTO retention VALUES ('prediction', '2026-03-10 00:00+00'),
                                 ('outcome', '2026-03-10 00:00+00');
    DELETE FROM prediction WHERE received_at < '2026-03-10 00:00+00';
    DELETE FROM outcome WHERE received_at < '2026-03-10 00:00+00';
"""
ASKED = """
    SELECT * FROM truthline.{function}(
        ARRAY[{series}], '2026-02-01 00:00+00', '2026-04-01 00:00+00', '1 day')
    ORDER BY 1, 2
"""
FUNCTIONS = ("prediction_cells", "score_cells", "regression_metrics")
HOLD_POLICIES = """
    SELECT alter_job(job_id, config => config || '{"start_offset": "30 days"}')
    FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'
"""
OFFSETS = """
    SELECT DISTINCT config ->> 'start_offset' FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_refresh_continuous_aggregate'
"""


@pytest.fixture
def own_database(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def execute(database, statement):
    with database.writing() as conn:
        conn.exec_driver_sql(statement, execution_options={"no_parameters": True})


def answers(database, series):
    with database.reading() as conn:
        return [
            [tuple(row) for row in conn.exec_driver_sql(ASKED.format(function=f, series=series))]
            for f in FUNCTIONS
        ]


def test_what_was_dropped_stays_counted(own_database):
    series = new_series(own_database)[0]
    execute(own_database, ROWS.format(series=series))
    refresh(own_database)
    before = answers(own_database, series)
    execute(own_database, DROPPED)
    if edition() == "community":
        execute(own_database, HOLD_POLICIES)
    assert answers(own_database, series) == before

    execute(own_database, "CALL rebuild_levels('{outcome,prediction,score}')")
    refresh(own_database)

    assert answers(own_database, series) == before
    assert [len(rows) for rows in before] == [4, 4, 59]
    if edition() == "community":
        with own_database.reading() as conn:
            assert conn.exec_driver_sql(OFFSETS).scalars().all() == ["30 days"]


def test_what_is_there_is_counted_anew(own_database):
    series = new_series(own_database)[0]
    execute(own_database, ROWS.format(series=series))
    refresh(own_database)
    before = answers(own_database, series)
    execute(own_database, "UPDATE level_column SET expression = '7' WHERE name = 'n_value'")
    execute(own_database, "CALL rebuild_levels('{prediction}')")
    refresh(own_database)

    found = answers(own_database, series)
    assert [row[8] for row in found[0]] == [7, 21] * 2
    assert found[1:] == before[1:]
