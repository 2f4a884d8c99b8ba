"""`truthline demo`: what it stores, what it prints, and that it does so once."""

import sys
from datetime import timedelta
from itertools import groupby
from statistics import mean

import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    root_mean_squared_error,
)

from app.cli.demo import NoScikitLearn
from app.config import Settings
from app.demo import replay
from app.demo.timeline import timeline
from app.factory import create_app
from app.ingest.inferences import Prediction
from app.store.database import Database
from tests.demo.conftest import count_rows, invoke, run_once

ACCURACY, CONFUSION, ERROR = "accuracy per half hour", "confusion matrix", "error per hour"
HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


def pairs(models, start, model):
    """(time, version, predicted, last truth) of a model's requests, straight from the events."""
    events = [e for e in timeline(models, start) if e.row.model == model]
    truth = {
        e.request_id: e.row.label or e.row.value
        for e in events
        if not isinstance(e.row, Prediction)
    }
    for event in events:
        row = event.row
        if isinstance(row, Prediction) and event.request_id in truth:
            predicted = max(row.scores, key=row.scores.get) if row.scores else row.value
            yield row.time, row.version, predicted, truth[event.request_id]


def by_bucket(rows, start, width):
    """The predictions and the truths of each bucket."""
    for _, bucket in groupby(rows, key=lambda row: (row[0] - start) // width):
        _, _, predicted, actual = zip(*bucket, strict=True)
        yield predicted, actual


@pytest.fixture(scope="module")
def digits(models, first_run):
    return list(pairs(models, first_run.output.start, "digits"))


@pytest.fixture(scope="module")
def diabetes(models, first_run):
    return list(pairs(models, first_run.output.start, "diabetes"))


def test_printed_accuracy_is_that_of_the_events(first_run, digits):
    output = first_run.output
    buckets = list(by_bucket(digits, output.start, HALF_HOUR))

    assert len(buckets) == 12
    assert output.column(ACCURACY, 2) == [len(actual) for _, actual in buckets]
    assert output.column(ACCURACY, 3) == [
        round(accuracy_score(actual, predicted), 3) for predicted, actual in buckets
    ]


@pytest.mark.parametrize(("version", "column"), [("v1", 5), ("v2", 6)])
def test_printed_accuracy_of_a_version_is_that_of_its_events(first_run, digits, version, column):
    rows = [row for row in digits if row[1] == version]
    buckets = by_bucket(rows, first_run.output.start, HALF_HOUR)

    assert first_run.output.column(ACCURACY, column) == [
        round(accuracy_score(actual, predicted), 3) for predicted, actual in buckets
    ]


def test_printed_confusion_matrix_is_that_of_the_events(first_run, digits):
    _, _, predicted, actual = zip(*digits, strict=True)
    expected = confusion_matrix(actual, predicted, labels=list("0123456789"))

    printed = [
        [0 if cell == "·" else int(cell) for cell in row[1:]]
        for row in first_run.output.table(CONFUSION)
    ]

    assert printed == expected.tolist()


@pytest.mark.parametrize(
    ("error", "version", "column"),
    [
        (root_mean_squared_error, None, 3),
        (mean_absolute_error, None, 4),
        (root_mean_squared_error, "v1", 5),
        (root_mean_squared_error, "v2", 6),
    ],
)
def test_printed_errors_are_those_of_the_events(first_run, diabetes, error, version, column):
    rows = [row for row in diabetes if version in (None, row[1])]
    buckets = by_bucket(rows, first_run.output.start, HOUR)

    assert first_run.output.column(ERROR, column) == [
        pytest.approx(error(actual, predicted), abs=0.0501) for predicted, actual in buckets
    ]


def test_v2_degrades_and_v1_does_not(first_run):
    v1, v2 = first_run.output.column(ACCURACY, 5), first_run.output.column(ACCURACY, 6)

    assert mean(v2[:6]) > 0.95
    assert mean(v2[6:]) < mean(v2[:6]) - 0.1
    assert mean(v1[6:]) > mean(v1[:6]) - 0.03


def test_the_curl_answers_what_was_printed(first_run):
    settings = Settings(database_url=first_run.url, auth=False)
    database = Database.from_settings(settings)
    address = first_run.output.url.removeprefix("http://127.0.0.1:8000")

    answer = create_app(settings, database).test_client().get(address)
    database.dispose()

    assert answer.status_code == 200
    accuracies = [round(bucket["accuracy"], 3) for bucket in answer.json["metrics"]]
    assert accuracies == first_run.output.column(ACCURACY, 3)


def test_it_reports_what_it_stored_and_that_some_truths_were_corrected(first_run):
    rows = first_run.rows

    assert "Stored 8,000 predictions and 7," in first_run.output.text
    assert rows.predictions == 8000
    assert rows.outcomes > rows.known > 6000


def test_running_again_adds_nothing(first_run):
    again = run_once(first_run.url)

    assert count_rows(first_run.url) == first_run.rows
    assert "Replayed before: 8,000 predictions were stored by 20" in again.text
    assert "Nothing new to store" in again.text
    assert again.tables == first_run.output.tables


def test_an_interrupted_run_is_completed(fresh_database_url, monkeypatch, models):
    real, calls = replay.ingest_feedback, []

    def until_the_power_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(replay, "ingest_feedback", until_the_power_fails)
    assert invoke("--once", "--use-database", url=fresh_database_url).exit_code == 1
    monkeypatch.undo()
    before = count_rows(fresh_database_url)

    completed = run_once(fresh_database_url)

    after = count_rows(fresh_database_url)
    known = sum(
        1 for model in ("digits", "diabetes") for _ in pairs(models, completed.start, model)
    )
    assert 0 < before.predictions < after.predictions == 8000
    assert 0 < before.known < after.known == known
    assert f"Stored {8000 - before.predictions:,} predictions and " in completed.text
    assert run_once(fresh_database_url).tables == completed.tables
    assert count_rows(fresh_database_url) == after


def test_without_scikit_learn_it_explains_where_it_can_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.delitem(sys.modules, "app.demo.models")

    with pytest.raises(NoScikitLearn, match="a checkout with 'make demo'"):
        invoke("--once")


def test_it_is_served_on_a_loopback_address_only():
    result = invoke("--host", "192.0.2.1")

    assert result.exit_code == 2
    assert "loopback" in result.output


def test_a_given_database_is_left_alone_unless_asked_for(fresh_database_url):
    result = invoke("--once", url=fresh_database_url)

    assert result.exit_code == 2
    assert "--use-database" in result.output
    assert count_rows(fresh_database_url).predictions == 0
