"""Answers are the same whatever is folded: levels, tail and cut hours against the raw rows."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.config import Settings
from app.rollup.fold import fold
from app.store.copy import copy_rows
from app.store.database import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OUTCOME = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "predicted_label": "integer",
    "actual_label": "integer",
    "predicted_value": "double precision",
    "actual_value": "double precision",
    "weight": "smallint",
    "batch_index": "integer",
}
CELLS = text("""
    SELECT bucket, predicted_label, actual_label, n, sum_absolute_error, sum_squared_error
    FROM truthline.outcome_cells(:series, :start, :end, width => :width, origin => :origin)
""")
NEW_SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name)
               SELECT 1, '', '', gen_random_uuid()::text RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', v, '', '' FROM m, unnest(ARRAY['v1', 'v2']) AS v RETURNING id
""")
BOUNDS = text("SELECT name, learned_until FROM level")

# Times near hours' edges, over a few days; receipts after them, over months.
near_hours = st.builds(
    lambda hours, microseconds: NOON + hours * HOUR + timedelta(microseconds=microseconds),
    st.integers(0, 60),
    st.sampled_from([-1, 0, 1, 17_000_000, 1_800_000_000]),
)
labels = st.integers(1, 3)
# their squares are exact decimals, so that a row may take back what none has added
values = st.sampled_from([0.0, 0.5, -3.25, 1e3])


@pytest.fixture(scope="module")
def levels(empty_database_url, template):
    """A database of this module's own: receipts here are not only now."""
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    yield database
    database.dispose()


@st.composite
def stories(draw):
    """Rows in the order they are received, with folds in between: (receipt, rows) or a fold."""
    # around midnight on the first of a month, where a span of each level ends
    received = NOON + timedelta(hours=draw(st.sampled_from([-40, -13, -12, -12, -11, 0])))
    regression = draw(st.booleans())
    story = []
    for _ in range(draw(st.integers(1, 6))):
        received += draw(st.sampled_from([HOUR / 7, HOUR, 20 * HOUR, 24 * HOUR, 24 * 31 * HOUR]))
        rows = draw(st.lists(st.tuples(near_hours, labels, labels, values, values), max_size=6))
        story.append((received, [row for row in rows if row[0] <= received + 24 * HOUR]))
        if draw(st.booleans()):
            story.append((received, None))
    return regression, story


windows = st.tuples(
    near_hours,
    st.sampled_from([HOUR, 7 * HOUR, 24 * HOUR, timedelta(hours=49, seconds=22)]),
    st.sampled_from([None, HOUR / 4, HOUR, timedelta(minutes=90), 6 * HOUR, 24 * HOUR]),
    st.sampled_from([None, datetime(1970, 1, 1, tzinfo=UTC)]),
)


def play(database, series, regression, story):
    """Store the story; what is folded is only what was received before the fold."""
    rows = []
    for received, batch in story:
        if batch is None:
            fold(database, received)
            continue
        fresh = [
            outcome(received, series, regression, place, row) for place, row in enumerate(batch)
        ]
        with database.writing() as conn:
            copy_rows(conn, "outcome", OUTCOME, fresh)
        rows += fresh
    return rows


def outcome(received, series, regression, place, row):
    time, predicted, actual, guess, truth = row
    pair = (None, None, guess, truth) if regression else (predicted, actual, None, None)
    weight = -1 if place == 5 else 1
    return (received, time, series[place % 2], *pair, weight, 0)


def plain_cells(rows, start, end, width, origin):
    """The same cells by plain Python over the raw rows, sums exact."""
    cells = {}
    for _, time, _, predicted, actual, guess, truth, weight, _ in rows:
        if start <= time < end:
            bucket = origin + (time - origin) // width * width
            error = abs(Fraction(guess) - Fraction(truth)) if guess is not None else Fraction(0)
            cell = cells.setdefault((bucket, predicted, actual), [0, Fraction(0), Fraction(0)])
            for place, amount in enumerate((1, error, error * error)):
                cell[place] += weight * amount
    return {key: cell for key, cell in cells.items() if cell[0] != 0}


@settings(max_examples=150)
@given(stories(), st.lists(windows, min_size=1, max_size=4))
def test_cells_equal_those_of_the_raw_rows(levels, told, asked):
    regression, story = told
    with levels.writing() as conn:
        series = list(conn.execute(NEW_SERIES).scalars())
        # each example begins before all that was folded for the others
        conn.execute(text("UPDATE level SET learned_until = '-infinity'"))
        conn.execute(text("TRUNCATE outcome, outcome_1h, outcome_1d, outcome_1mo"))
    rows = play(levels, series, regression, story)

    for start, length, width, origin in asked:
        question = {"series": series, "start": start, "end": start + length, "width": width}
        with levels.reading() as conn:
            answer = conn.execute(CELLS, question | {"origin": origin}).all()
        wanted = plain_cells(rows, start, start + length, width or length, origin or start)
        assert {tuple(row[:3]): row.n for row in answer} == {k: c[0] for k, c in wanted.items()}
        for row in answer:
            _, absolute, squared = wanted[tuple(row[:3])]
            if regression:
                assert float(row.sum_absolute_error) == pytest.approx(float(absolute), rel=1e-12)
                assert float(row.sum_squared_error) == pytest.approx(float(squared), rel=1e-12)


def test_a_fold_goes_as_far_as_whole_spans(levels):
    until = datetime(2026, 6, 17, 9, 41, tzinfo=UTC)
    with levels.writing() as conn:
        conn.execute(text("UPDATE level SET learned_until = '-infinity'"))

    fold(levels, until)

    with levels.reading() as conn:
        assert dict(map(tuple, conn.execute(BOUNDS))) == {
            "outcome_1h": datetime(2026, 6, 17, 9, tzinfo=UTC),
            "outcome_1d": datetime(2026, 6, 17, tzinfo=UTC),
            "outcome_1mo": datetime(2026, 6, 1, tzinfo=UTC),
        }


def test_a_fold_never_runs_ahead_of_the_clock(levels):
    folded = fold(levels, datetime(2999, 1, 1, tzinfo=UTC))

    assert all(level.until <= datetime.now(UTC) for level in folded)


def test_folding_again_appends_nothing(levels):
    fold(levels)

    assert [level.cells for level in fold(levels)] == []
