"""Native answers over HTTP equal the query functions, and scikit-learn over the same pairs."""

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from sklearn.metrics import (
    accuracy_score,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

from app.query.classification import classification
from app.query.measure import Surface, shown_in
from app.query.measures import CLASSIFICATION
from app.query.question import Question
from app.query.regression import regression
from app.query.subjects import Scope
from app.query.window import Grid
from tests.oracle.plain import (
    cases,
    classification_cases,
    new_name,
    plain_buckets,
    st,
    tell,
    within,
)

MICROSECOND_UNIT = 1_000_000
METRICS = shown_in(Surface.REST, CLASSIFICATION)
modest = st.floats(-1e3, 1e3).map(lambda number: round(number, 3))


def told(database, workspace, client, case, kind):
    """(name, buckets) of a case, sent and queried over HTTP."""
    name = new_name()
    tell(database, workspace.id, name, case)
    window, width = case.question.window, case.question.width
    query = {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}
    query |= {"startTime": window.start.isoformat(), "endTime": window.end.isoformat()}
    if width:
        query["interval"] = f"{width.total_seconds() * MICROSECOND_UNIT:.0f}us"
    answer = client.get(f"/api/v1/metrics/{kind}", query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.json["exact"] is True
    return name, answer.json["buckets"]


def pairs_by_bucket(case):
    window, width = case.question.window, case.question.width
    edges = plain_buckets(window.start, window.end, width)
    return [within(case.pairs(), start, end) for start, end in edges]


def question_of(workspace, name, case):
    question = case.question
    return Question(workspace.id, Scope(name), question.window, Grid(question.width))


def predictions_of(case):
    """How many predictions each bucket has, with or without truth."""
    window, width = case.question.window, case.question.width
    times = [answer.time for request in case.requests for answer in request.answers]
    edges = plain_buckets(window.start, window.end, width)
    return [sum(start <= time < end for time in times) for start, end in edges]


@settings(max_examples=12)
@given(case=classification_cases())
def test_classes_over_http(database, workspace, client, case):
    name, found = told(database, workspace, client, case, "classification")

    with database.reading() as conn:
        question = question_of(workspace, name, case)
        expected = classification(conn, database.registry, question).buckets
    assert [[b["n"], *(b[m.wire_name] for m in METRICS)] for b in found] == [
        [b.n, *(getattr(b, m.name) for m in METRICS)] for b in expected
    ]
    assert [[c | {"intervals": None} for c in b["classes"]] for b in found] == [
        [asdict(c) for c in b.classes] for b in expected
    ]
    assert [b["confusionMatrix"] for b in found] == [b.matrix.values for b in expected]
    assert [b["predictions"] for b in found] == predictions_of(case)
    for bucket, pairs in zip(found, pairs_by_bucket(case), strict=True):
        assert bucket["n"] == len(pairs)
        if pairs:
            equals_sklearn(bucket, *zip(*pairs, strict=True))


def equals_sklearn(bucket, predicted, actual):
    """Accuracy and each class; a metric without denominator is null there and 0 here."""
    labels = [one["label"] for one in bucket["classes"]]
    scores = precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    for metric, score in zip(("precision", "recall", "f1", "support"), scores, strict=True):
        assert [one[metric] or 0 for one in bucket["classes"]] == pytest.approx(list(score))
    assert bucket["accuracy"] == pytest.approx(accuracy_score(actual, predicted))


@settings(max_examples=12)
@given(case=cases(modest, modest))
def test_errors_over_http(database, workspace, client, case):
    name, found = told(database, workspace, client, case, "regression")

    with database.reading() as conn:
        expected = regression(conn, question_of(workspace, name, case)).buckets
    for bucket, wanted, pairs in zip(found, expected, pairs_by_bucket(case), strict=True):
        assert (bucket["n"], bucket["meanError"]) == (wanted.n, wanted.mean_error)
        assert bucket["r2"] == wanted.r2
        assert bucket["n"] == len(pairs)
        if pairs:
            predicted, actual = zip(*pairs, strict=True)
            close = {"rel": 1e-9, "abs": 1e-9}
            absolute = mean_absolute_error(actual, predicted)
            assert bucket["meanAbsoluteError"] == pytest.approx(absolute, **close)
            squared = mean_squared_error(actual, predicted)
            assert bucket["meanSquaredError"] == pytest.approx(squared, **close)
            if len(set(actual)) > 1:
                assert bucket["r2"] == pytest.approx(r2_score(actual, predicted), rel=1e-6)
