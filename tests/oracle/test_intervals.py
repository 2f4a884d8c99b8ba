"""Confidence intervals: those of statsmodels and scipy, and as often right as they say.

Histories are simulated by the thousand. Their intervals are computed in one call of the SQL
functions that every surface uses.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_score,
    r2_score,
    recall_score,
)
from sqlalchemy import text
from statsmodels.stats.proportion import proportion_confint

from app.query.classification import Average
from app.query.measures import CLASS, CLASSIFICATION, REGRESSION

HISTORIES = 2000
CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
# Of 2,000 intervals of 95 %, this share holds the true value.
LEAST_COVERED, MOST_COVERED = 0.93, 0.97

CLASSES = text("""
    SELECT e.place, e.metric, e.class, e.n, e.hits, e.value, e.standard_error, i.low, i.high
    FROM truthline_internal.classification_estimates(
        CAST(:places AS integer[]), CAST(:predicted AS integer[]), CAST(:actual AS integer[]),
        CAST(:counts AS bigint[]), :classes, :average) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(
        e, truthline_internal.normal_quantile(:confidence)) AS i
""")
SUMS = (
    "error",
    "absolute",
    "squared",
    "fourth",
    "a1",
    "a2",
    "a3",
    "a4",
    "squared_a1",
    "squared_a2",
)
SUMS += ("percentage", "percentage_squared")


def error_cells(side=""):
    """SQL that makes both kinds of cells of the sums of some histories, given as arrays."""
    arrays = ", ".join(f"unnest(CAST(:{side}{name} AS numeric[]))" for name in SUMS)
    return f"""(
        SELECT array_agg(CAST(ROW(place, n, error, absolute, squared, a1, a2, n, percentage)
                              AS truthline_internal.error_cell)) AS errors,
               array_agg(CAST(ROW(place, n, squared, fourth, a1, a2, a3, a4, squared_a1, squared_a2,
                                  percentage_squared) AS truthline_internal.deviation_cell))
                   AS deviations
        FROM ROWS FROM (unnest(CAST(:{side}n AS bigint[])), {arrays})
            WITH ORDINALITY AS s (n, {", ".join(SUMS)}, place)
    )"""


ERRORS = text(f"""
    SELECT e.place, e.metric, e.n, e.value, e.standard_error, i.low, i.high
    FROM {error_cells()} AS cells
    CROSS JOIN LATERAL truthline_internal.regression_estimates(errors, deviations) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(
        e, truthline_internal.normal_quantile(:confidence)) AS i
