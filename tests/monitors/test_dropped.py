"""Once rows are dropped, verdicts stay that only they could change exactly."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.config import Settings
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from tests.monitors.given import (
    HOUR,
    MINUTE,
    definition,
    given_truths,
    history,
    judge,
    labels_of,
    put,
    rewind,
    series_of,
    store_truths,
)


def test_a_verdict_stays_if_it_needs_rows_that_were_dropped(own, own_client):
    """Cells of five minutes remain: they hold whole hours, and no window of seven minutes."""
    now = datetime.now(UTC)
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=40)
    series, labels = series_of(own, 1), labels_of(own, 1, ["cat", "dog"])
    for name, window in (("minutes", "7m"), ("hour", "1h")):
        put(own_client, name, definition(window=window))
    rewind(own, begin)
    for minute in range(60):
        time = begin + minute * MINUTE
        store_truths(own, given_truths(series, labels, hits=9, time=time, received_at=time))
    judge(own, begin + HOUR + MINUTE)
    before = history(own, 1, "minutes")
    assert {verdict.state for verdict in before} == {"ok"}

    refresh(own)
    assert "outcome" in {
        done.relation for done in drop_expired(own, Settings(keep_raw_days=30), now)
    }
    late = {"hits": 0, "misses": 999, "time": begin + 30 * MINUTE, "received_at": now}
    store_truths(own, given_truths(series, labels, **late))
    with own.writing() as conn:  # nobody waits for what was never predicted since
        conn.execute(text("UPDATE monitor SET judged_until = :now"), {"now": now - HOUR})
    judge(own, now + MINUTE)

    again = [verdict for verdict in history(own, 1, "minutes") if verdict.end < now - HOUR]
    assert again == before
    (hour, *_) = history(own, 1, "hour")
    assert (hour.state, hour.n) == ("critical", 540 + 999)
