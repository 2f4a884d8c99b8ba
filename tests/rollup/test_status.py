"""What `truthline status` reports about levels."""

import time
from datetime import timedelta

from sqlalchemy import text

from app.cli.status import level_row
from app.query.status import service_status
from app.rollup.refresh import refresh
from tests.rollup.conftest import new_series

INSERT = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    VALUES (clock_timestamp(), :series, 1, 1, 0)
""")


def levels_of(database):
    with database.reading() as conn:
        return {level.name: level for level in service_status(conn).levels}


def test_a_level_is_behind_by_what_it_lacks(brisk):
    assert all(level.lag is None for level in levels_of(brisk).values())
    with brisk.writing() as conn:
        conn.execute(INSERT, {"series": new_series(brisk)[0]})
    time.sleep(0.1)
    refresh(brisk)

    caught_up = levels_of(brisk)["outcome_5m_1h"]
    assert caught_up.cells == 1
    assert caught_up.lag == timedelta()
    assert level_row(caught_up)[3] == "0 min"
    assert caught_up.audited_until == caught_up.clean_until
    assert (caught_up.open_faults, caught_up.repaired_faults) == (0, 0)

    time.sleep(0.1)
    with brisk.writing() as conn:
        conn.execute(INSERT, {"series": new_series(brisk)[0]})
    assert levels_of(brisk)["outcome_5m_1h"].lag > timedelta(milliseconds=50)
