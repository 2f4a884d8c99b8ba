"""Health metrics equal plain Python's over the same rows, at whatever window, late rows or not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.query.deployments import deployment
from app.query.health import EPOCH, PARTS, box_plots, request_volume, tenths
from app.query.question import Question
from app.query.window import Window
from app.rollup.refresh import refresh
from app.store.database import Database
from tests.doubles import LEAST, counted, nearest, seconds, taken
from tests.effort import examples
from tests.oracle.plain import EARLIEST_START, MICROSECOND, new_name, plain_buckets

# The workspace that every database has.
DEFAULT = SimpleNamespace(id=1)
QUARTILES = [0, 25, 50, 75, 100]


@dataclass(frozen=True)
class Row:
    """A request of a regressor: its value, None where it failed, and its latency in seconds."""

    time: datetime
    value: float | None
    latency: float | None


@st.composite
def windows(draw):
    """From a few microseconds to years."""
    start = EARLIEST_START + draw(st.integers(0, 10**13)) * MICROSECOND
    length = draw(
        st.one_of(
            st.integers(1, 50).map(lambda n: n * MICROSECOND),
            st.integers(1, 10**10).map(lambda n: n * MICROSECOND),
            st.integers(1, 40 * 86_400).map(lambda n: timedelta(seconds=n)),
            st.integers(1, 600).map(lambda n: timedelta(days=n)),
        )
    )
    return Window(start, start + length)


numbers = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e3, 1e3), taken)
latencies = st.one_of(st.none(), st.floats(0, 10).map(lambda number: round(number, 6)), seconds)


def plain_bins(window):
    """(start, end) of tenths of a window on a grid from the Unix epoch, cut to the window."""
    width = max(window.length / PARTS, MICROSECOND)
    return plain_buckets(window.start, window.end, width, EPOCH)


@st.composite
def cases(draw):
    """A window, and rows on, next to and between the edges of its bins, some outside."""
    window = draw(windows())
    edges = [start for start, _ in plain_bins(window)] + [window.end]
    beside = st.tuples(st.sampled_from(edges), st.sampled_from([-1, 0, 1]))
    within = st.integers(0, window.length // MICROSECOND)
    times = st.one_of(
        beside.map(lambda drawn: drawn[0] + drawn[1] * MICROSECOND),
        within.map(lambda n: window.start + n * MICROSECOND),
    )
    row = st.builds(Row, times, st.one_of(st.none(), numbers, numbers, numbers), latencies)
    return window, draw(st.lists(row, min_size=1, max_size=40))


def told(database, workspace, rows, name=None):
    """Ingest the rows as a deployment of its own, or as that one; its name."""
    name = name or new_name().name
    ingest_predictions(
        database,
        workspace.id,
        [
            Prediction(
                model=name,
                deployment=name,
                time=row.time,
                value=row.value,
                error=row.value is None,
                latency_seconds=row.latency,
            )
            for row in rows
        ],
    )
    return name


def asked(database, workspace, name, window):
    with database.reading() as conn:
        model = deployment(conn, workspace_id=workspace.id, name=name).model
        question = Question(workspace.id, model, window, tenths(window))
        return request_volume(conn, question), box_plots(conn, question)


def mean_ms(rows):
    reported = [counted(row.latency) for row in rows if row.latency is not None]
    if not reported:
        return None
    return pytest.approx(nearest(1000 * sum(reported) / len(reported)), rel=1e-15, abs=0)


def rows_of(rows, start, end):
    return [row for row in rows if start <= row.time < end]


def check(window, rows, found, boxes):
    """Every edge, count, mean and box."""
    bins = plain_bins(window)
    assert [(one.start, one.end) for one in found.buckets] == bins
    for one in found.buckets:
        inside = rows_of(rows, one.start, one.end)
        failed = sum(row.value is None for row in inside)
        assert (one.answered, one.failed) == (len(inside) - failed, failed)
        assert one.mean_latency_ms == mean_ms(inside)
    inside = rows_of(rows, window.start, window.end)
    assert found.answered == sum(row.value is not None for row in inside)
    assert found.mean_latency_ms == mean_ms(inside)
    check_boxes(bins, rows, boxes)


def check_boxes(bins, rows, boxes):
    by_bin = {b: [r.value for r in rows_of(rows, *b) if r.value is not None] for b in bins}
    expected = {bin_: values for bin_, values in by_bin.items() if values}
    assert [(box.start, box.end) for box in boxes] == list(expected)
    for box, values in zip(boxes, expected.values(), strict=True):
        assert box.n == len(values)
        size = max(map(abs, values))  # where values cancel, so do their last digits
        least = max(1e-15 * size, 2 * LEAST)
        about = pytest.approx(np.percentile(values, QUARTILES), rel=1e-12, abs=least)
        assert box.quantiles == about


@examples(60, thorough=200)
@given(case=cases())
def test_every_bin_and_box_equals_plain_python(database, workspace, case):
    window, rows = case
    name = told(database, workspace, rows)

    check(window, rows, *asked(database, workspace, name, window))


def test_what_a_failed_request_came_with_is_no_value(database, workspace):
    name, time = new_name().name, EARLIEST_START
    common = {"model": name, "deployment": name, "time": time}
    answered = Prediction(**common, value=1.0, latency_seconds=1.0)
    failed = Prediction(**common, value=7.0, latency_seconds=9.0, error=True)
    ingest_predictions(database, workspace.id, [answered, failed])

    window = Window(time, time + timedelta(hours=1))
    found, [box] = asked(database, workspace, name, window)

    assert (found.answered, found.failed, found.mean_latency_ms) == (1, 1, 5000)
    assert (box.n, box.quantiles) == (1, (1.0,) * 5)


# A week ago, or rows would be too new to be in any level.
BACKDATE = """
    CREATE TEMPORARY TABLE older ON COMMIT DROP AS SELECT * FROM prediction;
    DELETE FROM prediction;
    UPDATE older SET received_at = received_at - INTERVAL '7 days';
    INSERT INTO prediction SELECT * FROM older
