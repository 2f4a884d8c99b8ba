"""Drift of numbers equals scipy's, whatever of them is in levels and wherever edges cut."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from scipy import stats
from sqlalchemy import text

from app.rollup.refresh import refresh
from tests.effort import examples
from tests.oracle.test_drift import expected
from tests.rollup.conftest import new_series
from tests.rollup.test_quantiles import SPAN_SECONDS, START, crowd, nasty, rows_of, shares, tell

ASK = text("""
    SELECT bucket_start, bucket_end, d.*
    FROM truthline_internal.edges(:start, :end, :width) AS edges
    CROSS JOIN LATERAL truthline_internal.drift(
        :quantity, :series, ARRAY[CAST(:a_start AS timestamptz), CAST(:a_end AS timestamptz)],
        'infinity', :series, edges, 'infinity', :wanted) AS d
    JOIN truthline_internal.buckets(:start, :end, :width) USING (place)
""")
COLUMNS = {"value": "values", "confidence": "confidences", "latency": "latencies"}
TOLERANCE = {"rel": 1e-12, "abs": 1e-12}


def numbers_of(rows, quantity, start, end):
    return [
        number
        for time, number in zip(rows["times"], rows[COLUMNS[quantity]], strict=True)
        if number is not None and start <= time < end
    ]


def span(window):
    start = START + timedelta(seconds=window[0])
    return start, start + timedelta(seconds=window[1])


def ask(database, series, quantity, a, b, wanted=None):
    """The drift of each bucket of window b from window a."""
    (a_start, a_end), (start, end) = span(a), span(b)
    asked = {"a_start": a_start, "a_end": a_end, "start": start, "end": end}
    width = b[2] and timedelta(seconds=b[2])
    asked |= {"series": series, "quantity": quantity, "width": width, "wanted": wanted}
    with database.reading() as conn:
        return conn.execute(ASK, asked).all()


def scale_of(*sides):
    return max((abs(number) for side in sides for number in side), default=0)


def check(database, rows, series, quantity, a, b):
    """Every statistic of every bucket, from the same numbers."""
    reference = numbers_of(rows, quantity, *span(a))
    for answer in ask(database, series, quantity, a, b):
        numbers = numbers_of(rows, quantity, answer.bucket_start, answer.bucket_end)
        assert (answer.a_n, answer.b_n) == (len(reference), len(numbers))
        uppers = [np.inf if upper is None else upper for upper in answer.upper]
        for counts, side in ((answer.a_counts, reference), (answer.b_counts, numbers)):
            below = np.searchsorted(np.sort(side), uppers, side="left")
            assert counts == np.diff(below, prepend=0).tolist()
        assert answer.lower == [None, *answer.upper[:-1]]
        values = dict(zip(answer.statistics, answer.values, strict=True))
        if not reference or not numbers:
            assert set(values.values()) == {None}
            continue
        wanted, p_value = expected(answer.a_counts, answer.b_counts)
        roots = {"jensen_shannon", "hellinger"}
        for name, value in wanted.items():
            power = 2 if name in roots and value < 1e-3 else 1
            assert values[name] ** power == pytest.approx(value**power, **TOLERANCE), name
        assert values["ks"] == pytest.approx(
            stats.ks_2samp(reference, numbers).statistic, **TOLERANCE
        )
        scale = scale_of(reference, numbers)
        area = stats.wasserstein_distance(reference, numbers) if scale < 1e300 else None
        if area is not None:
            assert values["wasserstein"] == pytest.approx(
                area, rel=1e-12, abs=1e-12 * max(1, scale)
            )
        p_values = dict(zip(answer.statistics, answer.p_values, strict=True))
        assert p_values["chi_squared"] == pytest.approx(p_value, rel=1e-9, abs=1e-12)


windows = st.tuples(st.integers(0, 3 * 86_400), st.integers(3_600, 86_400))
buckets = st.sampled_from([None, 6 * 3_600 + 11])


@pytest.mark.parametrize("digits", [1, 17], ids=["ties", "no ties"])
def test_equal_scipys(brisk, digits):
    """Of a narrow distribution in few bins, and of wide ones; the last day has drifted."""
    rng = np.random.default_rng(digits)
    series = new_series(brisk)
    early, late = crowd(rng, series, 6000, digits), crowd(rng, series, 600, digits)
    for rows in (early, late):
        rows["values"] = [
            value and value + (time - START > timedelta(days=3)) * 2
            for value, time in zip(rows["values"], rows["times"], strict=True)
        ]
    tell(brisk, early)
    refresh(brisk)
    tell(brisk, late)
    rows = {key: early[key] + late[key] for key in early}
    days = (0, 2 * 86_400), (3 * 86_400, 86_400)
    check(brisk, rows, series, "value", days[0], (*days[1], None))

    @examples(8, thorough=20, database=None, suppress_health_check=list(HealthCheck))
    @given(windows, windows, buckets, st.sampled_from(list(COLUMNS)))
    def asked(a, b, width, quantity):
        width = width if width and width < b[1] else None
        check(brisk, rows, series, quantity, a, (*b, width))

    asked()


def test_any_doubles_drift(brisk):
    """Also those that count as the same number, 0, in sums."""
    extremes = st.lists(st.tuples(st.integers(0, SPAN_SECONDS - 1), nasty(), shares), min_size=1)

    @examples(20, thorough=60, database=None, suppress_health_check=list(HealthCheck))
    @given(extremes, windows, windows)
    def asked(some, a, b):
        series = new_series(brisk)
        values = [(START + timedelta(seconds=second), value) for second, value, _ in some]
        rows = rows_of(series, values, [share for _, _, share in some])
        half = len(rows["times"]) // 2
        tell(brisk, {key: column[:half] for key, column in rows.items()})
        refresh(brisk)
        tell(brisk, {key: column[half:] for key, column in rows.items()})
        for quantity in COLUMNS:
            check(brisk, rows, series, quantity, a, (*b, None))
            check(brisk, rows, series, quantity, (0, SPAN_SECONDS), (*b, None))

    asked()


def test_a_narrow_reference_is_cut_at_its_own_quantiles(brisk):
    """All of N(1000, 3) lies in one stored bin, and would be one part: nothing would ever drift."""
    rng = np.random.default_rng(3)
    series = new_series(brisk)
    days = rng.normal(1000, 3, 1000), rng.normal(1003, 3, 1000)
    told = [
        (START + timedelta(days=day, seconds=80 * n), float(value))
        for day, values in enumerate(days)
        for n, value in enumerate(values)
    ]
    tell(brisk, rows_of(series, told))
    refresh(brisk)
    (answer,) = ask(brisk, series, "value", (0, 86_400), (86_400, 86_400, None))

    assert answer.upper[:-1] == pytest.approx(np.quantile(days[0], np.arange(1, 10) / 10).tolist())
    assert answer.a_counts == [100] * 10
    assert dict(zip(answer.statistics, answer.values, strict=True))["psi"] > 0.5
