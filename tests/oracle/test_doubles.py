"""The functions that all metrics use, with any doubles: never an error, and the result of exact
fractions, as the nearest double."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.doubles import LARGEST, LEAST, NASTY, counted, nasty, nearest
from tests.effort import examples
from tests.rollup.conftest import new_series

REPEATED = examples(80, thorough=200)
COUNTS = st.one_of(st.integers(1, 7), st.integers(1, 10**15))
numbers = nasty()


@pytest.fixture(scope="module")
def value_of(database):
    """Value of an SQL expression with named parameters."""

    def ask(expression, **parameters):
        with database.reading() as conn:
            return conn.execute(text(f"SELECT {expression}"), parameters).scalar_one()

    return ask


def about(exact, *, of=()):
    """To a few last digits of the result, or of the greatest of its operands `of`."""
    size = max((abs(number) for number in of), default=0.0)
    return pytest.approx(nearest(exact), rel=1e-15, abs=max(2 * LEAST, 2.0**-52 * size))


@REPEATED
@given(numbers, numbers, st.one_of(nasty(0, 1).filter(lambda share: share < 1), st.floats(0, 0.9)))
@example(0.0, LEAST, 0.5)
@example(-LARGEST, LARGEST, 0.5)
@example(-0.0, 0.0, 0.25)
@example(1e-300, 2e-300, 1e-300)
def test_between_two_numbers(value_of, one, other, share):
    lower, upper = sorted((one, other))
    between = "truthline_internal.interpolated(:l, :u, :share)"
    found = value_of(between, l=lower, u=upper, share=share)

    exact = Fraction(lower) + (Fraction(upper) - Fraction(lower)) * Fraction(share)
    assert found == about(exact, of=(lower, upper))
    assert lower <= found <= upper


@REPEATED
@given(st.lists(numbers, min_size=1, max_size=5), COUNTS)
@example([LARGEST, LARGEST], 1)
@example([1e-150], 10**15)
def test_a_mean_is_the_nearest_double(value_of, some, n):
    """Of what sums count: tiny numbers are none."""
    found = value_of(
        "truthline_internal.mean(sum(truthline_data.exact(x)), :n)"
        " FROM unnest(CAST(:some AS float8[])) AS x",
        some=some,
        n=n,
    )

    assert found == about(sum(map(counted, some)) / n, of=[number / n for number in some])


@REPEATED
@given(st.lists(numbers, min_size=1, max_size=5), COUNTS)
@example([LARGEST, -LARGEST], 2)
@example([1e-150], 10**15)
def test_a_root_of_mean_squares_is_a_double_though_squares_are_none(value_of, some, n):
    added = (
        "(SELECT sum(truthline_data.error_squared(x, 0)) FROM unnest(CAST(:some AS float8[])) x)"
    )
    found = value_of(f"truthline_internal.root_mean({added}, :n)", some=some, n=n)

    square = min(sum(counted(number) ** 2 for number in some) / n, Fraction(LARGEST) ** 2)
    assert abs(Fraction(found) ** 2 - square) <= square / 10**14


@REPEATED
@given(numbers)
def test_every_digit_is_that_of_the_double(value_of, number):
    found = Fraction(value_of("truthline_data.every_digit(CAST(:x AS float8))", x=number))

    if 2.0**-52 <= abs(number) < 2.0**53:
        assert found == Fraction(number)
    else:
        assert abs(found - counted(number)) <= abs(Fraction(number)) / 10**15


@REPEATED
@given(numbers, numbers)
@example(LARGEST, -LARGEST)
@example(1e-300, 1e-300)
def test_errors_are_those_of_exact_fractions(value_of, predicted, actual):
    pair = "CAST(:p AS float8), CAST(:a AS float8)"
    found = value_of(f"truthline_data.error_of({pair})", p=predicted, a=actual)
    share = value_of(f"truthline_data.percentage_error({pair})", p=predicted, a=actual)

    error = Fraction(predicted) - Fraction(actual)
    assert abs(Fraction(found) - error) <= max(abs(error) / 10**15, Fraction(1, 10**149))
    if abs(actual) < 1e-150:
        assert share is None
    else:
        exact = abs(error / Fraction(actual))
        assert abs(Fraction(share) - exact) <= exact / 10**14 + Fraction(1, 10**149)


@REPEATED
@given(st.lists(numbers, min_size=1, max_size=6))
@example([LARGEST] * 3)
@example([LEAST, 2 * LEAST])
@example([1e-300, 3e-300])
@example([1e289, LARGEST, -LARGEST])
def test_a_mean_of_steps(value_of, some):
    found = value_of(
        "truthline_internal.step_mean(sum_usual, sum_huge, n, minimum, maximum)"
        " FROM truthline_internal.step_sums(CAST(:some AS float8[]))",
        some=some,
    )

    assert found == about(sum(map(Fraction, some)) / len(some), of=some)


@pytest.mark.parametrize("number", NASTY)
def test_bins_take_any_number(value_of, number):
    x = "CAST(:x AS float8)"
    low, own, high = (
        value_of(f"truthline_data.value_bin({x})", x=near)
        for near in (max(number / 2, -LARGEST), number, min(2 * number, LARGEST))
    )
    assert low <= own <= high or low >= own >= high
    assert value_of(f"truthline_data.latency_bin({x})", x=abs(number)) >= 1
    if 0 <= number <= 1:
        assert value_of(f"truthline_data.confidence_bin({x})", x=number) == int(64 * number)


ERRORS = """
    mean_absolute_error, mean_squared_error, root_mean_squared_error, mean_error, r2,
    mean_absolute_percentage_error
    FROM truthline_internal.regression_metrics(:series, '{2026-03-01Z,2026-03-02Z}')
