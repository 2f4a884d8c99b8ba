"""Scores on a model's page: the numbers of scikit-learn, of whatever the page is about."""

import csv
import io
import json
import math
import random
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import numpy as np
import pytest
from markupsafe import escape
from playwright.sync_api import expect
from plotly.utils import PlotlyJSONEncoder
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.positive_class import declare_positive_class
from app.ingest.predictions import ingest_predictions
from app.query.measure import Surface, shown_in
from app.query.measures import SCORES
from app.store.registry import ModelName
from app.web import score_curves, scores
from app.web.export import as_csv
from app.web.page import render_panel
from app.web.session import WORKSPACE
from tests.api.given import now_of
from tests.oracle.test_scores import plain_delong
from tests.web.test_names import MARKUP, SHOWN
from tests.web.test_pages import PHONE, TUMOURS, asked, link, members_of, panel, serious, written

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASKED = {"model": "spam", "startTime": START.isoformat(), "endTime": (START + HOUR).isoformat()}
NUMBERS = ("n", "n_positive", "roc_auc", "average_precision", "log_loss", "brier_score")
# Predictions of the hour and of the one before, each with 60 truths of either class.
EACH = 60


def drawn(chance, separation):
    """Scores of the positive class and truths; the classes are this far from each other."""
    for number in range(2 * EACH):
        positive = number % 2 == 0
        yield round(norm.cdf(chance.gauss(separation * positive, 1)), 3), positive


@pytest.fixture
def told(database, workspace):
    """A binary classifier that is worse than an hour ago; rows by hour: version, score, truth."""
    chance = random.Random(4)
    rows = {0: list(drawn(chance, 0.4)), -1: list(drawn(chance, 2.0))}
    predictions, truths = [], []
    for hour, pairs in rows.items():
        for n, (score, positive) in enumerate(pairs):
            row = {"model": "spam", "request_id": f"{hour}-{n}"}
            predictions.append(
                Prediction(
                    **row,
                    time=START + hour * HOUR + n * timedelta(seconds=25),
                    version="v1" if n < EACH else "v2",
                    tags={"country": "FR" if n % 3 else "DE"},
                    scores={"ham": 1 - score, MARKUP: score},
                )
            )
            truths.append(Feedback(**row, label=MARKUP if positive else "ham"))
    ingest_predictions(database, workspace.id, predictions)
    ingest_feedback(database, workspace.id, truths)
    # the markup sorts before ham
    return {hour: np.array(pairs).T for hour, pairs in rows.items()}


OF_SPAM = {"positiveClass": MARKUP}


def rows_of(database, workspace, name, **asked):
    search = "?" + urlencode(ASKED | asked)
    return list(csv.DictReader(io.StringIO(as_csv(database, name, search, workspace.id))))


def parts_of(rows):
    """The numbers of after and before, and the buckets."""
    by_part = {row["part"]: row for row in rows if row["part"] != "bucket"}
    return by_part["after"], by_part["before"], [row for row in rows if row["part"] == "bucket"]


def numbers(row):
    return [float(row[name]) for name in NUMBERS]


def expected(scores_, truths):
    return [
        pytest.approx(number, abs=1e-12)
        for number in (
            len(truths),
            truths.sum(),
            roc_auc_score(truths, scores_),
            average_precision_score(truths, scores_),
            log_loss(truths, scores_),
            brier_score_loss(truths, scores_),
        )
    ]


def shown(app, database, workspace, panel_, **asked):
    """What a panel draws, as text; empty if there is no panel."""
    search = "?" + urlencode(ASKED | asked, doseq=True)
    with app.test_request_context(environ_overrides={WORKSPACE: workspace.id}):
        parts = render_panel(database, panel_, search, alone=False)
    return "\n".join(_strings(json.loads(json.dumps(parts, cls=PlotlyJSONEncoder))))


