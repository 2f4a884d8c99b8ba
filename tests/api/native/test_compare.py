"""Native comparisons: two windows, versions, deployments, models or moments of one kind."""

from datetime import timedelta

import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from app.query.measure import Surface, shown_in
from app.query.measures import CLASSIFICATION, REGRESSION
from tests.api.given import (
    MINUTE,
    MODEL,
    START,
    at,
    categorical,
    given_pairs,
    native_metrics,
    now_of,
    subscribed,
    tell,
    truth,
)

HOUR = timedelta(hours=1)
# Of the first 30 of 40 are right, of the second 20 of 50.
FIRST = [("a", "a")] * 30 + [("b", "a")] * 10
SECOND = [("a", "a")] * 20 + [("b", "a")] * 30
SIDES = {"a.version": "1", "b.version": "2"}


def asked(client, status=200, **parameters):
    query = MODEL | MINUTE | parameters
    answer = client.get("/api/v1/metrics/compare", query_string=query)
    assert answer.status_code == status, answer.text
    return answer.json


def by_name(answer):
    return {one["metric"]: one for one in answer["metrics"]}


@pytest.fixture
def versions(client):
    """Two versions of a classifier, of which the first is right more often."""
    given_pairs(client, FIRST, part={"version": "1"})
    given_pairs(client, SECOND, part={"version": "2"}, time=START + timedelta(seconds=9))


@pytest.mark.usefixtures("versions")
def test_everything_about_a_share(client):
    answer = asked(client, **SIDES, confidence=0.9)
    accuracy = by_name(answer)["accuracy"]
    interval = confint_proportions_2indep(30, 40, 20, 50, method="newcomb", alpha=0.1)

    assert (answer["kind"], answer["confidence"]) == ("classification", 0.9)
    assert answer["a"].keys() == {"startTime", "endTime", "exact", "snapped", "freshness"}
    assert answer["a"]["freshness"] == answer["b"]["freshness"]
    assert (accuracy["a"]["value"], accuracy["a"]["n"]) == (0.75, 40)
    assert (accuracy["b"]["value"], accuracy["b"]["n"]) == (0.4, 50)
    assert accuracy["difference"] == pytest.approx(0.35)
    assert accuracy["interval"] == dict(
        zip(("low", "high"), map(pytest.approx, interval), strict=True)
    )
    assert accuracy["pValue"] == pytest.approx(proportions_ztest([30, 20], [40, 50])[1])
    assert (accuracy["verdict"], accuracy["better"]) == ("A is higher", "a")


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_sides_have_the_numbers_of_questions_about_one(client, average):
    answer = by_name(asked(client, **SIDES, confidence=0.8, average=average))

    assert list(answer) == [m.wire_name for m in shown_in(Surface.REST, CLASSIFICATION)]
    for side, version in (("a", "1"), ("b", "2")):
        more = {"version": version, "confidence": 0.8, "average": average}
        (bucket,) = native_metrics(client, **more).json["buckets"]
        assert {name: one[side]["value"] for name, one in answer.items()} == {
            name: bucket[name] for name in answer
        }
        for name, one in answer.items():
            wanted = bucket["intervals"][name]
            assert one[side]["interval"] == (wanted and pytest.approx(wanted)), name


