"""What the demo prints: the numbers of the events, and links that lead to them."""

import sys
from collections import Counter
from statistics import mean

import pytest

from app.cli import demo as command
from app.config import Settings
from app.demo.lesson import DIABETES, DIGITS, NoScikitLearn
from app.demo.story import RELEASE, hour_of
from app.factory import create_app
from app.ingest.inferences import Prediction
from tests.demo.conftest import accuracy, events_until, invoke, run_once

BEFORE, SINCE, DAY, RELEASED, CURL = "before", "since", 0, 1, 3


@pytest.fixture(scope="module")
def events(first_run):
    return events_until(first_run.now, first_run.now)


def pairs(events, model, start, end):
    """Last truths and predictions of the requests in a window."""
    truth = {e.request_id: e.row.label or e.row.value for e in events if told(e, model)}
    predicted = {
        e.request_id: e.row.label or e.row.value
        for e in events
        if isinstance(e.row, Prediction) and e.row.model == model.name and start <= e.row.time < end
    }
    known = [id_ for id_ in predicted if id_ in truth]
    return [truth[id_] for id_ in known], [predicted[id_] for id_ in known]


def mae(truths, predictions):
    return mean(abs(p - t) for p, t in zip(predictions, truths, strict=True))


def told(event, model):
    return not isinstance(event.row, Prediction) and event.row.model == model.name


def test_the_comparison_is_that_of_the_events(first_run, events):
    start, end = first_run.output.window(RELEASED)
    digits, diabetes = first_run.output.table("Since ")

    old = pairs(events, DIGITS, start - (end - start), start)
    new = pairs(events, DIGITS, start, end)
    accuracies = [f"{accuracy(*sides):.3f}" for sides in (old, new)]
    assert digits == ["digits", "accuracy", *accuracies, str(len(new[0]))]
    old = pairs(events, DIABETES, start - (end - start), start)
    new = pairs(events, DIABETES, start, end)
    assert diabetes[:2] == ["diabetes", "MAE"]
    assert [float(cell) for cell in diabetes[2:4]] == [
        pytest.approx(mae(*sides), abs=0.051) for sides in (old, new)
    ]


def test_the_confusion_matrix_shows_which_digit_is_missed(first_run, events):
    window = first_run.output.window(RELEASED)
    shown = [
        [0 if cell == "·" else int(cell) for cell in row[1:]]
        for row in first_run.output.table("confusion matrix")
    ]

    counted = Counter(zip(*pairs(events, DIGITS, *window), strict=True))
    assert shown == [[counted[a, p] for p in "0123456789"] for a in "0123456789"]
    assert shown[8][8] == 0 < shown[8][3]


def test_the_curl_answers_what_was_printed(first_run):
    app = create_app(Settings(database_url=first_run.url, auth=False), first_run.database)
    address = first_run.output.urls[CURL].removeprefix("http://127.0.0.1:8000")

    answer = app.test_client().get(address)

    assert answer.status_code == 200
    accuracies = [f"{bucket['accuracy']:.3f}" for bucket in answer.json["metrics"]]
    assert accuracies == first_run.output.column("accuracy per four hours", 3)


def test_the_links_lead_to_the_release(first_run):
    released, end = first_run.output.window(RELEASED)
    before, _ = first_run.output.window(2)

    assert released == hour_of(first_run.now) + RELEASE.begins
    assert end - released == released - before
    assert first_run.output.urls[DAY] == "http://127.0.0.1:8000/"


def test_the_links_are_below_the_public_url(first_run, monkeypatch):
    monkeypatch.setattr(command, "_now", lambda: first_run.now)  # nothing is missing

    again = run_once(first_run.url, "https://x.example/truthline/")

    local = "http://127.0.0.1:8000/"
    assert all(url.startswith(local) for url in first_run.output.urls)
    assert again.urls == [
        url.replace(local, "https://x.example/truthline/") for url in first_run.output.urls
    ]
    assert again.urls[DAY] == "https://x.example/truthline/"


def test_without_scikit_learn_it_explains_where_it_can_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)

    with pytest.raises(NoScikitLearn, match="a checkout with 'make demo'"):
        invoke("--once")


def test_it_is_served_on_a_loopback_address_only():
    result = invoke("--host", "192.0.2.1")

    assert result.exit_code == 2
    assert "loopback" in result.output
