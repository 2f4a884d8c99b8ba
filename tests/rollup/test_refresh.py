"""One refresh fills every level as far as it can be filled."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.rollup.refresh import refresh
from app.store.copy import copy_rows
from tests.rollup.conftest import OUTCOME, new_series

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CLEAN = text("""
    SELECT min(clean_until) FROM truthline_internal.levels()
    WHERE learned_width = CAST(:width AS interval)
""")


def test_days_without_rows_hold_nothing_back(own):
    """As after the first load of a history that has weekends."""
    now = datetime.now(UTC)
    series, _ = new_series(own)
    hours = (now - back * DAY - n * HOUR for back in (39, 38, 30, 29, 12, 3) for n in range(2, 9))
    with own.writing() as conn:
        copy_rows(conn, "outcome", OUTCOME, ((at, at, series, 1, 1, 1, 0) for at in sorted(hours)))

    refresh(own)

    with own.reading() as conn:
        assert conn.execute(CLEAN, {"width": HOUR}).scalar_one() >= now - 2 * HOUR
        assert conn.execute(CLEAN, {"width": DAY}).scalar_one() >= now - 2 * DAY
