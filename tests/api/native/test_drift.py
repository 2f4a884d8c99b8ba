"""Native drift and its causes: parameters of sides, buckets, labels, and effects that add up."""

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from tests.api.given import MINUTE, MODEL, START, at, given_pairs

HOUR = timedelta(hours=1)
FIRST = [("a", "a")] * 30 + [("b", "a")] * 10
SECOND = [("a", "a")] * 20 + [("b", "a")] * 20 + [("c", "a")] * 10
BEFORE = {"a.startTime": at(-3600).isoformat(), "a.endTime": MINUTE["startTime"]}


def asked(client, of, status=200, path="drift", **parameters):
    query = MODEL | MINUTE | ({"of": of} if of else {}) | parameters
    answer = client.get(f"/api/v1/metrics/{path}", query_string=query)
    assert answer.status_code == status, answer.text
    return answer.json


def statistics_of(bucket):
    return {one["statistic"]: one for one in bucket["statistics"]}


def test_everything_about_labels(client):
    given_pairs(client, FIRST, time=START - HOUR)
    given_pairs(client, SECOND)

    answer = asked(client, "predictedLabel", **BEFORE)
    (bucket,) = answer["buckets"]
    assert answer["a"].keys() == {"startTime", "endTime", "exact", "snapped", "freshness"}
    assert (answer["of"], bucket["nA"], bucket["nB"]) == ("predictedLabel", 40, 50)
    assert [(part["label"], part["a"], part["b"]) for part in bucket["parts"]] == [
        ("a", 30, 20),
        ("b", 10, 20),
        ("c", 0, 10),
    ]
    assert (bucket["new"], bucket["vanished"]) == (["c"], [])
    assert (bucket["newShare"], bucket["vanishedShare"]) == (0.2, 0)
    found = statistics_of(bucket)
    test = stats.chi2_contingency([[30, 10, 0], [20, 20, 10]], correction=False)
    assert found["chiSquared"]["value"] == pytest.approx(test.statistic)
    assert found["chiSquared"]["pValue"] == pytest.approx(test.pvalue)
    assert found["totalVariation"]["value"] == pytest.approx(0.35)
    assert found["psi"]["noise"] == pytest.approx(2 * (1 / 40 + 1 / 50))
    assert "wasserstein" not in found

    (truths,) = asked(client, "actualLabel", **BEFORE)["buckets"]
    assert [part["label"] for part in truths["parts"]] == ["a"]
    assert {one["value"] for one in truths["statistics"]} == {0}


def test_numbers_have_distances_in_each_bucket(client):
    first = [(float(n), 0.0) for n in range(40)]
    second = [(float(n) + 5, 0.0) for n in range(40)]
    given_pairs(client, first, output="value", time=START - HOUR)
    given_pairs(client, second, output="value")

    wanted = {"statistic": ["kolmogorovSmirnov", "wasserstein"]}
    answer = asked(client, "value", **BEFORE, **wanted, interval="30s")
    full, empty = answer["buckets"]
    values = {name: one["value"] for name, one in statistics_of(full).items()}
    reference, numbers = [pair[0] for pair in first], [pair[0] for pair in second]
    assert values == {
        "kolmogorovSmirnov": pytest.approx(stats.ks_2samp(reference, numbers).statistic),
        "wasserstein": pytest.approx(5),
    }
    assert (empty["nA"], empty["nB"]) == (40, 0)
    assert {one["value"] for one in empty["statistics"]} == {None}
    assert sum(part["a"] for part in empty["parts"]) == 40


def test_a_model_without_such_outputs_has_no_drift(client):
    given_pairs(client, FIRST)
    (bucket,) = asked(client, "value")["buckets"]
    assert (bucket["nA"], bucket["nB"]) == (0, 0)
    assert {one["value"] for one in bucket["statistics"]} == {None}


def test_unknown_statistics_and_quantities_are_refused(client):
    given_pairs(client, FIRST)
    asked(client, "feature", status=422)
    asked(client, "value", status=422, statistic="mean")
    asked(client, None, status=422)


