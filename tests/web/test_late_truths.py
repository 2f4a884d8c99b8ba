"""Late and missing truth on a model's page: the numbers of the API, and words for estimates."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.web import late_truths
from tests.api.given import keyed_client, now_of
from tests.web.test_scores import rows_of, shown

HOUR = timedelta(hours=1)
# Label, confidence, truth or None: of each class other shares are known.
TOLD = [
    *[("cat", 0.9, "cat" if n < 30 else "dog") for n in range(40)],
    *[("dog", 0.7, ("dog" if n < 5 else "cat") if n < 10 else None) for n in range(60)],
    *[("cow", 0.8, None) for _ in range(25)],
]


@pytest.fixture
def window(database):
    """The two hours around now: some predictions are from the first, and half of them are known."""
    now = now_of(database).replace(microsecond=0)
    return {
        "startTime": (now - HOUR).isoformat(),
        "endTime": (now + HOUR).isoformat(),
        "interval": "1h",
    }


@pytest.fixture
def told(database, workspace):
    """Predictions of the last minutes, and the truths of some."""
    now = now_of(database)
    predictions, truths = [], []
    for n, (label, confidence, truth) in enumerate(TOLD):
        row = {"model": "pets", "request_id": f"r{n}"}
        time = now - timedelta(minutes=5) - n * timedelta(seconds=20)
        predictions.append(Prediction(**row, time=time, label=label, confidence=confidence))
        if truth:
            truths.append(Feedback(**row, label=truth))
    ingest_predictions(database, workspace.id, predictions)
    ingest_feedback(database, workspace.id, truths)


def csv_of(database, workspace, part, window, **asked):
    rows = rows_of(database, workspace, "late-truths", **window | {"model": "pets"} | asked)
    return [row for row in rows if row["part"] == part]


def answered(app, workspace, path, window, **asked):
    """What the API answers, on the grid of the page."""
    client = keyed_client(app, workspace.read_key)
    query = {"model": "pets", **window, "align": "epoch", **asked}
    answer = client.get(f"/api/v1/metrics/{path}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    return answer.json


def number(text):
    return float(text) if text else None


def test_the_csv_equals_the_api(app, database, workspace, told, window):
    delays = answered(app, workspace, "label-delay", window)
    corrected = answered(app, workspace, "corrected-accuracy", window)
    curve = [row for row in csv_of(database, workspace, "after", window) if row["delay"]]
    assert [(row["delay"], number(row["share"])) for row in curve] == [
        (one["delay"], one["share"]) for one in delays["curve"]
    ]
    buckets = csv_of(database, workspace, "bucket", window)
    assert len(buckets) == len(delays["buckets"]) == len(corrected["buckets"])
    for row, delay, accuracy in zip(buckets, delays["buckets"], corrected["buckets"], strict=True):
        assert int(row["predictions"]) == delay["predictions"]
        assert number(row["labelled_share"]) == delay["labelledShare"]
        assert number(row["still_expected"]) == delay["stillExpected"]
        assert number(row["accuracy"]) == accuracy["accuracy"]
        assert number(row["corrected_accuracy"]) == accuracy["correctedAccuracy"]
        bounds = accuracy["interval"] or {"low": None, "high": None}
        assert number(row["corrected_low"]) == bounds["low"]
        share = accuracy["accuracyInterval"] or {"low": None, "high": None}
        assert number(row["accuracy_high"]) == share["high"]


def test_of_many_truths_short_delays_are_omitted(
    app, database, workspace, told, window, monkeypatch
):
    monkeypatch.setattr(late_truths, "MANY", 40)
    curve = [row for row in csv_of(database, workspace, "after", window) if row["delay"]]

    assert [row["delay"] for row in curve] == ["1d", "7d", "30d"]
    text = shown(app, database, workspace, late_truths.PANEL, **window, model="pets")
    assert late_truths.LARGE in text


def test_an_estimate_is_named_as_one(app, database, workspace, told, window):
    text = shown(app, database, workspace, late_truths.PANEL, **window, model="pets")
    whole, *_ = [r for r in csv_of(database, workspace, "after", window) if not r["delay"]]

    assert float(whole["accuracy"]) == pytest.approx(35 / 50)
    assert float(whole["corrected_accuracy"]) == pytest.approx((40 * 3 / 4 + 60 / 2) / 100)
    assert "Corrected accuracy (estimate)" in text
    assert "70.0 %" in text
    assert "60.0 %" in text
    assert "±" in text
    assert "It is about 80.0 % of them" in text
    assert "Corrected accuracy is an estimate" in text


def test_as_of_a_moment_before_the_truths_none_is_known(app, database, workspace, window):
    row = {"model": "pets", "request_id": "r"}
    time = now_of(database) - timedelta(minutes=1)
    ingest_predictions(
        database, workspace.id, [Prediction(**row, time=time, label="cat", confidence=0.5)]
    )
    moment = now_of(database).isoformat()
    ingest_feedback(database, workspace.id, [Feedback(**row, label="cat")])

    def known(**asked):
        rows = csv_of(database, workspace, "after", window, **asked)
        return [number(row["labelled_share"]) for row in rows if not row["delay"]]

    assert known() == [1]
    assert known(asOf=moment) == [0]


def test_each_kind_of_model_has_what_it_can_have(app, database, workspace, window):
    time = now_of(database) - timedelta(minutes=1)
    outputs = {"values": {"value": 1.5}, "labels": {"label": "a"}, "found": {"detections": []}}
    for model, output in outputs.items():
        row = {"model": model, "request_id": "r", "time": time}
        ingest_predictions(database, workspace.id, [Prediction(**row, **output)])

    def text(model):
        return shown(app, database, workspace, late_truths.PANEL, **window, model=model)

    assert text("found") == ""
    for model in ("values", "labels"):
        assert "Truths known" in text(model)
        assert "Corrected accuracy" not in text(model)
    empty = {"startTime": "2024-01-01T00:00:00Z", "endTime": "2024-01-02T00:00:00Z"}
    assert "no predictions in this window" in shown(
        app, database, workspace, late_truths.PANEL, **empty, model="values"
    )