"""
DAYS_AND_SECONDS = [(30, 0), (30, 3661), (7, 12_345), (1, 86_399), (40, 0)]


@pytest.fixture
def own_database(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def some(rng, count):
    """Requests of forty days."""
    return [
        Row(
            EARLIEST_START + int(at) * MICROSECOND,
            None if rng.random() < 0.1 else float(rng.normal(0, 50)),
            None if rng.random() < 0.2 else round(float(rng.exponential()), 6),
        )
        for at in rng.integers(0, 40 * 86_400 * 10**6, count)
    ]


def test_the_same_once_levels_are_refreshed_and_more_rows_came(own_database):
    """Most of it is then read from levels, the rest from rows."""
    rng = np.random.default_rng(7)
    rows, late = some(rng, 3000), some(rng, 200)
    name = told(own_database, DEFAULT, rows)
    with own_database.writing() as conn:
        conn.exec_driver_sql(BACKDATE)
    refresh(own_database)
    told(own_database, DEFAULT, late, name)

    for days, more in DAYS_AND_SECONDS:
        begin = EARLIEST_START + timedelta(seconds=more, microseconds=more)
        window = Window(begin, begin + timedelta(days=days))
        check(window, rows + late, *asked(own_database, DEFAULT, name, window))


def test_a_box_outlives_its_rows(own_database):
    rows = [Row(EARLIEST_START + n * timedelta(hours=1), float(n), 0.5) for n in range(96)]
    name = told(own_database, DEFAULT, rows)
    with own_database.writing() as conn:
        conn.exec_driver_sql(BACKDATE)
    refresh(own_database)
    with own_database.writing() as conn:  # as retention does
        conn.exec_driver_sql("DELETE FROM prediction")
        conn.exec_driver_sql("INSERT INTO retention VALUES ('prediction', now())")

    midnight = EARLIEST_START.replace(hour=0)
    window = Window(midnight, midnight + timedelta(days=10))
    found, boxes = asked(own_database, DEFAULT, name, window)
    assert (found.answered, found.mean_latency_ms) == (96, 500)
    values = np.split(np.arange(96.0), [23, 47, 71, 95])
    assert [(box.n, box.quantiles) for box in boxes] == [
        (len(day), tuple(np.quantile(day, [0, 0.25, 0.5, 0.75, 1]))) for day in values
    ]
