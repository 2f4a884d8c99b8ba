"""What is logged arrives, in the background."""

from datetime import UTC, datetime

from truthline import Counts

HOUR = {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T11:00:00Z"}
DURING = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)


def test_predictions_and_their_truths_come_back_as_metrics(truthline):
    ids = [truthline.log_prediction("pets", label="cat", time=DURING) for _ in range(4)]
    for id_, truth in zip(ids, ["cat", "cat", "cat", "dog"], strict=True):
        truthline.log_feedback("pets", id_, label=truth)

    assert truthline.flush(10)
    four = Counts(logged=4, sent=4)
    assert (truthline.stats().predictions, truthline.stats().feedback) == (four, four)
    (bucket,) = truthline.classification_metrics("pets", **HOUR).buckets
    assert (bucket.n, bucket.predictions, bucket.accuracy) == (4, 4, 0.75)
    assert bucket.categories == ("cat", "dog")
    assert bucket.confusion_matrix == ((3, 0), (1, 0))
