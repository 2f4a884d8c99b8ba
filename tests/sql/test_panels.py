"""Each panel of the dashboards shows what the API returns for the same range.

Where the API has no buckets, each bucket is one request. The dashboard of operations describes the
server itself, which the API does not.
"""

from datetime import datetime, timedelta

import numpy as np
import pytest

from app.query.measure import Surface, Unit, shown_in
from app.query.measures import CLASSIFICATION, REGRESSION
from tests.demodata import EXECUTIONS
from tests.sql.near import near

DIGITS = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
DIABETES = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
FRACTIONS = {
    one.label: one.wire_name
    for one in shown_in(Surface.DASHBOARDS, CLASSIFICATION)
    if one.unit is Unit.SHARE
}
HALF_HOURS = {"interval": "30m", "align": "epoch"}


def test_classification_is_the_apis(ask, answer):
    (whole,) = answer("metrics/classification", **DIGITS)["buckets"]
    assert ask("classification", "Accuracy") == [{"accuracy": whole["accuracy"]}]
    assert ask("classification", "Macro F1") == [{"f1": near(whole["f1"])}]
    assert ask("classification", "Truths") == [{"n": whole["n"]}]
    assert ask("classification", "Labelled share") == [{"labelled": whole["labelledShare"]}]
    by_label = {row.pop("label"): row for row in ask("classification", "Classes")}
    assert by_label == {one.pop("label"): one for one in whole["classes"]}

    cells = {
        (r["actual"], r["predicted"]): r["n"] for r in ask("classification", "Confusion matrix")
    }
    names = whole["categories"]
    assert cells == {
        (names[a], names[p]): n
        for a, row in enumerate(whole["confusionMatrix"])
        for p, n in enumerate(row)
        if n
    }


