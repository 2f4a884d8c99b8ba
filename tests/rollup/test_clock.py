"""Rows stored after the database's clock was set back are counted like any others."""

import pytest
from sqlalchemy import text

from app.rollup import fold as folding
from app.rollup.levels import levels
from app.rollup.refresh import audit_levels, refresh
from tests.rollup.conftest import fold_all, new_series
from tests.rollup.plain import differences
from tests.servers import edition

NOW = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    SELECT clock_timestamp() - n * interval '1 minute', :series, 1, 2, 0
    FROM generate_series(1, 7) AS n
""")
AHEAD = text("""
    UPDATE level SET learned_until = learned_start(learned_width, :bound),
                 audited_until = learned_start(learned_width, :bound)
""")


@pytest.mark.skipif(edition() == "community", reason="TimescaleDB keeps the levels there")
def test_rows_behind_a_folded_bound_are_counted(own):
    """The clock was 90 minutes ahead, a fold ran, and now the clock is right again."""
    series = new_series(own)[0]
    with own.writing() as conn:
        now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        bound = conn.execute(text("SELECT clock_timestamp() + interval '2 hours'")).scalar_one()
        conn.execute(AHEAD, {"bound": bound})
    with own.writing() as conn:
        conn.execute(NOW, {"series": series})

    question = {"start": now.replace(year=now.year - 1), "end": bound, "width": None}
    question |= {"origin": None, "as_of": "infinity"}
    with own.reading() as conn:
        assert list(differences(conn, [series], question)) == []
        assert conn.execute(text("SELECT sum(n) FROM outcome_5m_1h")).scalar_one() == 7
    assert fold_all(own) == []
    assert not any(audited.faults for audited in audit_levels(own))


@pytest.mark.skipif(edition() == "community", reason="TimescaleDB keeps the levels there")
def test_a_fold_stops_where_the_clock_goes_back_concurrently(own, monkeypatch):
    """The clock is set back after a fold has read it and before it takes its lock."""
    series = new_series(own)[0]
    with own.writing() as conn:
        conn.execute(NOW, {"series": series})
    with own.reading() as conn:
        ours = levels(conn)
    ahead = text("SELECT clock_timestamp() + interval '2 hours' AS target WHERE :level > ''")
    monkeypatch.setattr(folding, "_TARGET", ahead)

    assert [folding.fold(own, level) for level in ours] == [None] * len(ours)
    refresh(own)
