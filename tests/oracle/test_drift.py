"""Drift: statistics of scipy and numpy on the same numbers, over random sides."""

import math

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial import distance
from sqlalchemy import text

PARTS = text("""
    SELECT * FROM truthline_internal.part_statistics(CAST(:a AS bigint[]), CAST(:b AS bigint[]))
""")


@pytest.fixture
def ask(database):
    """The rows of a statement."""

    def ask(statement, **parameters):
        with database.reading() as conn:
            return conn.execute(statement, parameters).all()

    return ask


def expected(a, b):
    """Statistics of counts of parts that at least one side has."""
    a, b = (np.array(side, dtype=float) for side in (a, b))
    a, b = a[a + b > 0], b[a + b > 0]
    n, m = a.sum(), b.sum()
    p, q = a / n, b / m
    p_counted, q_counted = np.where(a == 0, 0.5 / n, p), np.where(b == 0, 0.5 / m, q)
    found = {
        "psi": np.sum((q_counted - p_counted) * np.log(q_counted / p_counted)),
        "jensen_shannon": distance.jensenshannon(p, q, base=2),
        "hellinger": math.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2),
        "total_variation": np.abs(p - q).sum() / 2,
        "chi_squared": stats.chi2_contingency([a, b], correction=False).statistic,
    }
    p_value = stats.chi2_contingency([a, b], correction=False).pvalue
    return found, p_value


def sides(seed):
    dice = np.random.default_rng(seed)
    k = int(dice.integers(1, 40))
    weights = dice.dirichlet(np.full(k, 0.5))
    other = weights if seed % 3 == 0 else dice.dirichlet(np.full(k, 0.5))
    sizes = dice.integers(1, 10 ** dice.integers(1, 8), size=2)
    return dice.multinomial(sizes[0], weights), dice.multinomial(sizes[1], other)


@pytest.mark.parametrize("seed", range(60))
def test_statistics_of_parts_are_those_of_scipy(ask, seed):
    """Roots are compared by their squares near 0, where scipy's has half the digits."""
    a, b = sides(seed)
    found = {row.statistic: row for row in ask(PARTS, a=a.tolist(), b=b.tolist())}
    values, p_value = expected(a, b)

    for name, value in values.items():
        ours = found[name].value
        if name in ("jensen_shannon", "hellinger") and value < 1e-3:
            assert ours**2 == pytest.approx(value**2, abs=1e-12)
        else:
            assert ours == pytest.approx(value, rel=1e-12, abs=1e-12), name
    assert found["chi_squared"].p_value == pytest.approx(p_value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_p_values_are_those_of_scipy(ask, seed):
    """The chi-squared distribution, from far below its mean to far above, and Kolmogorov's."""
    dice = np.random.default_rng(seed)
    degrees = dice.integers(1, 10 ** dice.integers(1, 4, size=50))
    statistics = degrees * np.exp(dice.normal(0, 1.5, size=50))
    distances = np.exp(dice.normal(0, 1, size=50))
    rows = ask(
        text("""
            SELECT truthline_internal.chi_squared_p(statistic, degrees) AS chi,
                   truthline_internal.kolmogorov_p(distance) AS kolmogorov
            FROM unnest(CAST(:statistics AS float8[]), CAST(:degrees AS float8[]),
                        CAST(:distances AS float8[])) AS asked (statistic, degrees, distance)
        """),
        statistics=statistics.tolist(),
        degrees=degrees.astype(float).tolist(),
        distances=distances.tolist(),
    )

    assert [row.chi for row in rows] == pytest.approx(
        stats.chi2.sf(statistics, degrees).tolist(), rel=1e-10, abs=1e-12
    )
    assert [row.kolmogorov for row in rows] == pytest.approx(
        special.kolmogorov(distances).tolist(), rel=1e-10, abs=1e-12
    )


def test_a_side_without_numbers_has_no_statistics(ask):
    assert (
        ask(PARTS, a=[], b=[1, 2]) == ask(PARTS, a=[0, 0], b=[1, 2]) == ask(PARTS, a=[], b=[]) == []
    )


def test_one_label_alone_does_not_drift(ask):
    for row in ask(PARTS, a=[7], b=[30]):
        assert (row.value, row.noise) == (0, 0)
        assert row.p_value == (1 if row.statistic == "chi_squared" else None)


def test_noise_is_the_mean_without_drift(ask):
    """Over 400 pairs of samples of one distribution."""
    dice = np.random.default_rng(5)
    weights = [0.1, 0.2, 0.3, 0.4]
    totals, noises = {}, {}
    for _ in range(400):
        a, b = dice.multinomial(2000, weights), dice.multinomial(700, weights)
        for row in ask(PARTS, a=a.tolist(), b=b.tolist()):
            totals[row.statistic] = totals.get(row.statistic, 0) + row.value / 400
            noises[row.statistic] = row.noise

    assert totals == {name: pytest.approx(noise, rel=0.1) for name, noise in noises.items()}