def test_late_truths_and_past_moments_count(client):
    given_pairs(client, FIRST, time=START - HOUR)
    given_pairs(client, FIRST)
    before = asked(client, "actualLabel", **BEFORE)["b"]["freshness"]["asOf"]
    given_pairs(client, [("a", "z")] * 5, part={"version": "9"})

    (now,) = asked(client, "actualLabel", **BEFORE)["buckets"]
    (then,) = asked(client, "actualLabel", **BEFORE, asOf=before)["buckets"]
    assert (now["new"], then["new"]) == (["z"], [])


# --- what changed -------------------------------------------------------------------------


def tagged(country, device):
    return {"tags": {"country": country, "device": device}}


def sliced(client, accuracy_of, time, counts):
    """Predictions of each country and device, of which a share is right."""
    for number, ((country, device), n) in enumerate(counts.items()):
        right = round(n * accuracy_of(country, device))
        pairs = [("a", "a")] * right + [("b", "a")] * (n - right)
        given_pairs(
            client, pairs, part=tagged(country, device), time=time + timedelta(seconds=number)
        )


COUNTS = {("FR", "web"): 20, ("FR", "app"): 20, ("DE", "web"): 60, ("DE", "app"): 40}


def test_effects_add_up_and_the_planted_slice_is_first(client):
    sliced(client, lambda *_: 0.9, START - HOUR, COUNTS)
    more = COUNTS | {("FR", "web"): 40}
    sliced(client, lambda country, _: 0.5 if country == "FR" else 0.9, START, more)

    answer = asked(client, None, path="changes", **BEFORE)
    change = Fraction(30 + 90, 160) - Fraction(126, 140)
    assert (answer["metric"], answer["a"]["n"], answer["b"]["n"]) == ("accuracy", 140, 160)
    assert answer["change"] == pytest.approx(float(change))
    for division in answer["divisions"]:
        effects = [part["effect"] for part in division["parts"]]
        assert sum(effects) == pytest.approx(answer["change"], abs=1e-14)
        assert effects == sorted(effects, key=abs, reverse=True)
        for part in division["parts"]:
            assert part["rateEffect"] + part["mixEffect"] == pytest.approx(part["effect"])
    first = answer["divisions"][0]
    assert (first["by"], first["key"], first["parts"][0]["value"]) == ("tag", "country", "FR")
    assert first["parts"][0]["rateEffect"] == pytest.approx((40 / 140 + 60 / 160) / 2 * -0.4)
    assert {(one["by"], one["key"]) for one in answer["divisions"]} == {
        ("tag", "country"),
        ("tag", "device"),
    }


def test_a_shift_of_the_mix_alone_has_no_rate_effect(client):
    def accuracy(country, _):
        return 0.5 if country == "FR" else 0.9

    sliced(client, accuracy, START - HOUR, COUNTS)
    sliced(client, accuracy, START, COUNTS | {("FR", "web"): 80, ("FR", "app"): 80})

    answer = asked(client, None, path="changes", **BEFORE)
    first = answer["divisions"][0]
    assert (first["key"], first["parts"][0]["value"]) == ("country", "FR")
    for part in first["parts"]:
        assert part["rateEffect"] == pytest.approx(0, abs=1e-15)
    assert sum(part["mixEffect"] for part in first["parts"]) == pytest.approx(answer["change"])


def test_a_side_without_predictions_has_nothing_that_changed(client):
    given_pairs(client, FIRST)
    answer = asked(client, None, path="changes", **BEFORE)
    assert (answer["a"]["value"], answer["b"]["value"]) == (None, 0.75)
    assert (answer["change"], answer["divisions"]) == (None, [])


@pytest.mark.parametrize("metric", ["meanValue", "meanAbsoluteError", "meanSquaredError"])
def test_means_of_values_change(client, metric):
    dice = np.random.default_rng(1)
    for time, spread in ((START - HOUR, 1), (START, 4)):
        for second, plan in enumerate(("free", "pro")):
            values = dice.normal(10, spread if plan == "pro" else 1, 20)
            given_pairs(
                client,
                [(float(value), 10.0) for value in values],
                output="value",
                part={"tags": {"plan": plan}},
                time=time + timedelta(seconds=second),
            )
    answer = asked(client, None, path="changes", **BEFORE, metric=metric)
    (division,) = answer["divisions"]
    assert sum(part["effect"] for part in division["parts"]) == pytest.approx(answer["change"])
    assert division["parts"][0]["value"] == "pro"