"""
TOLD = text("""
    INSERT INTO outcome (time, series_id, predicted_value, actual_value, batch_index)
    SELECT '2026-03-01 12:00+00', :series, predicted, actual, 0
    FROM unnest(CAST(:predicted AS float8[]), CAST(:actual AS float8[])) AS row (predicted, actual)
""")


@examples(20, thorough=40)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
@example([(LARGEST, -LARGEST)])
@example([(-LARGEST, LEAST), (0.0, 2 * LEAST)])
def test_errors_of_whatever_plain_sql_wrote_are_doubles(database, pairs):
    series = new_series(database)[0]
    predicted, actual = map(list, zip(*pairs, strict=True))
    with database.writing() as conn:
        conn.execute(TOLD, {"series": series, "predicted": predicted, "actual": actual})
        found = conn.execute(text(f"SELECT {ERRORS}"), {"series": [series]}).one()

    errors = [Fraction(p) - Fraction(a) for p, a in pairs]
    size = max(map(abs, errors))
    least = max(nearest(size) / 10**14, 1e-149)
    absolute = nearest(sum(map(abs, errors)) / len(errors))
    assert found[0] == pytest.approx(absolute, rel=1e-14, abs=1e-149)
    assert found[1] == pytest.approx(nearest(Fraction(found[2]) ** 2), rel=1e-14, abs=1e-149)
    assert found[3] == pytest.approx(nearest(sum(errors) / len(errors)), rel=1e-14, abs=least)
    assert all(number is None or abs(number) <= LARGEST for number in found)


def test_counters_stop_at_the_largest_double(database, workspace):
    with database.writing() as conn:
        metric = conn.execute(
            text("""
                INSERT INTO event_metric (workspace_id, key, name, type, labels)
                VALUES (:workspace, gen_random_uuid(), 'x', 'counter', '{}') RETURNING id
            """),
            {"workspace": workspace.id},
        ).scalar_one()
        count = text("INSERT INTO event_count (metric_id, value) VALUES (:metric, :value)")
        conn.execute(count, [{"metric": metric, "value": LARGEST}] * 2)
        metrics = f"SELECT value FROM truthline_internal.event_metrics({workspace.id})"
        [found] = conn.execute(text(metrics))

    assert found.value == LARGEST
