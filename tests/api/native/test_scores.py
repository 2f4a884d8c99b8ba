"""Metrics of scores over HTTP: values worked out by hand, and whose they are."""

import math

import pytest
from sqlalchemy import text

from tests.api.given import (
    MINUTE,
    MODEL,
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


def ranked(client, **parameters):
    """Positive truths, ROC AUC, average precision and calibration error of the window."""
    (bucket,) = scores_of(client, **parameters)["buckets"]
    names = ("nPositive", "rocAuc", "averagePrecision", "calibrationError")
    return tuple(bucket[name] for name in names)


SPAM = [
    ({"scores": {"ham": 0.9, "spam": 0.1}}, "ham"),
    ({"scores": {"ham": 0.6, "spam": 0.4}}, "ham"),
    ({"scores": {"ham": 0.65, "spam": 0.35}}, "spam"),
    ({"scores": {"ham": 0.2, "spam": 0.8}}, "spam"),
]


def test_scikit_learns_example(client):
    """The scores and classes of the documentation of roc_auc_score and average_precision_score."""
    given(client, *SPAM)

    error = pytest.approx((0.1 + abs(0.35 + 0.4 - 1) + 0.2) / 4)
    assert ranked(client) == (2, 0.75, pytest.approx(0.8333333333333333), error)


def test_the_other_class_can_be_asked_for(client):
    given(client, *SPAM)

    answer = scores_of(client, positiveClass="ham")
    assert answer["positiveClass"] == "ham"
    assert answer["buckets"][0]["nPositive"] == 2
    assert answer["buckets"][0]["rocAuc"] == 0.75
    refused = native_metrics(client, "scores", positiveClass="eggs")
    assert refused.status_code == 400
    assert "positive class eggs" in refused.json["detail"]


def test_only_some_metrics(client):
    given(client, *SPAM)

    (bucket,) = scores_of(client, metric="rocAuc")["buckets"]
    assert (bucket["rocAuc"], bucket["logLoss"], bucket["averagePrecision"]) == (0.75, None, None)


def test_a_declared_positive_class_holds_for_earlier_truths(client):
    given(client, *SPAM[1:])
    assert scores_of(client)["positiveClass"] == "spam"

    assert declare(client, "ham") == (200, {"positiveClass": "ham"})

    assert scores_of(client)["positiveClass"] == "ham"
    assert ranked(client)[:2] == (1, 0.5)
    assert declare(client, None) == (200, {"positiveClass": None})
    assert scores_of(client)["positiveClass"] == "spam"


VIEWS = [
    ({"scores": {"a": 0.5, "b": 0.25, "c": 0.25}}, "b"),
    ({"scores": {"a": 0.125, "b": 0.75, "c": 0.125}}, "b"),
    ({"scores": {"a": 0.25, "b": 0.5, "c": 0.25}}, "a"),
    ({"scores": {"a": 0.5, "b": 0.25, "c": 0.25}}, "c"),
]


def test_a_declared_class_is_ranked_against_the_rest(client, database, workspace):
    """Scores 0.25 and 0.75 of class b came true, 0.5 and 0.25 did not."""
    given(client, *VIEWS)
    refused = native_metrics(client, "scores", positiveClass="b")
    assert refused.status_code == 400
    assert "PUT /api/v1/models/positive-class" in refused.json["detail"]

    declare(client, "b")
    answer = scores_of(client)
    assert answer["positiveClass"] == "b"
    assert (answer["buckets"][0]["n"], answer["buckets"][0]["nUnranked"]) == (4, 4)
    assert ranked(client) == (0, None, None, None)
    predict(client, *(prediction(requestId=f"s{n}", **out) for n, (out, _) in enumerate(VIEWS)))
    tell(client, *(truth(f"s{n}", label=label) for n, (_, label) in enumerate(VIEWS)))

    (bucket,) = scores_of(client)["buckets"]
    assert (bucket["n"], bucket["nUnranked"], bucket["nPositive"]) == (8, 4, 2)
    assert bucket["rocAuc"] == (1 + 1 + 0.5 + 0) / 4
    assert bucket["averagePrecision"] == 0.5 * 1 + 0.5 * 2 / 4
    assert bucket["logLoss"] == mean_loss(0.25, 0.75, 0.25, 0.25)
    assert curves_of(client)["nUnranked"] == 4
    (point,) = curves_of(client, threshold=0.5)["points"]
    assert (point["precision"], point["recall"]) == (0.5, 0.5)
    with database.reading() as conn:
        named = {"workspace": workspace.name, **MINUTE}
        assert conn.execute(RANKS_BY_NAME, named).one() == (4, 2, 0.625, 0.75, "b")
        for _, by_name in CURVES_BY_NAME:
            assert {row.positive for row in conn.execute(by_name, named)} == {"b"}
    assert scores_of(client, asOf=MINUTE["startTime"])["positiveClass"] is None


def test_a_correction_is_ranked_by_the_class_that_is_declared_then(client):
    """And takes back the score of the class that was declared before."""
    declare(client, "a")
    given(client, *VIEWS)
    declare(client, "b")
    tell(client, truth("r0", label="a"))

    of_a, of_b = (scores_of(client, positiveClass=name)["buckets"][0] for name in "ab")
    assert (of_a["nUnranked"], of_a["nPositive"], of_a["rocAuc"]) == (1, 1, 0.5)
    assert (of_b["nUnranked"], of_b["nPositive"], of_b["rocAuc"]) == (3, 0, None)
    declare(client, None)
    assert scores_of(client)["positiveClass"] is None
    assert scores_of(client, positiveClass="a")["buckets"] == [of_a]


RANKS_BY_NAME = text("""
    SELECT n_unranked, n_positive, roc_auc, average_precision, positive
    FROM truthline.score_metrics(:workspace, 'fraud', :startTime, :endTime, namespace => 'shop')
""")


def declare(client, label, **model):
    answer = client.put(
        "/api/v1/models/positive-class",
        query_string=MODEL | model,
        json={"positiveClass": label},
    )
    return answer.status_code, answer.json


def test_a_positive_class_can_be_declared_before_the_first_prediction(client):
    assert declare(client, "spam")[0] == 200
    given(client, ({"label": "ham", "confidence": 0.75}, "ham"))

    assert scores_of(client)["positiveClass"] == "spam"
    assert losses(client) == (1, mean_loss(0.75), pytest.approx(0.0625))


def test_what_can_not_be_a_positive_class(client):
    predict(client, prediction(requestId="r0", value=1.5))

    assert declare(client, "spam")[0] == 400
    assert declare(client, "", model="other")[0] == 400
    assert declare(client, {}, model="other")[0] == 400


def test_three_classes_have_no_ranks_but_are_calibrated(client, database, workspace):
    given(
        client,
        ({"scores": {"a": 0.75, "b": 0.2, "c": 0.1}}, "a"),
        ({"scores": {"a": 0.5, "b": 0.25, "c": 0.25}}, "b"),
    )

    assert ranked(client) == (None, None, None, pytest.approx((0.25 + 0.5) / 2))
    assert curves_of(client)["points"] == []
    with database.reading() as conn:
        for _, by_name in CURVES_BY_NAME:
            assert conn.execute(by_name, {"workspace": workspace.name, **MINUTE}).all() == []
    assert [part["n"] for part in curves_of(client)["calibration"]] == [1, 1]


def curves_of(client, **parameters):
    answer = native_metrics(client, "score-curves", interval=None, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_curves(client):
    given(client, *SPAM)

    answer = curves_of(client)
    rates = [(p["threshold"], p["falsePositiveRate"], p["recall"]) for p in answer["points"]]
    assert rates == [(0.8, 0, 0.5), (0.4, 0.5, 0.5), (0.35, 0.5, 1), (0.1, 1, 1)]
    assert answer["calibration"][0] == {"from": 0, "to": 0.1, "n": 1, "meanScore": 0.1, "share": 0}
    (point,) = curves_of(client, threshold=0.5)["points"]
    assert (point["truePositives"], point["falseNegatives"]) == (1, 1)
    assert point["precision"] == 1
    assert [p["threshold"] for p in curves_of(client, points=2)["points"]] == [0.8, 0.35, 0.1]


BY_NAME = text("""
    SELECT n, log_loss, brier_score, positive
    FROM truthline.score_metrics(:workspace, 'fraud', :startTime, :endTime, namespace => 'shop')
""")


def test_sql_by_name_says_the_same(client, database, workspace):
    given(client, ({"label": "no", "confidence": 0.9}, "no"), ({"label": "yes"}, "no"))

    with database.reading() as conn:
        row = conn.execute(BY_NAME, {"workspace": workspace.name, **MINUTE}).one()
    assert tuple(row) == (*losses(client), "yes")


CURVES_BY_NAME = [
    (
        "score_curve",
        text("""SELECT threshold, true_positives, false_positives, precision, recall, positive
                FROM truthline.score_curve(:workspace, 'fraud', :startTime, :endTime,
                                           namespace => 'shop')"""),
    ),
    (
        "score_thresholds",
        text("""SELECT threshold, true_positives, false_positives, precision, recall, positive
                FROM truthline.score_thresholds(
                    :workspace, 'fraud', :startTime, :endTime, namespace => 'shop',
                    thresholds => '{0.8,0.4,0.35,0.1}')"""),
    ),
]


@pytest.mark.parametrize(("_", "by_name"), CURVES_BY_NAME, ids=[name for name, _ in CURVES_BY_NAME])
def test_sql_has_the_curves_too(client, database, workspace, _, by_name):
    given(client, *SPAM)

    with database.reading() as conn:
        rows = conn.execute(by_name, {"workspace": workspace.name, **MINUTE}).all()
        parts = conn.execute(CALIBRATION, {"workspace": workspace.name, **MINUTE}).all()
    answer = curves_of(client)
    names = ("threshold", "truePositives", "falsePositives", "precision", "recall")
    expected = [(*(point[name] for name in names), "spam") for point in answer["points"]]
    assert sorted(map(tuple, rows)) == sorted(expected)
    assert [tuple(part) for part in parts] == [
        (p["from"], p["to"], p["n"], p["meanScore"], p["share"]) for p in answer["calibration"]
    ]


CALIBRATION = text("""
    SELECT part_start, part_end, n, mean_score, share
    FROM truthline.calibration(:workspace, 'fraud', :startTime, :endTime, namespace => 'shop')
""")


SIDES = {"a.version": "1", "b.version": "2"}


def compared(client, status=200, sides=SIDES, **parameters):
    """The comparison of two sides by metric, or why there is none."""
    query = MODEL | MINUTE | sides | parameters
    answer = client.get("/api/v1/metrics/compare", query_string=query)
    assert answer.status_code == status, answer.text
    return {one["metric"]: one for one in answer.json.get("metrics", [])} or answer.json


COMPARED_BY_NAME = text("""
    SELECT metric, difference, p_value, verdict, positive FROM truthline.compare_scores(
        :workspace, 'fraud', :startTime, :endTime, :startTime, :endTime, '1', '2',
        namespace => 'shop', confidence => 0.9)
""")


def test_sides_are_compared_by_their_scores_on_request(client, database, workspace):
    """Version 1 scores the positive class higher than the other, version 2 lower."""
    for version, shift in (("1", 0.1), ("2", -0.1)):
        ids = [f"{version}-{n}" for n in range(60)]
        shares = [0.5 + n / 200 + shift * (n % 2 - 0.5) for n in range(60)]
        scored = [{"ham": 1 - s, "spam": s} for s in shares]
        predict(
            client,
            *(
                prediction(requestId=i, version=version, scores=s)
                for i, s in zip(ids, scored, strict=True)
            ),
        )
        tell(
            client,
            *(truth(i, label=("ham", "spam")[n % 2]) for n, i in enumerate(ids)),
        )

    found = compared(client, scores="true", confidence=0.9)
    names = ("rocAuc", "brierScore", "logLoss")
    assert compared(client).keys() == found.keys() - set(names)
    for name in names:
        for side, version in (("a", "1"), ("b", "2")):
            (bucket,) = scores_of(client, version=version, confidence=0.9)["buckets"]
            assert found[name][side]["value"] == pytest.approx(bucket[name])
            assert found[name][side]["interval"] == pytest.approx(bucket["intervals"][name])
    assert (found["rocAuc"]["verdict"], found["rocAuc"]["better"]) == ("A is higher", "a")
    assert (found["brierScore"]["verdict"], found["brierScore"]["better"]) == ("B is higher", "a")
    with database.reading() as conn:
        rows = conn.execute(COMPARED_BY_NAME, {"workspace": workspace.name, **MINUTE}).all()
    assert {row.metric: row[1:] for row in rows} == {
        metric: (*(found[name][key] for key in ("difference", "pValue", "verdict")), "spam")
        for metric, name in zip(("roc_auc", "brier_score", "log_loss"), names, strict=True)
    }
    mirrored = compared(client, scores="true", positiveClass="ham")
    assert mirrored["rocAuc"]["a"]["value"] == pytest.approx(found["rocAuc"]["a"]["value"])
    assert "eggs" in compared(client, 400, scores="true", positiveClass="eggs")["detail"]


def test_scores_of_models_with_other_classes_are_not_compared(client):
    given(client, *SPAM)
    predict(client, prediction(requestId="m", model="other", scores={"a": 0.5, "b": 0.5}))
    tell(client, truth("m", model="other", label="a"))

    assert "rocAuc" in compared(client, sides={}, scores="true")
    assert "rocAuc" not in compared(client, sides={"b.model": "other"}, scores="true")
