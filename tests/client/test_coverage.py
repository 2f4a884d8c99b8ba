"""Late and missing truths as the client asks for them."""

from datetime import UTC, datetime, timedelta

import pytest
from truthline import CorrectedAccuracy, DelayBucket, LabelDelay

# Label, confidence, truth or None.
TOLD = [
    *[("cat", 0.9, "cat" if n < 30 else "dog") for n in range(40)],
    *[("dog", 0.7, ("dog" if n < 5 else "cat") if n < 10 else None) for n in range(60)],
]


@pytest.fixture
def window(truthline):
    """A window of two hours up to now, with predictions of the last minutes."""
    now = datetime.now(UTC)
    rows = [
        {"request_id": n, "label": label, "confidence": share, "time": now - timedelta(minutes=1)}
        for n, (label, share, _) in enumerate(TOLD)
    ]
    truthline.send_predictions(rows, model="pets", tags={"country": "FR"})
    known = [{"request_id": n, "label": label} for n, (_, _, label) in enumerate(TOLD) if label]
    truthline.send_feedback(known, model="pets")
    return {"start": now - timedelta(hours=2), "end": now}


def test_label_delay(truthline, window):
    delays = truthline.label_delay("pets", **window, interval="1h")

    assert isinstance(delays, LabelDelay)
    assert [one.delay for one in delays.curve] == ["1h", "6h", "1d", "7d", "30d"]
    assert {(one.predictions, one.known, one.share) for one in delays.curve[2:]} == {
        (None, None, None)
    }
    assert [type(bucket) for bucket in delays.buckets] == [DelayBucket] * 2
    first, last = delays.buckets
    assert (first.predictions, first.n, first.labelled_share) == (0, 0, None)
    assert (last.predictions, last.n, last.labelled_share) == (100, 50, 0.5)
    table = delays.to_pandas()
    assert table["n"].tolist() == [0, 50]
    assert table["labelled_share"].isna().tolist() == [True, False]
    assert delays.curve_to_pandas().index.tolist() == ["1h", "6h", "1d", "7d", "30d"]


def test_corrected_accuracy(truthline, window):
    corrected = truthline.corrected_accuracy("pets", **window, confidence=0.9)

    assert isinstance(corrected, CorrectedAccuracy)
    assert corrected.confidence == 0.9
    (bucket,) = corrected.buckets
    assert (bucket.predictions, bucket.n, bucket.covered_share) == (100, 50, 1)
    assert bucket.accuracy == pytest.approx(35 / 50)
    assert bucket.corrected_accuracy == pytest.approx((40 * 3 / 4 + 60 / 2) / 100)
    assert bucket.interval.low < bucket.corrected_accuracy < bucket.interval.high
    assert bucket.accuracy_interval.low < bucket.accuracy < bucket.accuracy_interval.high
    table = corrected.to_pandas()
    assert table["corrected_accuracy_low"].tolist() == [bucket.interval.low]
    assert table["accuracy_high"].tolist() == [bucket.accuracy_interval.high]
    nobody = truthline.corrected_accuracy("pets", **window, tags={"country": "FR"}, interval="1h")
    assert nobody.to_pandas()["corrected_accuracy_high"].isna().tolist() == [True, False]


def test_a_request_has_its_tags(truthline, window):
    listed = list(truthline.requests("pets", page_size=50))

    assert {tuple(one.tags.items()) for one in listed} == {(("country", "FR"),)}
    assert len(set(listed)) == len(TOLD)
    history = truthline.request(listed[0].request_id)
    assert history.predictions[0].tags == {"country": "FR"}
