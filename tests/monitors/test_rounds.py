"""Rounds: windows that ended are judged once, and again if later truths touch them."""

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
