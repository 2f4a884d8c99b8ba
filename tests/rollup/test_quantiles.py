"""Quantiles of crowded bins equal numpy's, whatever of them is in levels and wherever edges cut."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.rollup.refresh import refresh
from tests.doubles import LARGEST, LEAST, nasty, nearest, shares
from tests.effort import examples
from tests.rollup.conftest import new_series

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN_SECONDS = 4 * 86_400
FRACTIONS = [0.0, 0.005, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]
EVERY_RANK = [n / 1000 for n in range(1001)]
ROUNDED_TO = {"ties": 0, "some ties": 2, "no ties": 17}

INSERT = text("""
    INSERT INTO prediction (time, series_id, label_id, confidence, value, latency_seconds,
                            batch_index, starts_request, starts_label, failed)
    SELECT time, series_id, label_id, confidence, value, latency, 0, true, true, false
    FROM unnest(CAST(:times AS timestamptz[]), CAST(:series AS integer[]),
                CAST(:labels AS integer[]), CAST(:confidences AS float8[]),
                CAST(:values AS float8[]), CAST(:latencies AS float8[]))
        AS row (time, series_id, label_id, confidence, value, latency)
""")
ASK = text("""
    SELECT bucket_start, bucket_end, coalesce(label_id, 0), n, quantiles
    FROM truthline_internal.edges(:start, :end, :width) AS edges
    CROSS JOIN LATERAL truthline_internal.quantiles(
        :measure, :series, edges, 'infinity', :fractions) AS q
    JOIN truthline_internal.buckets(:start, :end, :width) USING (place)
""")

windows = st.tuples(
    st.integers(0, 2 * 86_400),
    st.one_of(st.integers(12 * 3600, 2 * 86_400), st.integers(1, 3600)),
    st.sampled_from([None, 3 * 3600, 7 * 3600 + 11, 86_400]),
)


def crowd(rng, series, count, digits):
    """Rows of one narrow distribution per measure; half of them regression, half of two classes."""
    numeric = rng.random(count) < 0.5
    values = np.round(rng.normal(100, 4, count), digits)
    confidences = np.round(np.clip(rng.beta(60, 3, count), 0, 1), digits + 1)
    latencies = np.round(rng.lognormal(-3, 0.2, count), digits + 1)
    return {
        "times": [START + timedelta(seconds=float(s)) for s in rng.random(count) * SPAN_SECONDS],
        "series": rng.choice(series, count).tolist(),
        "labels": [
            None if n else int(c) for n, c in zip(numeric, rng.integers(1, 3, count), strict=True)
        ],
        "confidences": [None if n else float(c) for n, c in zip(numeric, confidences, strict=True)],
        "values": [float(v) if n else None for n, v in zip(numeric, values, strict=True)],
        "latencies": latencies.tolist(),
    }


def numpys(numbers, fractions):
    quantiles = np.quantile(numbers, fractions).tolist()
    return [pytest.approx(number, rel=1e-15, abs=0) for number in quantiles]


def exact(numbers, fractions):
    """By exact fractions: numpy's differences of the largest doubles are none."""
    ordered, found = sorted(numbers), []
    for fraction in fractions:
        at = fraction * (len(ordered) - 1)
        lower, upper = ordered[math.floor(at)], ordered[math.ceil(at)]
        between = Fraction(lower) + (Fraction(upper) - Fraction(lower)) * Fraction(at % 1)
        least = max(2 * LEAST, 2.0**-52 * max(abs(lower), abs(upper)))
        found.append(pytest.approx(nearest(between), rel=1e-15, abs=least))
    return found


def expected(rows, measure, start, end, quantiles):
    """Number and quantiles per class (0: none)."""
    of = {"value": "values", "confidence": "confidences", "latency": "latencies"}[measure]
    found = {}
    for time, label, number in zip(rows["times"], rows["labels"], rows[of], strict=True):
        if number is not None and start <= time < end:
            found.setdefault(label if measure == "confidence" else 0, []).append(number)
    return {key: (len(numbers), quantiles(numbers)) for key, numbers in found.items()}


def check(database, rows, series, window, measure, fractions=FRACTIONS, quantiles=numpys):
    offset, length, width = window
    start = START + timedelta(seconds=offset)
    asked = {
        "measure": measure,
        "series": series,
        "start": start,
        "end": start + timedelta(seconds=length),
        "fractions": fractions,
        "width": width and timedelta(seconds=width),
    }
    with database.reading() as conn:
        answers = conn.execute(ASK, asked).all()

    def wanted(begin, end):
        return expected(rows, measure, begin, end, lambda numbers: quantiles(numbers, fractions))

    for begin, end in {(row[0], row[1]) for row in answers}:
        told = {row[2]: (row[3], row[4]) for row in answers if row[0] == begin}
        assert told == wanted(begin, end)
    assert sum(row[3] for row in answers) == sum(n for n, _ in wanted(start, asked["end"]).values())