""")


@pytest.fixture
def ask(database):
    """The rows of a statement."""

    def ask(statement, **parameters):
        with database.reading() as conn:
            return conn.execute(statement, {"confidence": CONFIDENCE} | parameters).all()

    return ask


# --- building blocks ------------------------------------------------------------------------


def test_shares_have_the_interval_of_statsmodels(ask):
    shares = [(hits, n) for n in (1, 2, 7, 30, 1000, 10**9) for hits in {0, 1, n // 3, n - 1, n}]
    for confidence in (0.5, 0.8, 0.95, 0.999, 1 - 1e-12):
        found = ask(
            text("""
                SELECT low, high FROM unnest(CAST(:hits AS bigint[]), CAST(:n AS bigint[]))
                    WITH ORDINALITY AS s (hits, n, place)
                CROSS JOIN LATERAL truthline.share_interval(hits, n, :confidence) ORDER BY place
            """),
            hits=[hits for hits, _ in shares],
            n=[n for _, n in shares],
            confidence=confidence,
        )
        wanted = [proportion_confint(*one, 1 - confidence, method="wilson") for one in shares]
        assert np.array(found) == pytest.approx(np.array(wanted), rel=1e-9, abs=1e-12)


def test_nothing_has_no_share(ask):
    assert ask(text("SELECT * FROM truthline.share_interval(0, 0, :confidence)")) == []


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999999, 1 - 1e-15])
def test_quantiles_are_those_of_scipy(ask, confidence):
    statement = text("""
        SELECT z, truthline_internal.student_quantile(z, n) FROM unnest(CAST(:n AS float8[])) AS n,
            truthline_internal.normal_quantile(:confidence) AS z
    """)
    degrees = [29.0, 100.0, 1e9]
    rows = ask(statement, n=degrees, confidence=confidence)
    for (z, t), n in zip(rows, degrees, strict=True):
        tail = (1 - confidence) / 2
        assert z == pytest.approx(stats.norm.isf(tail), rel=1e-12)
        if confidence <= 0.999999:
            assert t == pytest.approx(stats.t.isf(tail, n), rel=1e-4 if confidence > 0.99 else 1e-6)


@pytest.mark.parametrize("confidence", [0, 0.4999, 1, 1.5, math.nan, -0.95])
def test_a_confidence_out_of_range_is_refused(ask, confidence):
    with pytest.raises(Exception, match=r"confidence must be from 0\.5 to below 1"):
        ask(text("SELECT truthline_internal.normal_quantile(:confidence)"), confidence=confidence)


# --- classification -------------------------------------------------------------------------


def cells_of(counts):
    """Parameters of `CLASSES` for some confusion matrices, with a row per actual class."""
    places, actual, predicted = np.nonzero(counts)
    cells = {"places": places + 1, "actual": actual, "predicted": predicted}
    cells["counts"] = counts[places, actual, predicted]
    return {name: array.tolist() for name, array in cells.items()} | {"classes": counts.shape[1]}


def specificity(actual, predicted, *, sample_weight, average, labels):
    """As scikit-learn would average it."""
    how = {"labels": labels, "sample_weight": sample_weight}
    matrices = multilabel_confusion_matrix(actual, predicted, **how)
    if average == "micro":
        matrices = matrices.sum(axis=0, keepdims=True)
    negatives, weights = matrices[:, 0, :].sum(axis=1), matrices[:, 1, :].sum(axis=1)
    of_classes = matrices[:, 0, 0] / negatives
    return np.average(of_classes, weights=weights if average == "weighted" else None)


def harmonic_f1(*pairs, **how):
    precision, recall = precision_score(*pairs, **how), recall_score(*pairs, **how)
    return 2 * precision * recall / (precision + recall)


def without_average(score):
    return lambda *pairs, sample_weight, **_: score(*pairs, sample_weight=sample_weight)


SCORES = {
    "accuracy": without_average(accuracy_score),
    "precision": precision_score,
    "recall": recall_score,
    "specificity": specificity,
    "f1": f1_score,
    "harmonic_f1": harmonic_f1,
    "matthews_correlation": without_average(matthews_corrcoef),
}


def influences(score, counts):
    """How much one more of each cell moves a score, times n: by differences, in scikit-learn."""
    actual, predicted = np.nonzero(np.ones_like(counts))
    weights, step = counts.ravel().astype(float), 1e-3
    found = []
    for cell in np.eye(len(weights)):
        above, below = (score(actual, predicted, weights + sign * step * cell) for sign in (1, -1))
        found.append((above - below) / (2 * step) * weights.sum())
    return np.array(found)


def plain_standard_error(score, counts):
    weights = counts.ravel() / counts.sum()
    moved = influences(score, counts)
    return math.sqrt((weights @ moved**2 - (weights @ moved) ** 2) / counts.sum())


MATRICES = [
    np.array([[40, 7, 3], [5, 61, 9], [8, 2, 30]]),
    np.array([[500, 20, 1, 6], [30, 80, 5, 2], [2, 9, 60, 7], [1, 3, 4, 15]]),
    np.array([[90, 10], [30, 20]]),
    np.array([[0, 40, 10], [0, 60, 20], [0, 5, 70]]) + np.eye(3, dtype=int) * 9,
]


@pytest.mark.parametrize(
    ("counts", "average"),
    [(MATRICES[1], Average.MACRO), *((MATRICES[n], one) for n in (0, 2) for one in Average)],
)
def test_standard_errors_are_those_of_scores_with_weights(ask, counts, average):
    """Every metric of the registry, and every average: values are scikit-learn's too."""
    rows = ask(CLASSES, **cells_of(counts[None]), average=average)
    found = {row.metric: row for row in rows if row[2] is None}

    assert found.keys() == SCORES.keys() == CLASSIFICATION.keys()
    for name, score in SCORES.items():

        def weighted(actual, predicted, weights, score=score):
            how = {"average": average.value, "labels": list(range(len(counts)))}
            return score(actual, predicted, sample_weight=weights, **how)

        row = found[name]
        assert row.value == pytest.approx(weighted(*np.nonzero(counts + 1), counts.ravel()))
        plain = plain_standard_error(weighted, counts)
        if row.hits is not None:
            assert (row.hits, row.n) == (counts.trace(), counts.sum())
            assert math.sqrt(row.value * (1 - row.value) / row.n) == pytest.approx(plain, rel=1e-5)
        else:
            assert row.standard_error == pytest.approx(plain, rel=1e-5), name


