"""Metrics of scores over HTTP: values worked out by hand, and whose they are."""

import math

import pytest
from sqlalchemy import text

from tests.api.given import (
    MINUTE,
    categorical,
    native_metrics,
    now_of,
    predict,
    prediction,
    subscribed,
    tell,
    truth,
)


def scores_of(client, **parameters):
    answer = native_metrics(client, "scores", **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def losses(client, **parameters):
    """Number of truths, log loss and Brier score of the window."""
    (bucket,) = scores_of(client, **parameters)["buckets"]
    assert set(bucket) == {"startTime", "endTime", "n", "logLoss", "brierScore"}
    return bucket["n"], bucket["logLoss"], bucket["brierScore"]


def given(client, *rows):
    """Predictions, given by their output, each with its truth."""
    predict(client, *(prediction(requestId=f"r{n}", **out) for n, (out, _) in enumerate(rows)))
    tell(client, *(truth(f"r{n}", label=label) for n, (_, label) in enumerate(rows)))


def mean_loss(*scores):
    return pytest.approx(sum(-math.log(score) for score in scores) / len(scores))


def test_three_classes(client):
    given(
        client,
        ({"scores": {"a": 0.7, "b": 0.2, "c": 0.1}}, "a"),
        ({"scores": {"a": 0.5, "b": 0.25, "c": 0.25}}, "b"),
    )

    brier = (0.3**2 + 0.2**2 + 0.1**2 + 0.5**2 + 0.75**2 + 0.25**2) / 2
    assert losses(client) == (2, mean_loss(0.7, 0.25), pytest.approx(brier))
    assert scores_of(client)["positiveClass"] is None


def test_two_classes_with_scores(client):
    given(
        client,
        ({"scores": {"no": 0.9, "yes": 0.1}}, "no"),
        ({"scores": {"no": 0.4, "yes": 0.6}}, "no"),
    )

    assert losses(client) == (2, mean_loss(0.9, 0.4), pytest.approx((0.1**2 + 0.6**2) / 2))
    assert scores_of(client)["positiveClass"] == "yes"


def test_a_confidence_is_enough_with_two_classes(client):
    given(
        client,
        ({"label": "no", "confidence": 0.9}, "no"),
        ({"label": "yes", "confidence": 0.6}, "no"),
    )

    assert losses(client) == (2, mean_loss(0.9, 0.4), pytest.approx((0.1**2 + 0.6**2) / 2))


def test_a_confidence_is_not_enough_with_three(client, database):
    given(client, ({"label": "no", "confidence": 0.9}, "no"), ({"label": "yes"}, "no"))
    before = now_of(database).isoformat()
    assert losses(client) == (1, mean_loss(0.9), pytest.approx(0.01))

    predict(client, prediction(requestId="r9", label="perhaps", confidence=0.5))

    assert losses(client) == (0, None, None)
    assert losses(client, asOf=before) == (1, mean_loss(0.9), pytest.approx(0.01))


def test_the_second_of_the_declared_classes_is_positive(client):
    subscribed(client, categorical("yes", "no"))
    given(client, ({"scores": {"no": 0.8, "yes": 0.1}}, "no"))

    assert scores_of(client)["positiveClass"] == "no"
    assert losses(client) == (1, mean_loss(0.8), pytest.approx(0.2**2))


def test_a_class_without_a_score_has_none(client):
    given(client, ({"scores": {"a": 0.75, "b": 0.25}}, "c"))

    assert losses(client) == (1, mean_loss(2.0**-52), pytest.approx(1 + 0.75**2 + 0.25**2))


def test_a_correction_leaves_nothing_behind(client, database):
    given(client, ({"scores": {"a": 0.7, "b": 0.2, "c": 0.1}}, "a"))
    before = now_of(database).isoformat()
    tell(client, truth("r0", label="b"))

    assert losses(client) == (1, mean_loss(0.2), pytest.approx(0.7**2 + 0.8**2 + 0.1**2))
    assert losses(client, asOf=before) == (1, mean_loss(0.7), pytest.approx(0.09 + 0.04 + 0.01))
    tell(client, truth("r0", label="a"))
    assert losses(client) == (1, mean_loss(0.7), pytest.approx(0.09 + 0.04 + 0.01))


def test_truths_may_come_first(client):
    tell(client, truth("r0", label="b"))
    predict(client, prediction(requestId="r0", scores={"a": 0.7, "b": 0.2, "c": 0.1}))

    assert losses(client) == (1, mean_loss(0.2), pytest.approx(0.7**2 + 0.8**2 + 0.1**2))


def test_each_version_has_its_own_scores(client):
    for version, score in (("1", 0.25), ("2", 0.75)):
        scored = {"a": score, "b": 1 - score}
        predict(client, prediction(requestId="r0", version=version, scores=scored))
    tell(client, truth("r0", label="a"))

    assert losses(client, version="1")[1] == mean_loss(0.25)
    assert losses(client, version="2")[1] == mean_loss(0.75)
    assert losses(client) == (2, mean_loss(0.25, 0.75), pytest.approx((0.75**2 + 0.25**2) / 2))


def test_labels_alone_have_no_losses(client):
    given(client, ({"label": "a"}, "a"), ({"label": "a"}, "b"))

    assert losses(client) == (0, None, None)


def test_a_regressor_has_none(client):
    predict(client, prediction(requestId="r0", value=1.5))

    answer = native_metrics(client, "scores")
    assert answer.status_code == 400
    assert "regression" in answer.json["detail"]


BY_NAME = text("""
    SELECT n, log_loss, brier_score, positive_class
    FROM truthline.score_metrics(:workspace, 'fraud', :startTime, :endTime, namespace => 'shop')
""")


def test_sql_by_name_says_the_same(client, database, workspace):
    given(client, ({"label": "no", "confidence": 0.9}, "no"), ({"label": "yes"}, "no"))

    with database.reading() as conn:
        row = conn.execute(BY_NAME, {"workspace": workspace.name, **MINUTE}).one()
    assert tuple(row) == (*losses(client), "yes")
