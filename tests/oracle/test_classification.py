"""Classification metrics equal scikit-learn's, and their counts plain Python's."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)

from app.query.classification import Average, Counts, classification
from app.query.measures import CLASSIFICATION
from app.query.question import Question as Asked
from app.query.subjects import Scope
from app.query.window import Grid, Window
from tests.effort import examples
from tests.oracle.plain import (
    EARLIEST_START,
    ROUNDS,
    Answer,
    Case,
    Question,
    Request,
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
    """Without NaN; None if no value remains."""
    defined = [number for number in numbers if not math.isnan(number)]
    return sum(defined) / len(defined) if defined else None


def sklearn_specificity(actual, predicted, categories):
    matrices = multilabel_confusion_matrix(actual, predicted, labels=categories)
    negatives = [(tn, tn + fp) for (tn, fp), _ in matrices]
    return mean_of_defined([tn / n if n else math.nan for tn, n in negatives])


def harmonic_mean(one, other):
    return 0.0 if one + other == 0 else 2 * one * other / (one + other)


def macro(score):
    """scikit-learn's score of each class, averaged over the classes that have one."""

    def mean(actual, predicted, categories):
        how = {"labels": categories, "average": None, "zero_division": np.nan}
        return mean_of_defined(score(actual, predicted, **how))

    return mean


def sklearn_harmonic_f1(*pairs):
    return harmonic_mean(macro(precision_score)(*pairs), macro(recall_score)(*pairs))


def sklearn_matthews(actual, predicted, _):
    """None where scikit-learn says 0 for want of a second class."""
    if 1 in (len(set(actual)), len(set(predicted))):
        return None
    return matthews_corrcoef(actual, predicted)


# Each metric of the registry, from what is true, what was predicted, and the classes.
ORACLES = {
    "accuracy": lambda actual, predicted, _: accuracy_score(actual, predicted),
    "precision": macro(precision_score),
    "recall": macro(recall_score),
    "specificity": sklearn_specificity,
    "f1": macro(f1_score),
    "harmonic_f1": sklearn_harmonic_f1,
    "matthews_correlation": sklearn_matthews,
}


def sklearn_metrics(pairs, categories):
    """Each metric by its name; all None without pairs."""
    if not pairs:
        return dict.fromkeys(CLASSIFICATION)
    predicted, actual = zip(*pairs, strict=True)
    return {name: ORACLES[name](actual, predicted, categories) for name in CLASSIFICATION}


def answer(database, workspace, name, question, average):
    with database.reading() as conn:
        asked = Asked(workspace.id, Scope(name), question.window, Grid(question.width))
        return classification(conn, database.registry, asked, average=average).buckets


def named(database, workspace, case):
    """Name of a model that stores a case."""
    name = new_name()
    declare(database, workspace.id, name, case.declared)
    tell(database, workspace.id, name, case)
    return name


def metrics_of(bucket):
    return {name: getattr(bucket, name) for name in CLASSIFICATION}


@examples(120, thorough=400)
@given(case=classification_cases())
def test_every_bucket_equals_sklearn_and_plain_counts(database, workspace, case):
    """In each average. A case is stored once, because no row depends on the query."""
    name = named(database, workspace, case)
    buckets = {
        average: answer(database, workspace, name, case.question, average) for average in Average
    }
    check_counts(case, buckets[Average.MACRO])
    for average in Average:
        for bucket in buckets[average]:
            check_averages(case, average, bucket)
    for bucket in buckets[Average.WEIGHTED]:
        check_weighted_specificity(case, bucket)


def check_counts(case, buckets):
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


def check_averages(case, average, bucket):
    """Of all classes, and of each."""
    pairs = within(case.pairs(), bucket.start, bucket.end)
    if not pairs:
        assert bucket.classes == []
        return
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
        assert getattr(bucket, name) == pytest.approx(mean, abs=CLOSE)
    assert [one.label for one in bucket.classes] == occurring
    assert [one.support for one in bucket.classes] == [actual.count(c) for c in occurring]


def check_weighted_specificity(case, bucket):
    """Averaged as scikit-learn averages."""
    pairs = within(case.pairs(), bucket.start, bucket.end)
    if pairs:
        predicted, actual = zip(*pairs, strict=True)
        mean = weighted_specificity(actual, predicted, categories_of(case))
        assert bucket.specificity == pytest.approx(mean, abs=CLOSE)


def weighted_specificity(actual, predicted, categories):
    """Averaged over what is defined, as scikit-learn does where nothing of it has weight, too."""
    matrices = multilabel_confusion_matrix(actual, predicted, labels=categories)
    known = [(tn / (tn + fp), tp + fn) for (tn, fp), (fn, tp) in matrices if tn + fp]
    if not known:
        return None
    numbers, weights = zip(*known, strict=True)
    return np.average(numbers, weights=weights if any(weights) else None)


@pytest.mark.parametrize("average", [Average.MACRO, Average.WEIGHTED])
def test_where_all_are_wrong_the_averages_are_those_of_sklearn(database, workspace, average):
    """No class that was predicted ever occurs, and the one that occurs was never predicted."""
    start, end = EARLIEST_START, EARLIEST_START + timedelta(hours=1)
    requests = [Request((Answer("v1", start, "b", 0),), ((0, "a"),), id=f"r{n}") for n in (1, 2)]
    case = Case(Question(Window(start, end), None), tuple(requests), (False,) * ROUNDS)

    name = named(database, workspace, case)
    [bucket] = answer(database, workspace, name, case.question, average)

    for zero_division in (0, np.nan):
        how = {"average": average.value, "zero_division": zero_division}
        assert precision_score(["a", "a"], ["b", "b"], **how) == bucket.precision == 0
    assert (bucket.recall, bucket.specificity, bucket.f1) == (0, 0, 0)


def none_of_nan(number):
    return None if math.isnan(number) else number


def test_sklearn_leaves_undefined_classes_out_of_its_macro_mean():
    """The oracle's own mean is the one that scikit-learn takes with zero_division=nan."""
    actual, predicted = ["a", "b", "b"], ["a", "a", "a"]
    macro = {"labels": ["a", "b", "c"], "average": "macro", "zero_division": np.nan}

    ours = sklearn_metrics(list(zip(predicted, actual, strict=True)), ["a", "b", "c"])

    assert precision_score(actual, predicted, **macro) == pytest.approx(ours["precision"]) == 1 / 3
    assert recall_score(actual, predicted, **macro) == pytest.approx(ours["recall"]) == 1 / 2
