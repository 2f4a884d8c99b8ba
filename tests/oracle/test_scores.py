"""Metrics of scores equal scikit-learn's and plain Python, whatever was corrected on the way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from app.query.question import Question as Asked
from app.query.scores import scores
from app.query.subjects import Scope
from app.query.window import Grid
from tests.effort import examples
from tests.oracle.plain import (
    Case,
    cases,
    declare,
    label_names,
    new_name,
    plain_buckets,
    tell,
    within,
)

EPSILON = 2.0**-52
TOLERANCE = 1e-12


def told(database, workspace, case):
    name = new_name()
    declare(database, workspace.id, name, case.declared)
    tell(database, workspace.id, name, case)
    question = case.question
    with database.reading() as conn:
        asked = Asked(workspace.id, Scope(name), question.window, Grid(question.width))
        return scores(conn, database.registry, asked)


# --- plain answers ------------------------------------------------------------------------


def classes_of(case):
    """Every class that is declared, predicted, scored or true."""
    used = set(case.declared)
    for request in case.requests:
        used |= {truth for _, truth in request.truths}
        for answer in request.answers:
            scored = isinstance(answer.predicted, dict)
            used |= set(answer.predicted) if scored else {answer.predicted[0]}
    return used


def positive_of(case):
    """The positive class, None unless there are two classes."""
    used = classes_of(case)
    if len(used) != 2:
        return None
    return case.declared[1] if len(case.declared) == 2 else max(used)


def completed(predicted, classes):
    """Scores of all classes: 0 where none was sent, and what a confidence leaves to the other."""
    if isinstance(predicted, dict):
        return {name: predicted.get(name, 0.0) for name in classes}
    label, confidence = predicted
    return {name: confidence if name == label else 1 - confidence for name in classes}


def usable(case, pairs):
    """Scores of all classes and the truth, of the pairs that have any."""
    classes, binary = classes_of(case), positive_of(case) is not None
    return [
        (completed(predicted, classes), actual)
        for predicted, actual in pairs
        if binary or isinstance(predicted, dict)
    ]


def plain_log_loss(scored):
    losses = [-math.log(min(max(s[actual], EPSILON), 1 - EPSILON)) for s, actual in scored]
    return math.fsum(losses) / len(losses)


def plain_brier_score(scored, positive):
    if positive is not None:
        squares = [(s[positive] - (actual == positive)) ** 2 for s, actual in scored]
    else:
        squares = [(s[name] - (actual == name)) ** 2 for s, actual in scored for name in s]
    return math.fsum(squares) / len(scored)


# --- cases --------------------------------------------------------------------------------

shares = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, 0.25, 1e-300, 5e-324, 1 - EPSILON, EPSILON / 2]),
    st.floats(0, 1),
)


def predictions(names):
    """Scores of some classes, which need not add up to 1; or one class with its confidence."""
    some = st.dictionaries(st.sampled_from(names), shares, min_size=1)
    return st.one_of(some, st.tuples(st.sampled_from(names), shares))


@st.composite
def scored_cases(draw: st.DrawFn) -> Case:
    """Two classes or more, which are declared or not."""
    names = draw(
        st.lists(label_names, min_size=2, max_size=draw(st.sampled_from([2, 4])), unique=True)
    )
    declared = draw(st.one_of(st.just([]), st.permutations(names)))
    return draw(cases(predictions(names), st.sampled_from(names), declared))


@examples(100, thorough=700)
@given(case=scored_cases())
def test_every_bucket_equals_plain_python(database, workspace, case):
    answer = told(database, workspace, case)

    window, positive = case.question.window, positive_of(case)
    edges = plain_buckets(window.start, window.end, case.question.width)
    assert [(bucket.start, bucket.end) for bucket in answer.buckets] == edges
    assert answer.positive == positive
    for bucket in answer.buckets:
        scored = usable(case, within(case.pairs(), bucket.start, bucket.end))
        assert bucket.n == len(scored)
        if not scored:
            assert (bucket.log_loss, bucket.brier_score) == (None, None)
            continue
        assert bucket.log_loss == pytest.approx(plain_log_loss(scored), abs=TOLERANCE)
        assert bucket.brier_score == pytest.approx(
            plain_brier_score(scored, positive), abs=TOLERANCE
        )


@st.composite
def probabilities(draw: st.DrawFn, names: list[str]) -> dict[str, float]:
    """Scores of all classes that add up to 1 as softmax makes them."""
    weights = draw(st.lists(st.floats(0.001, 1), min_size=len(names), max_size=len(names)))
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


@examples(50, thorough=300)
@given(data=st.data(), names=st.sampled_from([["no", "yes"], ["a", "b", "c"]]))
def test_every_metric_equals_scikit_learn(database, workspace, data, names):
    case = data.draw(cases(probabilities(names), st.sampled_from(names), names))

    for bucket in told(database, workspace, case).buckets:
        pairs = within(case.pairs(), bucket.start, bucket.end)
        if pairs:
            matrix = np.array([[predicted[name] for name in names] for predicted, _ in pairs])
            actual = [truth for _, truth in pairs]
            assert bucket.log_loss == pytest.approx(
                log_loss(actual, matrix, labels=names), abs=TOLERANCE
            )
            assert bucket.brier_score == pytest.approx(
                sklearn_brier_score(actual, matrix, names), abs=TOLERANCE
            )


def sklearn_brier_score(actual, matrix, names):
    if len(names) == 2:
        return brier_score_loss(actual, matrix[:, 1], pos_label=names[1], labels=names)
    return brier_score_loss(actual, matrix, labels=names)
