"""Rounds: windows that ended are judged once, and again if later truths touch them."""

from sqlalchemy import text

from tests.monitors.given import (
    HOUR,
    MINUTE,
    START,
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
from tests.monitors.test_deliveries import put_receiver


def test_a_verdict_is_revised_by_late_truth(own, own_client):
    series, labels = series_of(own, 1), labels_of(own, 1, ["cat", "dog"])
    put(own_client, "m", definition())
    rewind(own)
    first = START + HOUR
    store_truths(own, given_truths(series, labels, hits=9, misses=1, time=START, received_at=first))
    assert judge(own, first + MINUTE) == first + MINUTE
    assert [(v.state, v.value, v.n) for v in history(own, 1, "m")] == [("ok", 0.9, 10)]

    late = given_truths(
        series, labels, hits=0, misses=10, time=START, received_at=first + 2 * MINUTE
    )
    store_truths(own, late)
    judge(own, first + 5 * MINUTE)

    (verdict,) = history(own, 1, "m")
    assert (verdict.state, verdict.value, verdict.n) == ("critical", 0.45, 20)
    assert (verdict.revises.state, verdict.revises.value, verdict.revises.learned) == (
        "ok",
        0.9,
        10,
    )
    (before,) = history(own, 1, "m", first + 4 * MINUTE)
    assert (before.state, before.value, before.revises) == ("ok", 0.9, None)


def test_a_window_is_judged_again_if_truth_turns_the_one_before(own, own_client):
    """With `for`, a breach counts only if the window before has one too."""
    series, labels = series_of(own, 1), labels_of(own, 1, ["cat", "dog"])
    put(own_client, "m", definition(**{"for": 2}))
    rewind(own)
    second = START + HOUR
    for time in (START, second):
        rows = given_truths(series, labels, hits=1, misses=9, time=time, received_at=time)
        store_truths(own, rows)
    judge(own, START + 2 * HOUR + MINUTE)
    assert [v.state for v in history(own, 1, "m")] == ["pending", "critical"]

    late = START + 2 * HOUR + 2 * MINUTE
    store_truths(own, given_truths(series, labels, hits=90, time=START, received_at=late))
    judge(own, START + 2 * HOUR + 5 * MINUTE)

    assert [v.state for v in history(own, 1, "m")] == ["ok", "pending"]


def test_nobody_is_notified_during_a_silence_and_afterwards_of_what_still_is(own, own_client):
    series, labels = series_of(own, 1), labels_of(own, 1, ["cat", "dog"])
    put_receiver(own_client, "https://receiver.example")
    silence = [{"cron": "0 1 * * *", "duration": "30m", "timeZone": "UTC"}]
    put(own_client, "m", definition(notify=["ops"], silence=silence))
    rewind(own)
    for hour in range(2):
        time = START + hour * HOUR
        rows = given_truths(series, labels, hits=1, misses=9, time=time, received_at=time)
        store_truths(own, rows)

    counts = []
    for moment in (START + HOUR + MINUTE, START + 2 * HOUR + MINUTE):
        judge(own, moment)
        with own.reading() as conn:
            counts.append(conn.execute(text("SELECT count(*) FROM delivery")).scalar_one())

    assert [v.state for v in history(own, 1, "m")] == ["critical", "critical"]
    assert counts == [0, 1]
