"""Regression metrics equal those of exact fractions, whatever was corrected on the way."""

import math
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from app.query.measures import REGRESSION
from app.query.question import Question as Asked
from app.query.regression import regression
from app.query.subjects import Scope
from app.query.window import Grid, Window
from tests.doubles import nasty
from tests.effort import examples
from tests.oracle.plain import (
    EARLIEST_START,
    ROUNDS,
    Answer,
    Case,
    Question,
    Request,
    cases,
    new_name,
    plain_buckets,
    regression_cases,
    tell,
    within,
)

# Each error is kept to 15 digits. Below SMALLEST its square would not be a double.
RELATIVE, SMALLEST = 1e-13, 1e-150


def exact_metrics(pairs):
    """MAE, MSE and RMSE."""
    errors = [abs(Fraction(predicted) - Fraction(actual)) for predicted, actual in pairs]
    mean_square = float(sum(error**2 for error in errors) / len(errors))
    return [float(sum(errors) / len(errors)), mean_square, math.sqrt(mean_square)]


def exact_mape(pairs):
    """Over the truths other than 0, as a fraction of 1."""
    shares = [
        abs((Fraction(p) - Fraction(a)) / Fraction(a)) for p, a in pairs if abs(a) >= SMALLEST
    ]
    return float(sum(shares) / len(shares)) if shares else None


def about(numbers):
    return pytest.approx(numbers, rel=RELATIVE, abs=SMALLEST)


def told(database, workspace, case):
    name = new_name()
    tell(database, workspace.id, name, case)
    question = case.question
    with database.reading() as conn:
        asked = Asked(workspace.id, Scope(name), question.window, Grid(question.width))
        return regression(conn, asked).buckets


def metrics_of(bucket):
    return [
        bucket.mean_absolute_error,
        bucket.mean_squared_error,
        bucket.root_mean_squared_error,
    ]


@examples(100, thorough=300)
@given(case=regression_cases())
def test_every_bucket_equals_exact_fractions(database, workspace, case):
    buckets = told(database, workspace, case)

    window = case.question.window
    edges = plain_buckets(window.start, window.end, case.question.width)
    assert [(bucket.start, bucket.end) for bucket in buckets] == edges
    for bucket in buckets:
        pairs = within(case.pairs(), bucket.start, bucket.end)
        assert bucket.n == len(pairs)
        assert metrics_of(bucket) == (about(exact_metrics(pairs)) if pairs else [None] * 3)
        mape = exact_mape(pairs)
        assert bucket.mean_absolute_percentage_error == (None if mape is None else about(mape))


def sklearn_r2(pairs):
    """None where all truths are equal."""
    predicted, actual = zip(*pairs, strict=True)
    return r2_score(actual, predicted) if len(set(actual)) > 1 else None


# Each metric of the registry, from pairs of what was predicted and what is true.
ORACLES = {
    "mean_absolute_error": lambda pairs: exact_metrics(pairs)[0],
    "mean_squared_error": lambda pairs: exact_metrics(pairs)[1],
    "root_mean_squared_error": lambda pairs: exact_metrics(pairs)[2],
    "mean_error": lambda pairs: sum(p - a for p, a in pairs) / len(pairs),
    "r2": sklearn_r2,
    "mean_absolute_percentage_error": exact_mape,
}


moderate = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@examples(50, thorough=150)
@given(case=cases(moderate, moderate))
def test_every_metric_equals_its_oracle(database, workspace, case):
    for bucket in told(database, workspace, case):
        pairs = within(case.pairs(), bucket.start, bucket.end)
        for name in REGRESSION:
            expected = ORACLES[name](pairs) if pairs else None
            close = None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert getattr(bucket, name) == close, name


def exact_r2(pairs):
    """None where all truths are equal."""
    predicted, actual = ([Fraction(number) for number in side] for side in zip(*pairs, strict=True))
    mean = sum(actual) / len(actual)
    spread = sum((truth - mean) ** 2 for truth in actual)
    missed = sum((p - a) ** 2 for p, a in zip(predicted, actual, strict=True))
    return float((spread - missed) / spread) if spread else None


# Truths of which every binary digit is kept.
kept = nasty(-(2.0**52), 2.0**52).filter(lambda number: number == 0 or abs(number) >= 2.0**-52)
near = st.tuples(kept, st.integers(-3, 3)).map(lambda drawn: drawn[0] + drawn[1] * 2.0**-20)


@examples(40, thorough=80)
@given(case=cases(st.one_of(kept, near), st.one_of(kept, near)))
def test_r2_equals_exact_fractions_however_close_the_truths_are(database, workspace, case):
    for bucket in told(database, workspace, case):
        pairs = within(case.pairs(), bucket.start, bucket.end)
        exact = exact_r2(pairs) if pairs else None
        if exact is None:
            assert bucket.r2 is None
        else:
            assert bucket.r2 == pytest.approx(exact, rel=1e-12, abs=1e-12)


noise = st.floats(-100, 100)


@pytest.mark.parametrize("offset", [1e3, -1e3, 1e6, 1e9, -1e9, 1e12, -1e12])
@examples(6, thorough=15)
@given(told_of=st.lists(st.tuples(noise, noise), min_size=2, max_size=12))
def test_r2_is_that_of_sklearn_at_any_offset(database, workspace, offset, told_of):
    """Of scikit-learn without the offset: with it, its mean is no double, and it is off by 1e-8."""
    start, hour = EARLIEST_START, timedelta(hours=1)
    pairs = [(offset + predicted, offset + actual) for predicted, actual in told_of]
    requests = tuple(
        Request((Answer("v1", start, predicted, 0),), ((0, actual),), id=f"r{number}")
        for number, (predicted, actual) in enumerate(pairs)
    )
    case = Case(Question(Window(start, start + hour), None), requests, (False,) * ROUNDS)

    [bucket] = told(database, workspace, case)

    predicted, actual = ([number - offset for number in side] for side in zip(*pairs, strict=True))
    if len(set(actual)) == 1:
        assert bucket.r2 is None
    else:
        assert bucket.r2 == pytest.approx(r2_score(actual, predicted), rel=1e-12, abs=1e-12)
