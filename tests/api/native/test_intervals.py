"""Native confidence intervals: worked out by hand, and null if undefined."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from app.query.measure import Surface, with_interval
from app.query.measures import CLASS, CLASSIFICATION, REGRESSION
from tests.api.given import at, given_pairs, native_metrics, predict, prediction, tell, truth
from tests.api.native.test_inferences import PERIOD, row

# Of 9 truths 7 are predicted right: cat 3 of 4, dog 4 of 5, each missed once for the other.
PETS = [("cat", "cat")] * 3 + [("dog", "cat")] + [("dog", "dog")] * 4 + [("cat", "dog")]
# 40 errors, of which each is 1 or 3 too high: MAE and bias are 2, and their standard deviation 1.
ERRORS = [(10 + n % 7 + (1 if n % 2 else 3), 10 + n % 7) for n in range(40)]


def answered(client, kind="classification", **parameters):
    answer = native_metrics(client, kind, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def wilson(hits, n, confidence=0.95):
    low, high = proportion_confint(hits, n, 1 - confidence, method="wilson")
    return {"low": pytest.approx(low), "high": pytest.approx(high)}


def names(measures):
    return {measure.wire_name for measure in with_interval(Surface.REST, measures)}


def test_without_a_confidence_there_are_none(client):
    given_pairs(client, PETS)

    answer = answered(client)
    (bucket,) = answer["buckets"]
    assert "confidence" not in answer
    assert "intervals" not in bucket
    assert not any("intervals" in one for one in bucket["classes"])


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_shares_have_wilsons(client, confidence):
    """Nine truths are enough for a share, and too few for an average over classes."""
    given_pairs(client, PETS)

    answer = answered(client, confidence=confidence)
    (bucket,) = answer["buckets"]
    assert answer["confidence"] == confidence
    assert bucket["intervals"].keys() == names(CLASSIFICATION)
    assert bucket["intervals"] == dict.fromkeys(names(CLASSIFICATION)) | {
        "accuracy": wilson(7, 9, confidence)
    }
    cat, dog = (one["intervals"] for one in bucket["classes"])
    assert cat.keys() == dog.keys() == names(CLASS)
    assert cat["precision"] == cat["recall"] == wilson(3, 4, confidence)
    assert dog["precision"] == dog["recall"] == wilson(4, 5, confidence)


def test_averages_have_intervals_too(client):
    given_pairs(client, PETS * 4)

    (bucket,) = answered(client, confidence=0.95)["buckets"]
    for name, interval in bucket["intervals"].items():
        assert interval["low"] < bucket[name] < interval["high"], name
    (micro,) = answered(client, confidence=0.95, average="micro")["buckets"]
    assert micro["intervals"]["f1"] == micro["intervals"]["accuracy"] == wilson(28, 36)


def test_a_class_without_denominator_has_none(client):
    given_pairs(client, [("a", "b")])

    a, b = (one["intervals"] for one in answered(client, confidence=0.95)["buckets"][0]["classes"])
    assert (a["precision"], a["recall"], a["f1"]) == (wilson(0, 1), None, a["f1"])
    assert (b["precision"], b["recall"]) == (None, wilson(0, 1))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_an_empty_bucket_has_nulls(client, kind):
    given_pairs(client, [("a", "a")])
    given_pairs(client, [(1, 1)], output="value", model="price")
    model = {"classification": "fraud", "regression": "price"}[kind]

    _, empty = answered(client, kind, model=model, interval="30s", confidence=0.9)["buckets"]
    measures = {"classification": CLASSIFICATION, "regression": REGRESSION}[kind]
    assert empty["intervals"] == dict.fromkeys(names(measures))


def test_errors_have_students(client):
    given_pairs(client, ERRORS, output="value")

    (bucket,) = answered(client, "regression", confidence=0.95)["buckets"]
    half = 2.0226909 * (40 / 39 / 40) ** 0.5  # Student's t of 39 degrees, and deviations of 1
    wanted = {"low": pytest.approx(2 - half), "high": pytest.approx(2 + half)}
    assert bucket["intervals"].keys() == names(REGRESSION)
    assert bucket["intervals"]["meanAbsoluteError"] == wanted
    assert bucket["intervals"]["meanError"] == wanted
    squared, root = (bucket["intervals"][n] for n in ("meanSquaredError", "rootMeanSquaredError"))
    assert root["low"] ** 2 == pytest.approx(squared["low"])
    for name, interval in bucket["intervals"].items():
        assert interval["low"] < bucket[name] < interval["high"], name


def test_a_correction_leaves_no_trace(client):
    """A truth that was wrong by a factor of a million, and then corrected."""
    given_pairs(client, ERRORS, output="value")
    expected = answered(client, "regression", confidence=0.95)["buckets"]
    id_ = f"{at().isoformat()}-0"
    tell(client, truth(id_, value=1e7))
    assert answered(client, "regression", confidence=0.95)["buckets"] != expected
    tell(client, truth(id_, value=10))

    assert answered(client, "regression", confidence=0.95)["buckets"] == expected


@pytest.mark.parametrize("value", [1e100, -1e100, 1e-140, 5e-324, 0])
def test_no_number_makes_an_interval_fail(client, value):
    pairs = [(value * (n % 3) / 2, value * (n % 2) / 2) for n in range(40)]
    given_pairs(client, pairs, output="value")

    (bucket,) = answered(client, "regression", confidence=0.999999)["buckets"]
    assert bucket["n"] == 40


def test_the_moment_is_that_of_the_metrics(client, database):
    given_pairs(client, PETS)
    as_of = answered(client)["freshness"]["asOf"]
    predict(client, prediction(requestId="later", label="cat"))
    tell(client, truth("later", label="cat"))

    (before,) = answered(client, confidence=0.95, asOf=as_of)["buckets"]
    assert before["intervals"]["accuracy"] == wilson(7, 9)


@pytest.mark.parametrize("confidence", ["0.49", "1", "0", "95", "nan", "-0.9", "much", ""])
@pytest.mark.parametrize(
    "path", ["metrics/classification", "metrics/regression", "inference-stats"]
)
def test_a_confidence_out_of_range_is_refused(client, path, confidence):
    given_pairs(client, PETS)
    asked = {"model": "fraud", "confidence": confidence} | PERIOD

    answer = client.get(f"/api/v1/{path}", query_string=asked)
    assert answer.status_code == 422, answer.text
    assert "confidence" in answer.text


def test_error_rates_have_wilsons(client):
    """Two of seven requests of cards failed, and none of the one of hats."""
    rows = [row(2, ("a", 0.5)) for _ in range(5)] + [row(2, error=True)] * 2
    predict(client, *rows, row(2, ("b", 0.5), model="hats"))

    answer = client.get("/api/v1/inference-stats", query_string=PERIOD | {"confidence": 0.95}).json
    rates = {one["model"]: one["errorRate"]["interval"] for one in answer["models"]}
    assert answer["totals"]["errorRate"]["interval"] == wilson(2, 8)
    assert rates == {"cards": wilson(2, 7), "hats": wilson(0, 1)}


def test_without_requests_there_is_no_error_rate(client):
    answer = client.get("/api/v1/inference-stats", query_string=PERIOD | {"confidence": 0.95}).json

    assert answer["totals"]["errorRate"] == {
        "now": None,
        "previous": None,
        "change": None,
        "interval": None,
    }
