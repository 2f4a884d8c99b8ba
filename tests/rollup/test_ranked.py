"""Levels of single scores: what they keep, and that metrics equal those of the rows."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.rollup.refresh import refresh
from app.rollup.retention import drop_expired
from app.store.copy import copy_rows
from app.store.database import Database
from tests.effort import examples
from tests.rollup.conftest import OUTCOME, new_series
from tests.rollup.plain import raw_rows
from tests.rollup.ranks import assert_ranked, plain_roc_auc, ranked

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# A month that is over, so that it has cells of its own.
MONTH = datetime(2026, 3, 1, tzinfo=UTC)
SCORED = OUTCOME | dict.fromkeys(
    ("predicted_score", "actual_score", "other_score", "rest_squared", "class_score"), "float8"
)
SCORED |= {"class_label": "integer"}
MIGRATION = Path(__file__).parents[2] / "sql/versions/0007_ranked.up.sql"


def outcomes(series: int, n: int, days: int = 40) -> Iterator[tuple[object, ...]]:
    """Truths of two classes that are known within three days, some corrected a week later."""
    rng = random.Random(n)
    for _ in range(n):
        time = MONTH + rng.random() * days * DAY
        received = time + rng.random() * 3 * DAY
        predicted, actual = rng.choice([1, 2, 2]), rng.choice([1, 2])
        score, other = rng.choice(list(scores(rng)))
        right = score if predicted == actual else other
        declared = rng.choice([None, 1, 2, 2])
        score_of_it = None if declared is None else rng.randrange(20) / 19
        known = (None if right is None or other is None else right, other, 0.0)
        known += (score_of_it, declared)
        head = (time, series, predicted)
        yield (received, *head, actual, 1, 0, score, *known)
        if rng.random() < 0.1:
            yield (received + 7 * DAY, *head, actual, -1, 0, score, *known)
            yield (received + 7 * DAY, *head, 3 - actual, 1, 0, score, *known)


def scores(rng: random.Random) -> Iterator[tuple[float, float | None]]:
    """Of the predicted class and of the other one, in every form that a cell keeps them in."""
    small = rng.choice([rng.random() / 2, rng.random() ** 20, rng.randrange(33) / 64])
    yield 1 - small, small  # the other score has more digits
    yield small, 1 - small  # a class was predicted below one half
    yield 1 - small, None  # only a confidence
    yield rng.randrange(11) / 10, rng.random()  # they don't add up to 1
    yield rng.random(), 0.0


@pytest.fixture
def stored(own: Database) -> tuple[Database, int]:
    """A database with 2,000 truths of a series, whose levels are filled."""
    series = new_series(own)[0]
    with own.writing() as conn:
        copy_rows(conn, "outcome", SCORED, list(outcomes(series, 2000)))
    refresh(own)
    return own, series


def question(start, end, width=None, as_of="infinity"):
    return {"start": start, "end": end, "width": width, "origin": None, "as_of": as_of}


QUESTIONS = [
    question(MONTH, MONTH + 31 * DAY, DAY),
    question(MONTH, MONTH + 40 * DAY),
    question(MONTH + 17 * HOUR, MONTH + 20 * DAY + HOUR / 3, 7 * DAY),
    question(MONTH + DAY, MONTH + 3 * DAY, HOUR),
    question(MONTH, MONTH + 30 * DAY, as_of=MONTH + 20 * DAY + 5 * HOUR),
]


def test_cells_keep_little_and_metrics_equal_those_of_the_rows(stored):
    database, series = stored
    with database.reading() as conn:
        for asked in QUESTIONS:
            assert_ranked(conn, [series], asked)
        assert_one_of_two_scores_is_kept(conn)
        assert_only_days_are_divided(conn)


def assert_one_of_two_scores_is_kept(conn):
    """Of two that follow from each other."""
    found = conn.execute(
        text("""
            SELECT kept, bool_or(scores_right IS NOT NULL OR scores_wrong IS NOT NULL) AS own,
                   bool_or(others_right IS NOT NULL OR others_wrong IS NOT NULL) AS other
            FROM ranked_1h_1h GROUP BY kept ORDER BY kept
        """)
    ).all()
    assert found == [(0, True, True), (1, False, True), (2, True, False), (3, True, False)]


def assert_only_days_are_divided(conn):
    """Into bins: an hour has a cell for all scores."""
    bins = {
        level: conn.execute(text(f"SELECT count(DISTINCT bin) FROM {level}")).scalar_one()
        for level in ("ranked_1h_1h", "ranked_1d_1d", "ranked_1d_1mo")
    }
    assert bins["ranked_1h_1h"] == 0
    assert bins["ranked_1d_1d"] == bins["ranked_1d_1mo"] > 32


def test_months_count_what_was_dropped_before_they_ended(own):
    series = new_series(own)[0]
    with own.writing() as conn:
        copy_rows(conn, "outcome", SCORED, list(outcomes(series, 600, days=25)))
    with own.reading() as conn:
        rows = raw_rows(conn, [series])["outcome"]
    refresh(own, until=MONTH + 20 * DAY)
    drop_expired(own, Settings(keep_raw_days=5), MONTH + 20 * DAY)
    refresh(own)

    asked = question(MONTH, MONTH + 25 * DAY, DAY)
    with own.reading() as conn:
        assert len(raw_rows(conn, [series])["outcome"]) < len(rows)
        found = conn.execute(
            text("""
                SELECT place, area FROM truthline_internal.roc_auc(:series,
                    truthline_internal.edges(:start, :end, :width), 'infinity', 2)
            """),
            {"series": [series], **asked},
        ).all()
    assert dict(map(tuple, found)) == {
        place: pytest.approx(plain_roc_auc(counts), abs=1e-12)
        for place, counts in ranked(rows, asked, 2).items()
    }


def test_levels_that_count_dropped_rows_are_not_replaced(stored):
    database, _ = stored
    drop_expired(database, Settings(keep_raw_days=5), MONTH + 20 * DAY)
    migration = MIGRATION.read_text(encoding="utf-8")
    refused = pytest.raises(OperationalError, match="retention has dropped")
    with refused, database.engine.begin() as conn:
        conn.exec_driver_sql(migration, execution_options={"no_parameters": True})


N_UP_TO = text("""
    SELECT truthline_internal.n_up_to(score, CAST(:numbers AS float8[]), 1)
    FROM unnest(CAST(:scores AS float8[])) WITH ORDINALITY AS s (score, n) ORDER BY n
""")
NEAR = [0.5, 1.0, 0.25, 0.75, 2.0**-53, 2.0**-54, 2.0**-55, 3 * 2.0**-55]
units = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, *NEAR]),
    st.builds(lambda at, to: float(np.nextafter(at, to)), st.sampled_from(NEAR), st.integers(0, 1)),
    st.builds(lambda n: n * 2.0**-53, st.integers(0, 8)),
)


@given(numbers=st.lists(units, min_size=1, max_size=30), asked=st.lists(units, max_size=30))
@examples(100, thorough=2000)
def test_complements_are_counted_without_computing_them(database, numbers, asked):
    """Among the scores that are looked up is every complement, with the doubles next to it."""
    complements = 1 - np.array(sorted(numbers))
    around = [np.nextafter(complements, to) for to in (-1, 0.5, 2)]
    looked_up = np.concatenate([complements, *around, np.array(asked)])
    with database.reading() as conn:
        found = conn.execute(N_UP_TO, {"numbers": sorted(numbers), "scores": looked_up.tolist()})
    assert list(found.scalars()) == [int((complements <= score).sum()) for score in looked_up]
