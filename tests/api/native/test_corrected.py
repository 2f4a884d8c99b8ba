"""Accuracy corrected for which predictions got a truth."""

import random

import pytest
from sqlalchemy import text
from statsmodels.stats.proportion import proportion_confint

from tests.api.given import MINUTE, native_metrics, predict, prediction, tell, truth


def answer_of(client, **parameters):
    answer = native_metrics(client, "corrected-accuracy", **parameters)
    assert answer.status_code == 200, answer.text
    (bucket,) = answer.json["buckets"]
    return bucket


def send(client, rows):
    """Predictions, and the truths of some, from (label, confidence, truth or None)."""
    rows = list(enumerate(rows))
    predict(
        client,
        *(prediction(requestId=f"r{n}", label=c, confidence=s) for n, (c, s, _) in rows),
    )
    tell(client, *(truth(f"r{n}", label=actual) for n, (_, _, actual) in rows if actual))


def test_each_class_counts_by_its_predictions(client):
    """Of 10 cats all truths are known, and of 30 dogs 5."""
    cats = [("cat", 0.9, "cat" if n < 8 else "dog") for n in range(10)]
    dogs = [("dog", 0.7, ("dog" if n < 3 else "cat") if n < 5 else None) for n in range(30)]
    send(client, cats + dogs)

    bucket = answer_of(client)
    assert (bucket["predictions"], bucket["n"]) == (40, 15)
    assert bucket["accuracy"] == pytest.approx(11 / 15)
    assert bucket["correctedAccuracy"] == pytest.approx((10 * 8 / 10 + 30 * 3 / 5) / 40)
    assert (bucket["coveredShare"], bucket["interval"]) == (1, None)
    interval = bucket["accuracyInterval"]
    assert (interval["low"], interval["high"]) == pytest.approx(
        proportion_confint(11, 15, alpha=0.05, method="wilson")
    )


def test_a_class_without_a_truth_is_not_covered(client):
    send(client, [("cat", 0.9, "cat"), ("dog", 0.9, None), ("dog", 0.8, None)])

    bucket = answer_of(client)
    assert (bucket["correctedAccuracy"], bucket["coveredShare"]) == (1, pytest.approx(1 / 3))


def test_confidence_is_part_of_a_stratum(client):
    """Sure predictions are right and rarely checked, doubtful ones are wrong and often checked."""
    sure = [("cat", 0.95, "cat" if n < 30 else None) for n in range(300)]
    doubtful = [("cat", 0.55, "dog" if n < 60 else None) for n in range(100)]
    send(client, sure + doubtful)

    bucket = answer_of(client)
    assert bucket["accuracy"] == pytest.approx(30 / 90)
    assert bucket["correctedAccuracy"] == pytest.approx(300 / 400)


def test_without_predictions_there_is_nothing(client):
    send(client, [("cat", 0.9, "cat")])

    bucket = answer_of(client, startTime="2024-01-01T00:00:00Z", endTime="2024-01-02T00:00:00Z")
    assert (bucket["predictions"], bucket["n"]) == (0, 0)
    assert (bucket["correctedAccuracy"], bucket["coveredShare"]) == (None, None)
    assert bucket["accuracyInterval"] is None


def picked(chance):
    """Predictions whose positives are checked 12 times as often as the others."""
    for _ in range(6000):
        score = chance.random() ** 3
        actual = "yes" if chance.random() < score else "no"
        label = "yes" if score > 0.5 else "no"
        known = chance.random() < (0.6 if label == "yes" else 0.05)
        right = label == actual
        yield label, max(score, 1 - score), actual if known else None, right


def test_picked_truths_mislead_and_the_corrected_ones_do_not(client, database, workspace):
    rows = list(picked(random.Random(3)))
    send(client, [row[:3] for row in rows])
    true = sum(right for *_, right in rows) / len(rows)

    bucket = answer_of(client, confidence=0.95)
    low, high = bucket["interval"]["low"], bucket["interval"]["high"]
    assert low < true < high
    assert not low < bucket["accuracy"] < high
    assert abs(bucket["correctedAccuracy"] - true) < abs(bucket["accuracy"] - true) / 3
    with database.reading() as conn:
        row = conn.execute(BY_NAME, {"workspace": workspace.name, **MINUTE}).one()
    assert tuple(row) == (bucket["correctedAccuracy"], low, high)


BY_NAME = text("""
    SELECT corrected, corrected_low, corrected_high
    FROM truthline.corrected_accuracy(:workspace, 'fraud', :startTime, :endTime,
                                      namespace => 'shop', confidence => 0.95)
""")