def test_everything_about_means(client):
    """Errors of 1 and 3 in turn, and of 2 and 4: the MAE of the second is higher by 1."""
    pairs = [(10.0 + n % 7 + (1 if n % 2 else 3), 10.0 + n % 7) for n in range(40)]
    given_pairs(client, pairs, output="value", part={"deployment": "eu"})
    worse = [(predicted + 1, actual) for predicted, actual in pairs]
    given_pairs(
        client, worse, output="value", part={"deployment": "us"}, time=START + timedelta(seconds=9)
    )

    answer = asked(client, **{"a.deployment": "eu", "b.deployment": "us"})
    metrics = by_name(answer)
    error = metrics["meanAbsoluteError"]
    welch = stats.ttest_ind([1, 3] * 20, [2, 4] * 20, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (answer["kind"], answer["confidence"]) == ("regression", 0.95)
    assert list(metrics) == [m.wire_name for m in shown_in(Surface.REST, REGRESSION)]
    assert (error["a"]["value"], error["b"]["value"], error["difference"]) == (2, 3, -1)
    assert error["pValue"] == pytest.approx(welch.pvalue)
    assert error["interval"]["low"] == pytest.approx(interval.low, rel=1e-6)
    assert (error["verdict"], error["better"]) == ("B is higher", "a")
    assert (metrics["meanError"]["verdict"], metrics["meanError"]["better"]) == (
        "B is higher",
        None,
    )


def test_windows_may_differ(client):
    given_pairs(client, FIRST)
    given_pairs(client, FIRST, time=START - HOUR)
    before = {"b.startTime": at(-3600).isoformat(), "b.endTime": MINUTE["startTime"]}

    answer = asked(client, **before)
    accuracy = by_name(answer)["accuracy"]
    assert (answer["a"]["startTime"], answer["b"]["endTime"]) == (MINUTE["startTime"],) * 2
    assert (accuracy["a"]["n"], accuracy["b"]["n"], accuracy["pValue"]) == (40, 40, 1)
    assert (accuracy["verdict"], accuracy["better"]) == (
        "not distinguishable with these truths",
        None,
    )


def test_models_may_differ(client):
    given_pairs(client, FIRST)
    given_pairs(client, SECOND, model="challenger", namespace="lab")

    answer = by_name(asked(client, **{"b.model": "challenger", "b.namespace": "lab"}))
    assert answer["accuracy"]["b"]["n"] == 50
    assert answer["accuracy"]["verdict"] == "A is higher"


def test_moments_of_the_same_predictions_are_not_compared(client, database):
    given_pairs(client, FIRST)
    before = now_of(database).isoformat()
    tell(client, *(truth(f"{at().isoformat()}-{n}", label="b") for n in range(30)))

    accuracy = by_name(asked(client, **{"b.asOf": before}))["accuracy"]
    assert (accuracy["a"]["value"], accuracy["b"]["value"]) == (0, 0.75)
    assert accuracy["difference"] == -0.75
    assert (accuracy["pValue"], accuracy["interval"]) == (None, None)
    assert accuracy["verdict"] == "not comparable: both sides count the same predictions"


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({"b.version": "1"}, True),
        ({"b.version": "2"}, False),
        ({"b.startTime": MINUTE["endTime"], "b.endTime": "2025-02-26T00:00:00Z"}, False),
        ({"b.startTime": "2025-02-25T11:52:00Z", "b.endTime": "2025-02-26T00:00:00Z"}, True),
    ],
)
@pytest.mark.usefixtures("versions")
def test_sides_that_share_predictions_are_recognized(client, other, shared):
    verdicts = {one["verdict"] for one in asked(client, **{"a.version": "1"} | other)["metrics"]}

    assert any(verdict.startswith("not comparable") for verdict in verdicts) is shared


def test_too_few_truths_are_not_compared(client):
    given_pairs(client, FIRST[:29], part={"version": "1"})
    given_pairs(client, SECOND, part={"version": "2"}, time=START + timedelta(seconds=9))

    for one in asked(client, **SIDES)["metrics"]:
        assert one["verdict"] == "too few truths to compare"
        assert (one["pValue"], one["interval"], one["better"]) == (None, None, None)


def test_without_truths_there_are_nulls(client):
    subscribed(client, categorical("a", "b"))
    assert asked(client, **{"a.version": "1"}, status=404)["title"]

    answer = asked(
        client, **{"b.startTime": "2025-02-25T12:00:00Z", "b.endTime": "2025-02-26T00:00:00Z"}
    )
    for one in answer["metrics"]:
        assert one["a"] == one["b"] == {"value": None, "n": 0, "interval": None}
        assert (one["difference"], one["verdict"]) == (None, "too few truths to compare")


def test_where_nothing_varies_nothing_is_distinguished(client):
    right = [("a", "a"), ("b", "b")] * 20
    given_pairs(client, right, part={"version": "1"})
    given_pairs(client, right, part={"version": "2"}, time=START + timedelta(seconds=9))

    answer = by_name(asked(client, **SIDES))
    assert {one["verdict"] for one in answer.values()} == {"not distinguishable with these truths"}
    assert (answer["accuracy"]["pValue"], answer["f1"]["pValue"]) == (1, None)


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({"c.version": "1"}, 422, "c.version"),
        ({"interval": "1h"}, 422, "interval"),
        ({"explain": "true"}, 422, "explain"),
        ({"a.average": "micro"}, 422, "a.average"),
        ({"confidence": "95"}, 422, "confidence"),
        ({"a.startTime": "yesterday"}, 422, "a.startTime"),
        ({"a.endTime": "2025-02-25T11:00:00Z"}, 400, "end of the window"),
        ({"b.asOf": "9000-01-01T00:00:00Z"}, 400, "future"),
        ({"b.model": "price"}, 400, "regression"),
        ({"b.model": "unknown"}, 404, "unknown"),
    ],
)
def test_a_bad_question_is_refused(client, parameters, status, said):
    given_pairs(client, [("a", "a")])
    given_pairs(client, [(1, 1)], output="value", model="price")

    assert said in str(asked(client, status=status, **parameters))


@pytest.mark.parametrize("missing", ["model", "startTime", "endTime"])
def test_each_side_needs_a_model_and_a_window(client, missing):
    query = MODEL | MINUTE
    value = query.pop(missing)
    for sides in ({}, {f"a.{missing}": value}):
        answer = client.get("/api/v1/metrics/compare", query_string=query | sides)
        assert answer.status_code == 422
        assert f"b.{missing}" in answer.text
    given_pairs(client, [("a", "a")])
    both = {f"a.{missing}": value, f"b.{missing}": value}
    assert client.get("/api/v1/metrics/compare", query_string=query | both).status_code == 200