@pytest.mark.parametrize("digits", ROUNDED_TO.values(), ids=ROUNDED_TO)
def test_equal_numpys(brisk, digits):
    rng = np.random.default_rng(digits)
    series = new_series(brisk)
    early, late = crowd(rng, series, 6000, digits), crowd(rng, series, 300, digits)
    tell(brisk, early)
    refresh(brisk)
    tell(brisk, late)
    rows = {key: early[key] + late[key] for key in early}

    @examples(8, thorough=12, database=None, suppress_health_check=list(HealthCheck))
    @given(windows, st.sampled_from(["value", "confidence", "latency"]))
    def asked(window, measure):
        check(brisk, rows, series, window, measure)

    asked()


@pytest.mark.parametrize("high_first", [True, False])
def test_a_longest_cell_that_is_unlike_the_others_misleads_nobody(brisk, high_first):
    """Each of two days has its own end of the bin, and only one of them gives pivots."""
    rng = np.random.default_rng(7)
    series = new_series(brisk)
    low, high = 128.0 + rng.random(900), 131.0 + rng.random(900)
    days = [high, low] if high_first else [low, high]
    told = [
        (START + timedelta(days=day, seconds=60 * n), float(value))
        for day, values in enumerate(days)
        for n, value in enumerate(values[: 900 - 200 * day])
    ]
    rows = rows_of(series, told)
    tell(brisk, rows)
    refresh(brisk)

    for window in ((0, 2 * 86_400, None), (3_601, 86_400 + 11_111, None)):
        check(brisk, rows, series, window, "value", EVERY_RANK)


def rows_of(series, values, confidences=None):
    """Values at times, their sizes as latencies too; and confidences of a class at the same."""
    n = len(values)
    rows = {
        "times": [time for time, _ in values],
        "series": [series[0]] * n,
        "labels": [None] * n,
        "confidences": [None] * n,
        "values": [value for _, value in values],
        "latencies": [abs(value) for _, value in values],
    }
    if confidences is None:
        return rows
    classes = {
        **rows,
        "labels": [1] * n,
        "confidences": confidences,
        "values": [None] * n,
        "latencies": [None] * n,
    }
    return {key: rows[key] + classes[key] for key in rows}


WHOLE = (0, SPAN_SECONDS, None)
extremes = st.lists(st.tuples(st.integers(0, SPAN_SECONDS - 1), nasty(), shares), min_size=1)


def test_any_doubles_have_quantiles(brisk):
    """Of a series of their own per example, half of them in levels, and cut at any edge."""

    @examples(20, thorough=60, database=None, suppress_health_check=list(HealthCheck))
    @given(extremes, windows)
    def asked(some, window):
        series = new_series(brisk)
        times = [START + timedelta(seconds=second) for second, _, _ in some]
        values = [(time, value) for time, (_, value, _) in zip(times, some, strict=True)]
        rows = rows_of(series, values, [share for _, _, share in some])
        half = len(rows["times"]) // 2
        tell(brisk, {key: column[:half] for key, column in rows.items()})
        refresh(brisk)
        tell(brisk, {key: column[half:] for key, column in rows.items()})
        for measure in ("value", "confidence", "latency"):
            for one in (WHOLE, window):
                check(brisk, rows, series, one, measure, quantiles=exact)

    asked()


def neighbours(number, towards, count):
    """So many doubles next to each other."""
    found = [number]
    while len(found) < count:
        found.append(math.nextafter(found[-1], towards))
    return found


CROWDS = {
    "the least": neighbours(0.0, math.inf, 900),
    "the largest": neighbours(LARGEST, 0.0, 900),
    "the lowest": neighbours(-LARGEST, 0.0, 900),
    "zeros of both signs": [-0.0, 0.0] * 450,
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_crowds_at_either_end_have_quantiles(brisk, crowd):
    """Guesses of where a rank lies are parts of differences that hardly are numbers."""
    series = new_series(brisk)
    values = [(START + timedelta(seconds=97 * n), x) for n, x in enumerate(CROWDS[crowd])]
    rows = rows_of(series, values, CROWDS["the least"])
    tell(brisk, rows)
    refresh(brisk)

    for measure in ("value", "latency", "confidence"):
        for window in (WHOLE, (3_601, 86_400 // 2, None)):
            check(brisk, rows, series, window, measure, EVERY_RANK, exact)


@examples(25, thorough=50, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(nasty(), st.floats(-300, 300)), min_size=2, max_size=200))
def test_bins_ascend_with_their_numbers_and_are_narrow(database, numbers):
    asked = text("SELECT truthline_data.value_bin(n), n FROM unnest(CAST(:n AS float8[])) AS n")
    with database.reading() as conn:
        rows = sorted(tuple(row) for row in conn.execute(asked, {"n": sorted(numbers)}))
    assert [number for _, number in rows] == sorted(numbers)
    for (one, smaller), (other, larger) in pairwise(rows):
        if one == other and abs(smaller) > 1e-307:
            assert larger - smaller <= max(abs(smaller), abs(larger)) / 16


def tell(database, rows):
    with database.writing() as conn:
        conn.execute(INSERT, rows)