def _strings(node):
    """All texts within JSON."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | dict):
        for part in node if isinstance(node, list) else node.values():
            yield from _strings(part)


# --- metrics ------------------------------------------------------------------------------


def test_both_windows_are_those_of_scikit_learn(database, workspace, told):
    after, before, _ = parts_of(rows_of(database, workspace, "scores", **OF_SPAM))

    assert numbers(after) == expected(*told[0])
    assert numbers(before) == expected(*told[-1])
    assert after["positive_class"] == MARKUP
    assert float(after["roc_auc_low"]) < float(after["roc_auc"]) < float(after["roc_auc_high"])
    assert float(after["brier_score_low"]) < float(after["brier_score"])


def test_buckets_have_the_metric_that_is_drawn(database, workspace, told):
    asked_ = OF_SPAM | {"interval": "30m"}
    halves = [told[0][:, :72], told[0][:, 72:]]  # a prediction every 25 seconds

    _, _, buckets = parts_of(rows_of(database, workspace, "scores", **asked_))
    assert [float(row["roc_auc"]) for row in buckets] == [
        pytest.approx(roc_auc_score(truths, scores_), abs=1e-12) for scores_, truths in halves
    ]
    assert {row["log_loss"] for row in buckets} == {""}
    _, _, buckets = parts_of(rows_of(database, workspace, "scores", **asked_, metric="logLoss"))
    assert [float(row["log_loss"]) for row in buckets] == [
        pytest.approx(log_loss(truths, scores_), abs=1e-12) for scores_, truths in halves
    ]
    assert {row["roc_auc"] for row in buckets} == {""}


def test_every_choice_of_the_url_counts(database, workspace, told):
    places = np.arange(2 * EACH)

    def auc(**asked_):
        after, *_ = parts_of(rows_of(database, workspace, "scores", **OF_SPAM, **asked_))
        return numbers(after)

    assert auc(version="v2") == expected(*told[0][:, places >= EACH])
    assert auc(tag="country:DE") == expected(*told[0][:, places % 3 == 0])
    earlier = f"{(START - HOUR).isoformat()}/{START.isoformat()}"
    assert auc(after=earlier) == expected(*told[-1])


def test_as_of_a_moment_later_truths_are_not_known(database, workspace, told):
    moment = now_of(database)
    truth = Feedback(model="spam", request_id="0-0", label="ham")  # it was the other
    ingest_feedback(database, workspace.id, [truth])
    scores_, truths = told[0]
    corrected = truths.copy()
    corrected[0] = 0

    now, *_ = parts_of(rows_of(database, workspace, "scores", **OF_SPAM))
    then, *_ = parts_of(rows_of(database, workspace, "scores", **OF_SPAM, asOf=moment.isoformat()))
    assert numbers(now) == expected(scores_, corrected)
    assert numbers(then) == expected(scores_, truths)


def test_the_other_class_is_the_positive_one_by_default(database, workspace, told):
    """The last one in the alphabet, unless the URL asks for the other."""
    after, *_ = parts_of(rows_of(database, workspace, "scores"))
    scores_, truths = told[0]

    assert after["positive_class"] == "ham"
    assert numbers(after) == expected(1 - scores_, 1 - truths)


def test_a_difference_is_judged_where_a_test_knows(app, database, workspace, told):
    text = shown(app, database, workspace, scores.PANEL, **OF_SPAM)
    areas = [plain_delong(*(s[t == hit] for hit in (1, 0))) for s, t in (told[0], told[-1])]
    z = (areas[0][0] - areas[1][0]) / math.hypot(areas[0][1], areas[1][1])

    assert z < -4
    change = f"{100 * (areas[0][0] - areas[1][0]):.1f} pt".replace("-", "−")
    assert f'<span class="change worse" title="worse">{change}</span>' in text
    assert scores.UNTESTED in text  # of log loss, whose variance is not known
    same = shown(app, database, workspace, scores.PANEL, **OF_SPAM, before="none")
    assert "vs " not in same
    assert "±" in same


def test_names_are_no_markup(app, database, workspace, told):
    """In words they are escaped once, and in charts as plotly needs it."""
    text = shown(app, database, workspace, score_curves.PANEL, **OF_SPAM)

    assert f"Of scores for class {escape(MARKUP)}." in text
    assert f"Truths that are {SHOWN}" in text
    assert MARKUP not in text


@pytest.mark.parametrize("name", ["scores", "score-curves"])
def test_a_class_that_scores_can_not_be_about_is_refused(app, database, workspace, told, name):
    one = scores.PANEL if name == "scores" else score_curves.PANEL
    text = shown(app, database, workspace, one, positiveClass="eggs")

    assert "must be one of the classes of a model with two classes" in text
    if name == "scores":
        assert "Metric must be one of rocAuc" in shown(
            app, database, workspace, one, metric="accuracy"
        ).replace("logLoss, brierScore, rocAuc", "rocAuc")


def test_a_model_without_scores_has_no_such_panel(app, database, workspace):
    rows = {
        "labels": {"label": "a"},
        "values": {"value": 1.5},
        "confidences of three": {"label": "a", "confidence": 0.5},
    }
    for model, output in rows.items():
        for n, other in enumerate(("a", "b", "c")):
            given = output | ({"label": other} if "label" in output else {})
            row = {"model": model, "request_id": f"r{n}"}
            ingest_predictions(database, workspace.id, [Prediction(**row, time=START, **given)])
            truth = {"value": 1.0} if "value" in output else {"label": other}
            ingest_feedback(database, workspace.id, [Feedback(**row, **truth)])
        for one in (scores.PANEL, score_curves.PANEL):
            assert shown(app, database, workspace, one, model=model) == "", model
        assert rows_of(database, workspace, "scores", model=model) == []


def given_three_classes(database, workspace, name):
    told = [({"a": 0.7, "b": 0.2, "c": 0.1}, "a"), ({"a": 0.2, "b": 0.3, "c": 0.5}, "b")]
    for n, (given, truth) in enumerate(told):
        row = {"model": "three", "request_id": f"{name}{n}"}
        ingest_predictions(database, workspace.id, [Prediction(**row, time=START, scores=given)])
        ingest_feedback(database, workspace.id, [Feedback(**row, label=truth)])


def test_more_classes_have_what_exists_and_words_for_the_rest(app, database, workspace):
    given_three_classes(database, workspace, "r")

    after, *_ = rows_of(database, workspace, "scores", model="three")
    assert float(after["log_loss"]) == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2)
    assert (after["positive_class"], after["roc_auc"], after["n_positive"]) == ("", "", "")
    text = shown(app, database, workspace, scores.PANEL, model="three")
    assert "has not two classes, and declares none, so it has no ROC AUC" in text
    assert "Positive class" not in text
    assert "Log loss over time" in text
    text = shown(app, database, workspace, score_curves.PANEL, model="three")
    assert "no ROC curve and no precision–recall curve" in text
    assert "Reliability curve" in text
    rows = rows_of(database, workspace, "score-curves", model="three")
    assert {row["curve"] for row in rows} == {"reliability"}


def test_a_declared_class_of_more_has_its_ranks_and_says_what_they_lack(app, database, workspace):
    given_three_classes(database, workspace, "r")
    declare_positive_class(database, workspace.id, ModelName("", "", "three"), "b")
    given_three_classes(database, workspace, "s")

    after, *_ = rows_of(database, workspace, "scores", model="three")
    names = ("positive_class", "n", "n_unranked", "n_positive", "roc_auc")
    assert [after[name] for name in names] == ["b", "4", "2", "1", "1.0"]
    text = shown(app, database, workspace, scores.PANEL, model="three")
    assert "2 truths were stored while class b was not declared" in text
    assert "Truths not ranked" in text
    text = shown(app, database, workspace, score_curves.PANEL, model="three")
    assert "Of scores for class b." in text
    assert "2 truths were stored while class b was not declared" in text
    assert "ROC curve" in text


def test_the_csv_has_each_measure():
    (heads,) = scores.rows(None, None)

    assert {measure.name for measure in shown_in(Surface.PAGES, SCORES)} <= set(heads)


# --- curves -------------------------------------------------------------------------------


def test_curves_are_those_of_scikit_learn(database, workspace, told):
    rows = rows_of(database, workspace, "score-curves", **OF_SPAM)
    for part, hour in (("after", 0), ("before", -1)):
        scores_, truths = told[hour]
        found = [row for row in rows if row["part"] == part]
        points = [row for row in found if row["curve"] == "threshold"]
        false, true, _ = roc_curve(truths, scores_, drop_intermediate=False)
        assert [float(row["false_positive_rate"]) for row in points] == list(false[1:])
        assert [float(row["recall"]) for row in points] == list(true[1:])
        share, mean = calibration_curve(truths, scores_, n_bins=10)
        bins = [row for row in found if row["curve"] == "reliability"]
        assert [float(row["mean_score"]) for row in bins] == pytest.approx(mean)
        assert [float(row["share"]) for row in bins] == pytest.approx(share)


def test_thinned_curves_are_exact_and_say_so(app, database, workspace, told, monkeypatch):
    whole = rows_of(database, workspace, "score-curves", **OF_SPAM)
    assert "Thinned" not in shown(app, database, workspace, score_curves.PANEL, **OF_SPAM)
    monkeypatch.setattr(score_curves, "POINTS", 20)
    thinned = rows_of(database, workspace, "score-curves", **OF_SPAM)

    count = len([r for r in thinned if r["curve"] == "threshold" and r["part"] == "after"])
    assert 10 <= count <= 21
    moved = {"asOf"}
    exact = [{k: v for k, v in row.items() if k not in moved} for row in whole]
    assert all({k: v for k, v in row.items() if k not in moved} in exact for row in thinned)
    distinct = len(set(told[0][0]))
    words = f"Thinned (after): {count} of {distinct} distinct scores are drawn"
    assert words in shown(app, database, workspace, score_curves.PANEL, **OF_SPAM)


def test_of_many_truths_what_reads_each_score_is_left_out(
    app, database, workspace, told, monkeypatch
):
    """And the panels report it; the others are the same numbers."""
    monkeypatch.setattr(scores, "MANY", 100)
    monkeypatch.setattr(score_curves, "MANY", 100)
    after, before, buckets = parts_of(rows_of(database, workspace, "scores", **OF_SPAM))
    left_out = NUMBERS.index("average_precision")
    for row, hour in ((after, 0), (before, -1)):
        row["average_precision"] = row["average_precision"] or "nan"
        found, wanted = numbers(row), expected(*told[hour])
        assert math.isnan(found.pop(left_out))
        assert found == wanted[:left_out] + wanted[left_out + 1 :]
    assert {row["roc_auc_low"] for row in (after, before, *buckets)} == {""}
    assert all(row["roc_auc"] for row in buckets if int(row["n"]) > 20)
    text = shown(app, database, workspace, scores.PANEL, **OF_SPAM)
    assert scores.LARGE in text
    assert 'class="margin"' not in text
    after, *_ = parts_of(
        rows_of(database, workspace, "scores", **OF_SPAM, metric="averagePrecision")
    )
    assert numbers(after) == expected(*told[0])

    points = rows_of(database, workspace, "score-curves", **OF_SPAM)
    scores_, truths = told[0]
    for point in points:
        if point["part"] == "after" and point["curve"] == "threshold":
            hits = truths[scores_ >= float(point["threshold"])].sum()
            assert int(point["true_positives"]) == hits
    assert len([p for p in points if p["curve"] == "threshold"]) == 2 * score_curves.POINTS
    assert score_curves.LARGE in shown(app, database, workspace, score_curves.PANEL, **OF_SPAM)


# --- in a browser -------------------------------------------------------------------------


@pytest.fixture
def window(demo):
    return {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}


def test_the_page_shows_the_numbers_of_the_api(visit, open_url, window):
    one = visit(open_url)
    page = one.open(link("/model", TUMOURS, window))
    answer = asked(open_url, "/api/v1/metrics/scores", **TUMOURS, **window, confidence=0.95)
    (bucket,) = answer["buckets"]
    tiles = panel(page, "scores").locator(".tile")
    auc = tiles.filter(has_text="ROC AUC").inner_text()
    interval = bucket["intervals"]["rocAuc"]
    assert f"{100 * bucket['rocAuc']:.1f} %" in auc
    assert f"±{50 * (interval['high'] - interval['low']):.1f} pt" in auc
    assert f"{bucket['nPositive']:,}" in tiles.filter(has_text="Positive truths").inner_text()
    expect(panel(page, "score-curves").locator(".js-plotly-plot")).to_have_count(3)
    chosen = page.get_by_role("textbox", name="Positive class")
    assert chosen.input_value() == answer["positiveClass"] == "malignant"

    chosen.click()
    page.get_by_role("option", name="benign", exact=True).click()
    page.wait_for_url("**positiveClass=benign*")
    one.settled()
    expect(panel(page, "score-curves")).to_contain_text("Of scores for class benign")
    page.get_by_role("textbox", name="Drawn over time").click()
    page.get_by_role("option", name="Log loss", exact=True).click()
    page.wait_for_url("**metric=logLoss*")
    one.settled()
    expect(panel(page, "scores").locator("h3")).to_have_text("Log loss over time")
    assert members_of(page) == TUMOURS | window | {"positiveClass": "benign", "metric": "logLoss"}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        assert serious(page) == [], scheme
    page.set_viewport_size({"width": PHONE, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
