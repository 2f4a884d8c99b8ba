"""Comparisons: the tests of statsmodels, scipy and tea-tasting, and uniform p-values."""

import math

import numpy as np
import pytest
import tea_tasting
from scipy import stats
from sqlalchemy import text
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from tea_tasting.aggr import Aggregates

from app.query import noise
from app.query.classification import Average
from app.query.measures import CLASSIFICATION, REGRESSION
from tests.oracle.test_intervals import (
    HISTORIES,
    MATRICES,
    SHARES,
    cells_of,
    error_cells,
    histories,
    sums_of,
)

SHARE = text("""
    SELECT (found).* FROM (
        SELECT truthline_internal.difference_of(
            CAST(ROW(1, '', NULL, :n, :hits, CAST(:hits AS float8) / :n, NULL, 'share')
                 AS truthline_internal.estimate),
            CAST(ROW(1, '', NULL, :m, :hits_of_m, CAST(:hits_of_m AS float8) / :m, NULL, 'share')
                 AS truthline_internal.estimate),
            truthline_internal.normal_quantile(:confidence)) AS found
    ) AS difference
""")
MEANS = text("""
    SELECT (found).* FROM (
        SELECT truthline_internal.difference_of(
            CAST(ROW(1, '', NULL, :n, NULL, :mean, :error, :scale) AS truthline_internal.estimate),
            CAST(ROW(1, '', NULL, :m, NULL, :mean_of_m, :error_of_m, :scale)
                 AS truthline_internal.estimate),
            truthline_internal.normal_quantile(:confidence)) AS found
    ) AS difference
""")
CLASSES = text("""
    SELECT place, metric, (found).p_value
    FROM (
        SELECT a.place, a.metric, truthline_internal.difference_of(
            a, b, truthline_internal.normal_quantile(0.95)) AS found
        FROM truthline_internal.classification_estimates(
            CAST(:places AS integer[]), CAST(:predicted AS integer[]), CAST(:actual AS integer[]),
            CAST(:counts AS bigint[]), :classes, :average) AS a
        JOIN truthline_internal.classification_estimates(
            CAST(:b_places AS integer[]), CAST(:b_predicted AS integer[]),
            CAST(:b_actual AS integer[]), CAST(:b_counts AS bigint[]), :classes, :average) AS b
            ON b.place = a.place AND b.metric = a.metric
        WHERE a.class IS NULL AND b.class IS NULL
    ) AS compared
""")


@pytest.fixture
def ask(database):
    """The rows of a statement."""

    def ask(statement, **parameters):
        with database.reading() as conn:
            return conn.execute(statement, parameters).all()

    return ask


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((40, 50), (30, 50)),
        ((0, 30), (0, 40)),
        ((30, 30), (100, 100)),
        ((1, 30), (500, 999)),
        ((912_345, 1_000_000), (911_000, 1_000_003)),
    ],
)
def test_shares_are_compared_as_in_statsmodels(ask, a, b, confidence):
    """And as the pages do, which color a change by the same interval at a fixed confidence."""
    (hits, n), (other, m) = a, b
    (row,) = ask(SHARE, hits=hits, n=n, hits_of_m=other, m=m, confidence=confidence)
    interval = confint_proportions_2indep(
        hits, n, other, m, method="newcomb", compare="diff", alpha=1 - confidence
    )

    assert row.difference == pytest.approx(hits / n - other / m)
    assert (row.low, row.high) == pytest.approx(interval, rel=1e-9, abs=1e-12)
    if 0 < hits + other < n + m:  # statsmodels divides 0 by 0
        _, p_value = proportions_ztest([hits, other], [n, m])
        assert row.p_value == pytest.approx(p_value, rel=1e-9)
    else:
        assert row.p_value == 1
    if confidence == 1 - noise.LEVEL:
        ours = noise.difference_of_shares(noise.Share(hits, n), noise.Share(other, m))
        assert (row.low, row.high) == pytest.approx((ours.low, ours.high), abs=1e-12)


def test_below_as_few_truths_as_on_the_pages_nothing_is_compared(ask):
    assert ask(text("SELECT truthline_internal.few()")) == [(noise.FEW,)]
    (row,) = ask(SHARE, hits=20, n=noise.FEW - 1, hits_of_m=20, m=100, confidence=0.95)
    assert set(row) == {None}


def samples(sizes, seed):
    dice = np.random.default_rng(seed)
    return [dice.gamma(2 + n % 3, 1, size=n) for n in sizes]


