"""Classification metrics equal scikit-learn's, and their counts plain Python's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)

from app.query.classification import Average, Counts, classification_metrics
from app.query.window import Grid
from tests.oracle.plain import (
    categories_of,
    classification_cases,
    declare,
    new_name,
    plain_buckets,
    plain_counts,
    plain_matrix,
    tell,
    within,
)

CLOSE = 1e-12


def mean_of_defined(numbers):
    """NaN are left out; None if nothing is left."""
    defined = [number for number in numbers if not math.isnan(number)]
    return sum(defined) / len(defined) if defined else None


def sklearn_specificity(actual, predicted, categories):
    matrices = multilabel_confusion_matrix(actual, predicted, labels=categories)
    negatives = [(tn, tn + fp) for (tn, fp), _ in matrices]
    return mean_of_defined([tn / n if n else math.nan for tn, n in negatives])


def harmonic_mean(one, other):
    return 0.0 if one + other == 0 else 2 * one * other / (one + other)


def sklearn_metrics(pairs, categories):
    """Accuracy, precision, recall, specificity, f1; all None without pairs."""
    if not pairs:
        return [None] * 5
    predicted, actual = zip(*pairs, strict=True)
    per_class = {"labels": categories, "average": None, "zero_division": np.nan}
    precision = mean_of_defined(precision_score(actual, predicted, **per_class))
    recall = mean_of_defined(recall_score(actual, predicted, **per_class))
    return [
        accuracy_score(actual, predicted),
        precision,
        recall,
        sklearn_specificity(actual, predicted, categories),
        harmonic_mean(precision, recall),
    ]


def answer(database, workspace, name, question, average=Average.MACRO):
    with database.reading() as conn:
        return classification_metrics(
            conn,
            database.registry,
            workspace_id=workspace.id,
            name=name,
            window=question.window,
            grid=Grid(question.width),
            average=average,
        )


def told(database, workspace, case, average=Average.MACRO):
    """The answer to a case's question."""
    name = new_name()
    declare(database, workspace.id, name, case.declared)
    tell(database, workspace.id, name, case)
    return answer(database, workspace, name, case.question, average)


def metrics_of(bucket):
    return [
        bucket.accuracy,
        bucket.precision,
        bucket.recall,
        bucket.specificity,
        bucket.harmonic_f1,
    ]


@settings(max_examples=400)
@given(case=classification_cases())
def test_every_bucket_equals_sklearn_and_plain_counts(database, workspace, case):
    buckets = told(database, workspace, case)

    categories = categories_of(case)
    window = case.question.window
    edges = plain_buckets(window.start, window.end, case.question.width)
    assert [(bucket.start, bucket.end) for bucket in buckets] == edges
    for bucket in buckets:
        pairs = within(case.pairs(), bucket.start, bucket.end)
        assert bucket.n == len(pairs)
        shown = categories if pairs else []  # an empty bucket has an empty matrix
        assert bucket.matrix.categories == shown
        assert bucket.matrix.values == plain_matrix(pairs, shown)
        assert bucket.matrix.counts() == [Counts(*plain_counts(pairs, c)) for c in shown]
        assert metrics_of(bucket) == pytest.approx(sklearn_metrics(pairs, categories), abs=CLOSE)


@pytest.mark.parametrize("average", Average)
@settings(max_examples=100)
@given(case=classification_cases())
def test_each_average_and_each_class_equal_sklearn(database, workspace, average, case):
    for bucket in told(database, workspace, case, average):
        pairs = within(case.pairs(), bucket.start, bucket.end)
        if not pairs:
            assert bucket.classes == []
            continue
        predicted, actual = zip(*pairs, strict=True)
        occurring = [c for c in categories_of(case) if c in predicted or c in actual]
        how = {"labels": occurring, "zero_division": np.nan}
        for score, name in (
            (precision_score, "precision"),
            (recall_score, "recall"),
            (f1_score, "f1"),
        ):
            each = list(map(none_of_nan, score(actual, predicted, average=None, **how)))
            assert [getattr(one, name) for one in bucket.classes] == pytest.approx(each, abs=CLOSE)
            mean = none_of_nan(score(actual, predicted, average=average.value, **how))
            if average is Average.WEIGHTED and not defined_where_true(each, actual, occurring):
                mean = None  # where nothing has weight, scikit-learn takes the plain mean
            assert getattr(bucket, name) == pytest.approx(mean, abs=CLOSE)
        assert [one.label for one in bucket.classes] == occurring
        assert [one.support for one in bucket.classes] == [actual.count(c) for c in occurring]


def defined_where_true(each, actual, occurring):
    return any(c in actual and one is not None for one, c in zip(each, occurring, strict=True))


def none_of_nan(number):
    return None if math.isnan(number) else number


def test_sklearn_leaves_undefined_classes_out_of_its_macro_mean():
    """The oracle's own mean is the one that scikit-learn takes with zero_division=nan."""
    actual, predicted = ["a", "b", "b"], ["a", "a", "a"]
    macro = {"labels": ["a", "b", "c"], "average": "macro", "zero_division": np.nan}

    ours = sklearn_metrics(list(zip(predicted, actual, strict=True)), ["a", "b", "c"])

    assert precision_score(actual, predicted, **macro) == pytest.approx(ours[1]) == 1 / 3
    assert recall_score(actual, predicted, **macro) == pytest.approx(ours[2]) == 1 / 2
