"""Quantiles of crowded bins equal numpy's, whatever of them is in levels and wherever edges cut."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.rollup.refresh import refresh
from tests.rollup.conftest import new_series

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN_SECONDS = 4 * 86_400
FRACTIONS = [0.0, 0.005, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]
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
    FROM truthline.quantiles(:measure, :series, :start, :end, :fractions, :width) AS q
    JOIN truthline.buckets(:start, :end, :width) USING (place)
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


def expected(rows, measure, start, end):
    """Quantiles per class (0: none), by numpy."""
    of = {"value": "values", "confidence": "confidences", "latency": "latencies"}[measure]
    found = {}
    for time, label, number in zip(rows["times"], rows["labels"], rows[of], strict=True):
        if number is not None and start <= time < end:
            found.setdefault(label if measure == "confidence" else 0, []).append(number)
    return {key: (len(n), list(np.quantile(n, FRACTIONS))) for key, n in found.items()}


def check(database, rows, series, window, measure):
    offset, length, width = window
    start = START + timedelta(seconds=offset)
    asked = {
        "measure": measure,
        "series": series,
        "start": start,
        "end": start + timedelta(seconds=length),
        "fractions": FRACTIONS,
        "width": width and timedelta(seconds=width),
    }
    with database.reading() as conn:
        answers = conn.execute(ASK, asked).all()
    buckets = {(row[0], row[1]) for row in answers}
    for begin, end in buckets:
        told = {row[2]: (row[3], row[4]) for row in answers if row[0] == begin}
        wanted = expected(rows, measure, begin, end)
        assert {key: n for key, (n, _) in told.items()} == {k: n for k, (n, _) in wanted.items()}
        for key, (_, numbers) in wanted.items():
            assert told[key][1] == pytest.approx(numbers, rel=1e-15, abs=0)
    assert sum(row[3] for row in answers) == sum(
        n for n, _ in expected(rows, measure, start, asked["end"]).values()
    )


@pytest.mark.parametrize("digits", ROUNDED_TO.values(), ids=ROUNDED_TO)
def test_equal_numpys(brisk, digits):
    rng = np.random.default_rng(digits)
    series = new_series(brisk)
    early, late = crowd(rng, series, 6000, digits), crowd(rng, series, 300, digits)
    tell(brisk, early)
    refresh(brisk)
    tell(brisk, late)
    rows = {key: early[key] + late[key] for key in early}

    @settings(max_examples=12, database=None, suppress_health_check=list(HealthCheck))
    @given(windows, st.sampled_from(["value", "confidence", "latency"]))
    def asked(window, measure):
        check(brisk, rows, series, window, measure)

    asked()


def tell(database, rows):
    with database.writing() as conn:
        conn.execute(INSERT, rows)