def of_means(a, b, scale="mean"):
    """Parameters of `MEANS`."""
    return {
        "n": len(a),
        "mean": float(a.mean()),
        "error": float(stats.sem(a)),
        "m": len(b),
        "mean_of_m": float(b.mean()),
        "error_of_m": float(stats.sem(b)),
        "scale": scale,
    }


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("sizes", [(30, 30), (31, 400), (5000, 6001)])
def test_means_are_compared_as_in_scipy_and_tea_tasting(ask, sizes, confidence):
    a, b = samples(sizes, seed=1)
    (row,) = ask(MEANS, **of_means(a, b), confidence=confidence)

    welch = stats.ttest_ind(a, b, equal_var=False)
    interval = welch.confidence_interval(confidence)
    assert row.p_value == pytest.approx(welch.pvalue, rel=1e-8)
    assert (row.low, row.high) == pytest.approx((interval.low, interval.high), rel=1e-5, abs=1e-6)
    theirs = tea_tasting.Mean("x", confidence_level=confidence).analyze_aggregates(
        *(
            Aggregates(count_=len(s), mean_={"x": s.mean()}, var_={"x": s.var(ddof=1)})
            for s in (b, a)
        )
    )
    assert row.difference == pytest.approx(theirs.effect_size)
    assert row.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    assert row.low == pytest.approx(theirs.effect_size_ci_lower, rel=1e-5, abs=1e-6)


def test_means_are_compared_as_the_pages_do(ask):
    a, b = samples((50, 80), seed=2)
    (row,) = ask(MEANS, **of_means(a, b), confidence=1 - noise.LEVEL)

    sums = [noise.Errors(len(s), math.fsum(s), math.fsum(s**2)) for s in (a, b)]
    ours = noise.difference_of_errors(*sums)
    assert (row.low, row.high) == pytest.approx((ours.low, ours.high), rel=1e-9)


def test_other_metrics_are_compared_by_their_standard_errors(ask):
    a, b = samples((50, 80), seed=3)
    (row,) = ask(MEANS, **of_means(a, b, "fraction"), confidence=0.95)

    error = math.hypot(stats.sem(a), stats.sem(b))
    difference = a.mean() - b.mean()
    half = stats.norm.isf(0.025) * error
    assert row.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / error))
    assert (row.low, row.high) == pytest.approx((difference - half, difference + half))


@pytest.mark.parametrize("degrees", [29, 57.3, 1000, 99_999, 2_000_000])
def test_p_values_of_students_t_are_those_of_scipy(ask, degrees):
    sizes = [0.0, 1e-9, 0.01, 0.7, 1.3, 2.0, 4.5, 12.0, -2.0]
    statement = text("""
        SELECT truthline_internal.student_p(t, :degrees)
        FROM unnest(CAST(:sizes AS float8[])) WITH ORDINALITY AS s (t, n) ORDER BY n
    """)
    found = [p for (p,) in ask(statement, sizes=sizes, degrees=float(degrees))]
    assert found == pytest.approx([2 * stats.t.sf(abs(t), degrees) for t in sizes], rel=1e-7)


# --- p-values under no difference -----------------------------------------------------------

# The Kolmogorov-Smirnov test of a sample that is uniform finds less than this once in 100 times.
LEAST = 0.01


def uneven(p_values):
    """The metrics whose p-values are not uniform."""
    found = {name: stats.kstest(sample, "uniform").pvalue for name, sample in p_values.items()}
    return {name: p for name, p in found.items() if p < LEAST}


@pytest.mark.parametrize("average", Average)
def test_without_a_difference_p_values_of_classifiers_are_uniform(ask, average):
    """Of 2,000 pairs of histories; their sizes differ, so that the differences of shares do too."""
    dice = np.random.default_rng(20260303)
    of_a, of_b = (
        cells_of(dice.multinomial(n, SHARES.ravel(), size=HISTORIES).reshape(-1, 3, 3))
        for n in (997, 1201)
    )
    other = {f"b_{name}": cells for name, cells in of_b.items() if name != "classes"}

    p_values = {}
    for row in ask(CLASSES, **of_a, **other, average=average):
        p_values.setdefault(row.metric, []).append(row.p_value)
    assert p_values.keys() == CLASSIFICATION.keys()
    assert {len(sample) for sample in p_values.values()} == {HISTORIES}
    assert uneven(p_values) == {}


def test_a_difference_is_found(ask):
    """Between two models of which one is right more often."""
    of_a, of_b = (cells_of(np.array([matrix])) for matrix in (MATRICES[0] * 5, MATRICES[3] * 5))
    other = {f"b_{name}": cells for name, cells in of_b.items() if name != "classes"}

    found = {row.metric: row.p_value for row in ask(CLASSES, **of_a, **other, average="macro")}
    assert found["accuracy"] < 1e-6
    assert found["f1"] < 1e-6


ERRORS = text(f"""
    SELECT a.metric, (truthline_internal.difference_of(
        a, b, truthline_internal.normal_quantile(0.95))).p_value
    FROM {error_cells()} AS own
    CROSS JOIN LATERAL truthline_internal.regression_estimates(own.errors, own.deviations) AS a
    JOIN ({error_cells("b_")} AS other
          CROSS JOIN LATERAL truthline_internal.regression_estimates(
              other.errors, other.deviations) AS b) USING (place, metric)
""")


def test_without_a_difference_p_values_of_regressors_are_uniform(ask):
    own, other = (sums_of(*histories(HISTORIES, n, seed)) for n, seed in ((500, 11), (650, 12)))

    p_values = {}
    for row in ask(ERRORS, **own, **{f"b_{name}": sums for name, sums in other.items()}):
        p_values.setdefault(row.metric, []).append(row.p_value)
    assert p_values.keys() == REGRESSION.keys()
    assert uneven(p_values) == {}
