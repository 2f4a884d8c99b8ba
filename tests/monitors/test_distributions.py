"""Monitors of scores and of drift: their values are those of plain formulas over the rows."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from app.monitors.durations import latest_end
from app.monitors.metrics import METRICS
from tests.api.given import predict, tell, verdict
from tests.monitors.given import HOUR, definition, history, judge, put, rewind

N = 240  # in each of two hours
SCORES = {
    "rocAuc": roc_auc_score,
    "averagePrecision": average_precision_score,
    "logLoss": log_loss,
    "brierScore": brier_score_loss,
}
DRIFT = {
    ("predictedLabel", "psi"): lambda a, b: float(np.sum((b - a) * np.log(b / a))),
    ("predictedLabel", "jensenShannon"): lambda a, b: jensenshannon(a, b, base=2),
    ("predictedLabel", "hellinger"): lambda a, b: float(
        np.sqrt(np.sum((np.sqrt(a) - np.sqrt(b)) ** 2) / 2)
    ),
    ("predictedLabel", "totalVariation"): lambda a, b: float(np.abs(a - b).sum() / 2),
    ("predictedLabel", "chiSquared"): lambda a, b: (
        chi2_contingency([a * N, b * N], correction=False).statistic
    ),
    ("actualLabel", "totalVariation"): lambda a, b: float(np.abs(a - b).sum() / 2),
    ("latency", "kolmogorovSmirnov"): lambda a, b: ks_2samp(a, b).statistic,
    ("latency", "wasserstein"): wasserstein_distance,
}


@pytest.fixture
def rows(own_client):
    """Two hours of a model with scores: the second one has drifted, and ranks worse."""
    chance = random.Random(7)
    end = latest_end(HOUR, datetime.now(UTC))
    made = []
    for number in range(2 * N):
        hour = number // N
        actual = chance.random() < 0.4 + 0.2 * hour
        score = min(max(chance.gauss(0.3 + (0.4 - 0.2 * hour) * actual, 0.15), 0.01), 0.99)
        made.append(
            {
                "hour": hour,
                "requestId": f"r{number}",
                "time": end - (2 - hour) * HOUR + timedelta(seconds=14 * (number % N)),
                "actual": actual,
                "score": round(score, 4),
                "latency": chance.lognormvariate(-3 + 0.3 * hour, 0.4),
            }
        )
    sent = [
        {
            "model": "fraud",
            "requestId": row["requestId"],
            "time": row["time"].isoformat(),
            "scores": {"no": 1 - row["score"], "yes": row["score"]},
            "latencySeconds": row["latency"],
        }
        for row in made
    ]
    truths = [
        {"model": "fraud", "requestId": row["requestId"], "label": "yes" if row["actual"] else "no"}
        for row in made
    ]
    verdict(predict(own_client, *sent))
    verdict(tell(own_client, *truths))
    return end, made


def judged(database, name, end):
    """The verdict on the window that ends then; the next hour may have ended by now."""
    (found,) = (one for one in history(database, 1, name) if one.end == end)
    return found


def shares(rows, of):
    hits = sum(map(of, rows))
    return np.array([len(rows) - hits, hits]) / len(rows)


def of_hour(rows, hour):
    return [row for row in rows if row["hour"] == hour]


QUANTITIES = {
    "predictedLabel": lambda rows: shares(rows, lambda row: row["score"] > 0.5),
    "actualLabel": lambda rows: shares(rows, lambda row: row["actual"]),
    "latency": lambda rows: [row["latency"] for row in rows],
}


def test_values_equal_plain_formulas_and_decide(own, own_client, rows):
    end, made = rows
    limits = {"rule": {"is": "above"}, "compare": {"with": "value", "value": 0.0}}
    for name in (*SCORES, "calibrationError"):
        put(own_client, name, definition(metric=name, confidence=0.95, **limits))
    for (quantity, statistic), formula in DRIFT.items():
        a, b = (QUANTITIES[quantity](of_hour(made, hour)) for hour in (0, 1))
        for side, factor in (("over", 0.99), ("under", 1.01)):
            body = definition(
                metric="drift",
                quantity=quantity,
                statistic=statistic,
                compare={"with": "previous"},
                rule={"is": "above", "amount": factor * formula(a, b)},
            )
            put(own_client, f"{quantity}-{statistic}-{side}", body)
    rewind(own, end - HOUR)

    assert judge(own, datetime.now(UTC)) is not None

    last = of_hour(made, 1)
    truth, score = [row["actual"] for row in last], [row["score"] for row in last]
    for name, formula in SCORES.items():
        found = judged(own, name, end)
        assert found.n == N
        assert found.value == pytest.approx(formula(truth, score), abs=1e-12), name
        assert (found.low is not None) == METRICS[name].has_interval, name
    found = judged(own, "calibrationError", end)
    assert found.low is None
    assert found.value == pytest.approx(expected_calibration_error(truth, score), abs=1e-12)
    for (quantity, statistic), formula in DRIFT.items():
        a, b = (QUANTITIES[quantity](of_hour(made, hour)) for hour in (0, 1))
        for side, state in (("over", "critical"), ("under", "ok")):
            found = judged(own, f"{quantity}-{statistic}-{side}", end)
            assert found.value == pytest.approx(formula(a, b), rel=1e-9), (quantity, statistic)
            assert (found.state, found.n) == (state, N), (quantity, statistic)


def test_a_monitor_of_a_declared_class_counts_the_truths_that_have_its_score(own, own_client):
    end = latest_end(HOUR, datetime.now(UTC))

    def given(name):
        scores = [(0.9, "a"), (0.2, "b"), (0.6, "c"), (0.7, "a")]
        row = {"model": "fraud", "time": (end - HOUR / 2).isoformat()}
        ids = [f"{name}{n}" for n in range(len(scores))]
        sent = [
            row | {"requestId": i, "scores": {"a": s, "b": 0.0, "c": 0.1}}
            for i, (s, _) in zip(ids, scores, strict=True)
        ]
        verdict(predict(own_client, *sent))
        known = [
            {"model": "fraud", "requestId": i, "label": t}
            for i, (_, t) in zip(ids, scores, strict=True)
        ]
        verdict(tell(own_client, *known))

    given("before")
    of = {"query_string": {"model": "fraud"}, "json": {"positiveClass": "c"}}
    assert own_client.put("/api/v1/models/positive-class", **of).status_code == 200
    given("after")
    for name in ("rocAuc", "logLoss"):
        limits = {"rule": {"is": "above"}, "compare": {"with": "value", "value": 0.0}}
        put(own_client, name, definition(metric=name, **limits))
    rewind(own, end - HOUR)
    judge(own, datetime.now(UTC))

    ranked = judged(own, "rocAuc", end)
    assert (ranked.n, ranked.value) == (4, 0.5)
    assert judged(own, "logLoss", end).n == 8


def expected_calibration_error(truth, score):
    """In ten parts of equal width, which include their upper bound."""
    part = np.clip(np.ceil(np.array(score) * 10).astype(int) - 1, 0, 9)
    error = 0.0
    for number in range(10):
        inside = part == number
        if inside.any():
            gap = np.mean(np.array(score)[inside]) - np.mean(np.array(truth)[inside])
            error += inside.mean() * abs(gap)
    return error


def test_late_truths_revise_a_verdict_on_the_drift_of_truths(own, own_client, rows):
    """Of predicted labels they revise none."""
    end, _ = rows
    for quantity in ("actualLabel", "predictedLabel"):
        body = definition(
            metric="drift",
            quantity=quantity,
            statistic="totalVariation",
            compare={"with": "previous"},
            rule={"is": "above", "amount": 0.4},
        )
        put(own_client, quantity, body)
    rewind(own, end - HOUR)
    time = (end - timedelta(minutes=1)).isoformat()
    late = [{"model": "fraud", "requestId": f"late{n}", "label": "yes"} for n in range(900)]
    verdict(predict(own_client, *({**row, "time": time} for row in late)))
    judge(own, datetime.now(UTC))
    verdict(tell(own_client, *late))
    judge(own, datetime.now(UTC))

    revised = judged(own, "actualLabel", end)
    stays = judged(own, "predictedLabel", end)
    assert (revised.state, revised.revises.state, revised.n) == ("critical", "ok", N)
    assert revised.revises.learned == len(late)
    assert stays.revises is None


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"quantity": None}, "quantity and statistic are required"),
        ({"statistic": "wasserstein"}, "a statistic of numbers"),
        ({"compare": {"with": "value", "value": 0}}, "compare.with must name"),
        ({"rule": {"is": "below"}}, "rule.is above"),
        ({"metric": "accuracy"}, "quantity is for drift only"),
    ],
)
def test_what_contradicts_itself_is_refused(own_client, members, why):
    body = definition(
        metric="drift",
        quantity="predictedLabel",
        statistic="psi",
        compare={"with": "previous"},
        rule={"is": "above", "amount": 0.2},
    )
    answer = own_client.put("/api/v1/monitors/m", json=body | members)
    assert answer.status_code == 400
    assert why in answer.json["detail"]