def test_bounds_are_those_of_their_scales(ask):
    counts = MATRICES[0]
    rows = ask(CLASSES, **cells_of(counts[None]), average="macro")
    found = {row.metric: row for row in rows if row[2] is None}

    for name in ("precision", "recall", "specificity", "f1", "harmonic_f1"):
        row = found[name]
        odds, error = (
            stats.logistic.ppf(row.value),
            row.standard_error / row.value / (1 - row.value),
        )
        wanted = stats.logistic.cdf([odds - Z * error, odds + Z * error])
        assert [row.low, row.high] == pytest.approx(list(wanted))
    row = found["matthews_correlation"]
    middle, half = np.arctanh(row.value), Z * row.standard_error / (1 - row.value**2)
    assert [row.low, row.high] == pytest.approx(list(np.tanh([middle - half, middle + half])))


def test_a_class_has_shares_and_an_f1_that_is_a_function_of_one(ask):
    counts = MATRICES[0]
    rows = ask(CLASSES, **cells_of(counts[None]), average="macro")
    found = {(row[2], row.metric): (row.low, row.high) for row in rows if row[2] is not None}

    assert {metric for _, metric in found} == {m.name for m in CLASS.values() if m.interval}
    for label in range(3):
        hits, predicted = counts[label, label], counts[:, label].sum()
        actual = counts[label].sum()
        wilson = {"alpha": 1 - CONFIDENCE, "method": "wilson"}
        assert found[label, "precision"] == pytest.approx(
            proportion_confint(hits, predicted, **wilson)
        )
        assert found[label, "recall"] == pytest.approx(proportion_confint(hits, actual, **wilson))
        jaccard = np.array(proportion_confint(hits, predicted + actual - hits, **wilson))
        assert found[label, "f1"] == pytest.approx(tuple(2 * jaccard / (1 + jaccard)))


SHARES = np.array([[0.4, 0.05, 0.02], [0.06, 0.25, 0.02], [0.04, 0.03, 0.13]])


@pytest.mark.parametrize("average", Average)
def test_of_2000_histories_intervals_hold_the_true_metrics(ask, average):
    """Three classes, 400 truths each."""
    dice = np.random.default_rng(20260301)
    counts = dice.multinomial(400, SHARES.ravel(), size=HISTORIES).reshape(-1, 3, 3)
    exact = ask(CLASSES, **cells_of((SHARES * 10_000).round().astype(int)[None]), average=average)
    true = {(row.metric, row[2]): row.value for row in exact}

    covered = dict.fromkeys(true, 0)
    for row in ask(CLASSES, **cells_of(counts), average=average):
        covered[row.metric, row[2]] += row.low <= true[row.metric, row[2]] <= row.high

    assert len(covered) == len(CLASSIFICATION) + 3 * 3
    assert outside(covered) == {}


def outside(covered):
    """The metrics whose intervals hold the true value too rarely, or too often."""
    shares = {name: n / HISTORIES for name, n in covered.items()}
    return {n: s for n, s in shares.items() if not LEAST_COVERED <= s <= MOST_COVERED}


@pytest.mark.parametrize(
    ("counts", "known"),
    [
        pytest.param([[14, 1], [6, 8]], set(), id="29 truths"),
        pytest.param([[14, 1], [6, 9]], {"all"}, id="30 truths"),
        pytest.param([[400, 6], [0, 4]], {"precision", "f1"}, id="4 truths of a class"),
        pytest.param(
            [[400, 0], [6, 4]], {"recall", "specificity", "f1"}, id="4 predictions of a class"
        ),
        pytest.param([[30, 0], [0, 30]], set(), id="all are right"),
    ],
)
def test_where_truths_are_too_few_an_average_has_no_interval(ask, counts, known):
    rows = ask(CLASSES, **cells_of(np.array([counts])), average="macro")
    found = {row.metric: row.low is not None for row in rows if row[2] is None}
    averages = {"precision", "recall", "specificity", "f1"}

    assert found["accuracy"]
    assert {name for name in averages if found[name]} == (averages if known == {"all"} else known)
    if known == {"all"}:
        assert found["matthews_correlation"]