def test_classification_over_time_is_the_apis(ask, answer):
    buckets = answer("metrics/classification", **DIGITS, **HALF_HOURS)["buckets"]
    rows = ask("classification", "Accuracy and macro averages")
    assert [row["time"].timestamp() for row in rows] == [_seconds(b["startTime"]) for b in buckets]
    for row, bucket in zip(rows, buckets, strict=True):
        assert {name: row[name] for name in FRACTIONS} == {
            name: near(bucket[member]) for name, member in FRACTIONS.items()
        }
    assert any(row["Accuracy"] is None for row in rows)  # a gap, where nothing is known

    counted = ask("classification", "Predictions and truths")
    assert [row["with truth"] + row["without truth"] for row in counted] == [
        b["predictions"] for b in buckets
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_version_is_the_apis(ask, answer, version):
    (whole,) = answer("metrics/classification", **DIGITS, version=version)["buckets"]
    assert ask("classification", "Accuracy", version=version) == [{"accuracy": whole["accuracy"]}]

    buckets = answer("metrics/classification", **DIGITS, **HALF_HOURS, version=version)["buckets"]
    rows = [r for r in ask("classification", "Accuracy of each version") if r["metric"] == version]
    assert [row["accuracy"] for row in rows] == [bucket["accuracy"] for bucket in buckets]


def test_regression_is_the_apis(ask, answer):
    (whole,) = answer("metrics/regression", **DIABETES)["buckets"]
    assert ask("regression", "R²") == [{"r2": whole["r2"]}]
    assert ask("regression", "Truths") == [{"n": whole["n"]}]
    buckets = answer("metrics/regression", **DIABETES, **HALF_HOURS)["buckets"]
    errors = [(row["MAE"], row["RMSE"]) for row in ask("regression", "Errors")]
    assert errors == [(b["meanAbsoluteError"], b["rootMeanSquaredError"]) for b in buckets]
    assert [row["Bias"] for row in ask("regression", "Bias")] == [
        bucket["meanError"] for bucket in buckets
    ]


def test_intervals_are_the_apis(ask, answer):
    for board, model, metric in (
        ("classification", DIGITS, CLASSIFICATION["accuracy"]),
        ("regression", DIABETES, REGRESSION["mean_absolute_error"]),
    ):
        asked = model | HALF_HOURS | {"confidence": 0.95}
        buckets = answer(f"metrics/{board}", **asked)["buckets"]
        rows = ask(board, f"{metric.title} and its 95% confidence interval")
        found = [bucket["intervals"][metric.wire_name] for bucket in buckets]
        assert [(row["low"], row["high"]) for row in rows] == [
            (near(one["low"]), near(one["high"])) if one else (None, None) for one in found
        ]
        assert [row[metric.label] for row in rows] == [b[metric.wire_name] for b in buckets]
        assert any(found)


@pytest.mark.parametrize(
    ("board", "model", "measures"),
    [("classification", DIGITS, CLASSIFICATION), ("regression", DIABETES, REGRESSION)],
)
def test_a_comparison_is_the_apis(ask, answer, period, board, model, measures):
    before = period.start - (period.end - period.start)
    moved = {"b.startTime": before.isoformat(), "b.endTime": period.start.isoformat()}
    metrics = {one["metric"]: one for one in answer("metrics/compare", **model, **moved)["metrics"]}

    rows = ask(board, "Compared with the period before")
    shown = shown_in(Surface.DASHBOARDS, measures)
    assert [row["metric"] for row in rows] == [measure.label for measure in shown]
    for row, measure in zip(rows, shown, strict=True):
        one = metrics[measure.wire_name]
        assert (row["now"], row["before"]) == (near(one["a"]["value"]), near(one["b"]["value"]))
        assert (row["p-value"], row["verdict"]) == (near(one["pValue"]), one["verdict"])
    assert any(row["p-value"] is not None for row in rows)


def test_inference_stats_are_the_apis(ask, answer):
    stats = answer("inference-stats", model="digits")
    totals = stats["totals"]
    for title, name in {
        "Inferences": "inferences",
        "Failed requests": "errorRate",
        "Mean confidence": "confidence",
        "Mean latency": "latencySeconds",
    }.items():
        (row,) = ask("inferences", title)
        assert (row["now"], row["before"]) == (totals[name]["now"], totals[name]["previous"])
    classes = {row["label"]: row for row in ask("inferences", "Classes")}
    (digits,) = stats["models"]
    assert classes.keys() == {one["label"] for one in digits["classes"]}
    for one in digits["classes"]:
        row = classes[one["label"]]
        assert row["inferences"] == one["inferences"]["now"]
        assert row["median confidence"] == one["confidenceQuantiles"]["p50"]


def test_the_overview_is_the_apis(ask, answer):
    stats = answer("inference-stats")
    (row,) = ask("models", "Mean latency")
    totals = stats["totals"]["latencySeconds"]
    assert (row["now"], row["before"]) == (totals["now"], totals["previous"])
    (good,) = ask("models", "Classifiers")
    (whole,) = answer("metrics/classification", **DIGITS)["buckets"]
    assert (good["truths"], good["accuracy"]) == (whole["n"], whole["accuracy"])
    assert good["f1"] == near(whole["f1"])


def test_steps_are_the_apis(ask, answer):
    named = {"name": "accuracy"}
    told = answer("metrics/steps", **named, interval="15m", align="epoch")["buckets"]
    rows = ask("steps", "$scalar over time")
    assert [(r["mean"], r["minimum"], r["maximum"], r["last"]) for r in rows] == [
        (b["mean"], b["min"], b["max"], b["last"]) for b in told
    ]
    assert sum(b["n"] for b in told) == 3 * EXECUTIONS


def test_classes_over_time_are_the_apis(ask, answer):
    buckets = answer("metrics/classification", **DIGITS, **HALF_HOURS)["buckets"]
    told = {
        (_seconds(bucket["startTime"]), one["label"]): one["f1"]
        for bucket in buckets
        for one in bucket["classes"] or ()
    }
    rows = ask("classification", "F1 of each class")
    shown = {(row["time"].timestamp(), row["metric"]): row["f1"] for row in rows}
    assert shown == {key: told[key] for key in shown}
    assert {key for key, f1 in told.items() if f1 is not None} <= shown.keys()


@pytest.fixture
def bucketed(answer, period):
    """The API's inference stats of each half hour, by its first second and model."""
    half_hour = timedelta(minutes=30)
    first = period.start.timestamp() // 1800 * 1800
    starts = [datetime.fromtimestamp(first, period.start.tzinfo) + n * half_hour for n in range(49)]
    found = {}
    for start in starts:
        window = max(start, period.start), min(start + half_hour, period.end)
        if window[0] < window[1]:
            asked = {"startTime": window[0].isoformat(), "endTime": window[1].isoformat()}
            models = answer("inference-stats", **asked)["models"]
            found[window[0].timestamp()] = {one["model"]: one for one in models}
    return found


def test_requests_latency_and_confidence_over_time_are_the_apis(ask, bucketed):
    digits = {at: models.get("digits") for at, models in bucketed.items()}
    rows = {row["time"].timestamp(): row for row in ask("inferences", "Requests")}
    assert rows.keys() == digits.keys()
    for at, one in digits.items():
        counts = (one["inferences"]["now"], one["errors"]["now"]) if one else (0, 0)
        assert (rows[at]["answered"], rows[at]["failed"]) == counts

    latencies = {row.pop("time").timestamp(): row for row in ask("inferences", "Latency")}
    told = {at: one["latencyQuantiles"] for at, one in digits.items() if one}
    assert latencies == {
        at: {name: known[name] for name in ("p50", "p95", "p99")}
        for at, known in told.items()
        if known
    }
    medians = {
        (row["time"].timestamp(), row["metric"]): row["median"]
        for row in ask("inferences", "Median confidence of each class")
    }
    assert medians == {
        (at, one["label"]): one["confidenceQuantiles"]["p50"]
        for at, model in digits.items()
        for one in (model["classes"] if model else ())
        if one["confidenceQuantiles"]
    }


def test_all_models_are_the_apis(ask, answer):
    stats = answer("inference-stats")
    for title, name in {"Inferences": "inferences", "Failed requests": "errorRate"}.items():
        (row,) = ask("models", title)
        told = stats["totals"][name]
        assert (row["now"], row["before"]) == (told["now"], told["previous"])
    known = answer("models")["models"]
    busy = [one for one in known if one["inferences"] + one["errors"]]
    assert ask("models", "Known models") == [{"busy": len(busy), "known": len(known)}]

    shown = {row["model"]: row for row in ask("models", "Models, the busiest first")}
    assert shown.keys() == {one["model"] for one in stats["models"]}
    for one in stats["models"]:
        row = shown[one["model"]]
        assert (row["inferences"], row["errors"]) == (
            one["inferences"]["now"],
            one["errors"]["now"],
        )
        assert row["change"] == near(one["inferences"]["change"])
        assert row["error rate"] == one["errorRate"]["now"]
        latency = one["latencySeconds"]
        assert (row["mean latency"], row["mean latency before"]) == (
            latency["now"],
            latency["previous"],
        )
        assert row["latency p95"] == one["latencyQuantiles"]["p95"]


def test_the_busiest_models_over_time_are_the_apis(ask, bucketed):
    counts = {
        (at, name): (one["inferences"]["now"], one["errorRate"]["now"])
        for at, models in bucketed.items()
        for name, one in models.items()
    }
    volumes = ask("models", "Inferences of the ten busiest models")
    rates = ask("models", "Failed requests of the ten busiest models")
    for rows, column, place in ((volumes, "inferences", 0), (rates, "error rate", 1)):
        shown = {(row["time"].timestamp(), row["metric"]): row[column] for row in rows}
        assert shown.keys() >= counts.keys()
        assert {key: shown[key] for key in counts} == {k: c[place] for k, c in counts.items()}
        assert not any(number for key, number in shown.items() if key not in counts)


def test_errors_of_regression_are_the_apis(ask, answer):
    (whole,) = answer("metrics/regression", **DIABETES)["buckets"]
    assert ask("regression", "Mean absolute error") == [
        {"mean_absolute_error": whole["meanAbsoluteError"]}
    ]
    assert ask("regression", "Root mean squared error") == [
        {"root_mean_squared_error": whole["rootMeanSquaredError"]}
    ]
    (row,) = ask("models", "Regressors")
    assert (row["model"], row["truths"], row["MAE"], row["RMSE"], row["bias"], row["R2"]) == (
        "diabetes",
        whole["n"],
        whole["meanAbsoluteError"],
        whole["rootMeanSquaredError"],
        whole["meanError"],
        whole["r2"],
    )
    buckets = answer("metrics/regression", **DIABETES, **HALF_HOURS)["buckets"]
    shown = [
        (row["R²"], row["MAPE"])
        for row in ask("regression", "R² and mean absolute percentage error")
    ]
    assert shown == [(b["r2"], b["meanAbsolutePercentageError"]) for b in buckets]
    counted = ask("regression", "Predictions and truths")
    assert [(row["with truth"], row["with truth"] + row["without truth"]) for row in counted] == [
        (b["n"], b["predictions"]) for b in buckets
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_version_of_regression_is_the_apis(ask, answer, version):
    asked = {**DIABETES, **HALF_HOURS, "version": version}
    buckets = answer("metrics/regression", **asked)["buckets"]
    rows = ask("regression", "Root mean squared error of each version")
    shown = [row["RMSE"] for row in rows if row["metric"] == version]
    assert shown == [bucket["rootMeanSquaredError"] for bucket in buckets]


def test_predicted_values_are_numpys(ask, reader, period):
    """Of the view's rows: the API has values per deployment only."""
    rows = reader.execute(
        """
        SELECT extract(epoch FROM greatest(%(start)s, date_bin('30 minutes', time, '2000-01-03Z')))
                   ::float8 AS at, array_agg(value) AS values
        FROM truthline.predictions
        WHERE workspace = 'default' AND model = 'diabetes' AND value IS NOT NULL
          AND time >= %(start)s AND time < %(end)s
        GROUP BY 1 ORDER BY 1
        """,
        {"start": period.start, "end": period.end},
    ).fetchall()
    shown = [list(row.values()) for row in ask("regression", "Predicted values")]
    assert [numbers[0].timestamp() for numbers in shown] == [row["at"] for row in rows]
    for (_, *numbers), row in zip(shown, rows, strict=True):
        about = np.quantile(row["values"], [0, 0.25, 0.5, 0.75, 1])
        assert numbers == pytest.approx(list(about), rel=1e-14)


def test_executions_are_the_apis(ask, answer, api):
    asked = {"name": "accuracy"}
    told = api.get("/api/v1/metrics/steps/executions", query_string=asked).json["executions"]
    rows = ask("steps", "$scalar of the last executions")
    assert {row.pop("execution"): (row["n"], row["mean"], row["last"]) for row in rows} == {
        one["execution"]: (one["n"], one["mean"], one["last"]) for one in told
    }
    asked = {"name": "loss", "execution": "train-3"}
    losses = api.get("/api/v1/metrics/steps/values", query_string=asked).json["values"]
    shown = ask("steps", "$list of $execution")
    assert [row["value"] for row in shown] == losses
    assert [row["place"] for row in shown] == list(range(1, len(losses) + 1))

    buckets = answer("metrics/steps", name="loss", kind="list", interval="15m", align="epoch")[
        "buckets"
    ]
    assert [
        (row["mean"], row["minimum"], row["maximum"], row["last"])
        for row in ask("steps", "$list over time")
    ] == [(b["mean"], b["min"], b["max"], b["last"]) for b in buckets]


def test_all_metrics_as_they_stand_are_the_apis(ask, api):
    shown = {
        (row["execution"], row["name"], row["list"]): (row["values"], row["last value"])
        for row in ask("steps", "All metrics as they stand")
    }
    scalars = api.get("/api/v1/metrics/single-value").json["metrics"]
    lists = api.get("/api/v1/metrics/list-values").json["metrics"]
    known = {(one["execution_id"], one["name"], False): one["value"] for one in scalars}
    assert {key: value for key, (_, value) in shown.items() if not key[2]} == known
    assert {key: of for key, of in shown.items() if key[2]} == {
        (one["execution_id"], one["name"], True): (len(one["values"]), one["values"][-1])
        for one in lists
    }


def _seconds(text):
    return datetime.fromisoformat(text).timestamp()
