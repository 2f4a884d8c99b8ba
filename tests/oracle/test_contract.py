"""The SQL functions called directly, as analysts call them: any origin, any session time zone."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.query.window import Window
from app.store.series import SeriesName
from tests.effort import examples
from tests.oracle.plain import (
    EPOCH,
    MICROSECOND,
    ROUNDS,
    Answer,
    Case,
    Question,
    Request,
    classification_cases,
    new_name,
    plain_buckets,
    questions,
    tell,
    widths,
    within,
)

NEW_YORK = "America/New_York"  # the clocks there change inside of many of these windows
ZONES = st.sampled_from(["UTC", NEW_YORK, "Asia/Kathmandu", "Pacific/Apia"])
DAY = timedelta(days=1)
CLOCKS_FORWARD = datetime(2024, 3, 10, tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)
LONGEST = Window(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

BUCKETS = text("SELECT * FROM truthline_internal.buckets(:start, :end, :width, :origin)")
METRICS = text("""
    SELECT bucket_start, bucket_end, n, predicted, actual, counts
    FROM truthline_internal.classification_metrics(
        :series, truthline_internal.edges(:start, :end, :width, :origin))
""")
origins = st.one_of(
    st.just(EPOCH),
    st.none(),
    st.integers(0, 2 * 10**15).map(lambda n: datetime(2000, 1, 1, tzinfo=UTC) + n * MICROSECOND),
)


def asked(database, zone, statement, question, **more):
    """Rows of a query in a session of that time zone."""
    window = question.window
    with database.reading() as conn:
        conn.execute(text("SELECT set_config('TimeZone', :zone, true)"), {"zone": zone})
        parameters = {"start": window.start, "end": window.end, "width": question.width} | more
        return conn.execute(statement, parameters).all()


def plain_rows(question, origin):
    """(place, first instant, end) of each bucket."""
    shape = (question.window.start, question.window.end, question.width, origin)
    return [(place, *edges) for place, edges in enumerate(plain_buckets(*shape), start=1)]


@examples(80, thorough=200)
@given(question=questions(), origin=origins, zone=ZONES)
@example(Question(Window(CLOCKS_FORWARD, CLOCKS_FORWARD + 3 * DAY), DAY), None, NEW_YORK)
@example(Question(Window(CLOCKS_FORWARD, CLOCKS_FORWARD + 3 * DAY), DAY), EPOCH, NEW_YORK)
@example(Question(Window(CLOCKS_FORWARD, CLOCKS_FORWARD + 3 * DAY), None), None, NEW_YORK)
def test_buckets_are_those_of_plain_python(database, question, origin, zone):
    rows = asked(database, zone, BUCKETS, question, origin=origin)

    assert [tuple(row) for row in rows] == plain_rows(question, origin)


@examples(40, thorough=100)
@given(instants=st.sets(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
@example({LONGEST.start, LONGEST.end})
def test_a_window_without_width_is_one_bucket_however_long(database, instants):
    window = Window(min(instants), max(instants))

    rows = asked(database, "UTC", BUCKETS, Question(window, None), origin=None)

    assert [tuple(row) for row in rows] == [(1, window.start, window.end)]


@examples(40, thorough=60)
@given(width=widths, number=st.integers(0, 10**6), zone=ZONES)
def test_a_width_keeps_every_microsecond_far_from_its_origin(database, width, number, zone):
    edge = EPOCH + min(number, (30 * 365 * DAY) // width) * width
    window = Window(edge - MICROSECOND, edge + MICROSECOND)

    rows = asked(database, zone, BUCKETS, Question(window, width), origin=EPOCH)

    assert [row.bucket_start for row in rows][-1] == edge
    assert len(rows) == 2


def model_series(database, workspace, name):
    """Series of both versions that a case may have."""
    model = database.registry.known_models(workspace.id, [name])[name]
    names = [SeriesName(model.id, "", version, "", "") for version in ("v1", "v2")]
    return list(database.registry.series.register(names).values())


def named_cells(row, names):
    return {
        (names[predicted], names[actual]): count
        for predicted, actual, count in zip(row.predicted, row.actual, row.counts, strict=True)
    }


@examples(40, thorough=120)
@given(case=classification_cases(), origin=origins, zone=ZONES)
def test_cells_lie_on_the_grid_of_any_origin(database, workspace, case, origin, zone):
    name = new_name()
    tell(database, workspace.id, name, case)
    series = model_series(database, workspace, name)

    rows = asked(database, zone, METRICS, case.question, series=series, origin=origin)

    window = case.question.window
    edges = plain_buckets(window.start, window.end, case.question.width, origin)
    assert [(row.bucket_start, row.bucket_end) for row in rows] == edges
    for row in rows:
        with database.reading() as conn:
            names = database.registry.label_names(conn, [*row.predicted, *row.actual])
        pairs = within(case.pairs(), row.bucket_start, row.bucket_end)
        assert row.n == len(pairs)
        assert named_cells(row, names) == Counter(pairs)


AHEAD = st.lists(st.integers(0, 23 * 3600), min_size=1, max_size=6)


@examples(10, thorough=20)
@given(seconds_ahead=AHEAD)
def test_rows_ahead_of_the_clock_are_in_the_window_that_starts_with_them(
    database, workspace, seconds_ahead
):
    """Chunks received before a window may hold its rows, as long as a day before."""
    times = [datetime.now(UTC) + timedelta(seconds=ahead) for ahead in seconds_ahead]
    answers = [(Answer("v1", time, "yes", told_in=0),) for time in times]
    requests = [Request(one, ((0, "yes"),), id=f"r{i}") for i, one in enumerate(answers)]
    case = Case(Question(Window(max(times), max(times) + DAY), None), requests, (False,) * ROUNDS)
    name = new_name()
    tell(database, workspace.id, name, case)
    series = model_series(database, workspace, name)

    [row] = asked(database, "UTC", METRICS, case.question, series=series, origin=None)

    assert row.n == times.count(max(times))