# --- regression -----------------------------------------------------------------------------


def sums_of(predicted, actual):
    """Parameters of `ERRORS` for some histories, one per row."""
    error = predicted - actual
    share = np.abs(error / actual)
    sums = {"n": np.full(len(error), error.shape[1])}
    sums |= {"error": error.sum(1), "absolute": np.abs(error).sum(1)}
    sums |= {"squared": (error**2).sum(1), "fourth": (error**4).sum(1)}
    sums |= {f"a{power}": (actual**power).sum(1) for power in (1, 2, 3, 4)}
    sums |= {f"squared_a{power}": (error**2 * actual**power).sum(1) for power in (1, 2)}
    sums |= {"percentage": share.sum(1), "percentage_squared": (share**2).sum(1)}
    return {name: array.tolist() for name, array in sums.items()}


def histories(rows, n, seed):
    """Predictions and truths: truths around 20, errors with a bias that grow with the truth."""
    dice = np.random.default_rng(seed)
    actual = 20 + 4 * dice.standard_normal((rows, n))
    return actual + 0.5 + dice.standard_normal((rows, n)) * (1 + 0.05 * (actual - 20)), actual


def test_errors_have_the_intervals_of_scipy(ask):
    predicted, actual = histories(1, 200, seed=3)
    rows = {row.metric: row for row in ask(ERRORS, **sums_of(predicted, actual))}
    error = (predicted - actual)[0]
    samples = {
        "mean_absolute_error": np.abs(error),
        "mean_error": error,
        "mean_absolute_percentage_error": np.abs(error / actual[0]),
    }

    assert rows.keys() == REGRESSION.keys()
    for name, sample in samples.items():
        wanted = stats.t.interval(CONFIDENCE, len(sample) - 1, sample.mean(), stats.sem(sample))
        assert (rows[name].low, rows[name].high) == pytest.approx(wanted, rel=1e-6), name
    squared = stats.sem(error**2) / (error**2).mean()
    wanted = (error**2).mean() * np.exp([-Z * squared, Z * squared])
    mse, rmse = rows["mean_squared_error"], rows["root_mean_squared_error"]
    assert [mse.low, mse.high] == pytest.approx(list(wanted))
    assert [rmse.low, rmse.high] == pytest.approx(list(np.sqrt(wanted)))


def test_r2_varies_as_scikit_learns_does_with_weights(ask):
    predicted, actual = histories(1, 200, seed=4)
    rows = {row.metric: row for row in ask(ERRORS, **sums_of(predicted, actual))}

    def score(weights):
        return r2_score(actual[0], predicted[0], sample_weight=weights)

    ones, step = np.ones(200), 1e-4
    moved = np.array(
        [(score(ones + step * e) - score(ones - step * e)) / (2 * step) * 200 for e in np.eye(200)]
    )
    row = rows["r2"]
    assert row.value == pytest.approx(score(ones))
    assert row.standard_error == pytest.approx(math.sqrt((moved**2).mean() / 200), rel=1e-5)
    half = Z * row.standard_error
    assert (row.low, row.high) == pytest.approx((row.value - half, row.value + half))


def test_of_2000_histories_intervals_hold_the_true_errors(ask):
    """400 truths each; the true metrics are those of two million."""
    many = ask(ERRORS, **sums_of(*histories(1, 2_000_000, seed=5)))
    true = {row.metric: row.value for row in many}

    covered = dict.fromkeys(true, 0)
    for row in ask(ERRORS, **sums_of(*histories(HISTORIES, 400, seed=6))):
        covered[row.metric] += row.low <= true[row.metric] <= row.high

    assert outside(covered) == {}


def test_what_does_not_vary_or_is_too_little_has_no_interval(ask):
    actual = np.arange(1, 31, dtype=float)[None]
    equal = {row.metric: row for row in ask(ERRORS, **sums_of(actual + 1, actual))}
    few = ask(ERRORS, **sums_of(*histories(1, 29, seed=8)))

    means = {"mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "mean_error"}
    assert {name for name, row in equal.items() if row.low is None} == means
    assert {row.low for row in few} == {None}
