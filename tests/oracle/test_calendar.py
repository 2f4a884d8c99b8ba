"""Buckets by the calendar of a zone, worked out with Python's own calendar and zoneinfo."""

import calendar
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from app.query.classification import classification
from app.query.question import Question as Asked
from app.query.subjects import Scope
from app.query.window import EPOCH_DAY, EPOCH_MONTH, Calendar, Grid, Window, window_parameters
from tests.effort import examples
from tests.oracle.plain import ROUNDS, Answer, Case, Question, Request, new_name, tell

START = datetime(1970, 12, 1, tzinfo=UTC)  # before all windows
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
# Half an hour of summer time, a skipped Friday in 2011, clocks changed at midnight, an offset of
# forty-five minutes, and one that was behind the others and then ahead.
ZONES = ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia"]
ZONES += ["America/Sao_Paulo", "Asia/Kathmandu", "Africa/Casablanca", "Asia/Beirut"]
# Instants about which clocks changed: forward, back, by a half hour, by a day, at midnight.
CHANGES = [
    "2024-03-10T07:00:00Z",
    "2024-11-03T06:00:00Z",
    "2024-10-05T15:30:00Z",
    "2024-04-06T15:00:00Z",
    "2011-12-30T10:00:00Z",
    "2018-11-04T03:00:00Z",
    "2018-02-18T02:00:00Z",
    "2024-01-31T12:00:00Z",
    "2024-02-29T00:00:00Z",
]
BUCKETS = text("""
    SELECT place, bucket_start, bucket_end
    FROM truthline_internal.buckets(:start, :end, CAST(:width AS interval),
                           CAST(:origin AS timestamptz), :zone)
""")

instants = st.one_of(
    st.tuples(st.sampled_from(CHANGES), st.integers(-3 * 86_400, 3 * 86_400)).map(
        lambda drawn: datetime.fromisoformat(drawn[0]) + timedelta(seconds=drawn[1])
    ),
    st.tuples(st.sampled_from(CHANGES), st.integers(-12, 12)).map(
        lambda drawn: datetime.fromisoformat(drawn[0]) + drawn[1] * timedelta(minutes=15)
    ),
    st.datetimes(datetime(1971, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)),
)
calendars = st.one_of(
    st.integers(1, 40).map(lambda n: Calendar(days=n)),
    st.sampled_from([7, 14]).map(lambda n: Calendar(days=n)),
    st.integers(1, 40).map(lambda n: Calendar(months=n)),
    st.sampled_from([12, 24]).map(lambda n: Calendar(months=n)),
)


@st.composite
def grids(draw):
    """A window of up to a dozen buckets, and a grid begun at its start or on that of the epoch."""
    start, width = draw(instants), draw(calendars)
    length = draw(st.floats(0.01, 12)) * width.average + MICROSECOND
    zone = draw(st.sampled_from(ZONES))
    epoch = EPOCH_MONTH if width.months else EPOCH_DAY
    origin = epoch.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) if draw(st.booleans()) else None
    return Window(start, start + length), Grid(width, origin, zone)


# --- plain Python ---------------------------------------------------------------------------


def instant(local, zone):
    """When a zone's clocks show this. Of two instants the later; if they skip it, as long after
    the skip as it is after its beginning."""
    there = local.replace(tzinfo=ZoneInfo(zone))
    return max(there.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def shifted(local, width, number):
    """A time of day `number` widths later, by the calendar: the end of a month that lacks it."""
    if width.days:
        return local + number * timedelta(days=width.days)
    months = 12 * local.year + local.month - 1 + number * width.months
    year, month = months // 12, months % 12 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day)


def bound(number, zero, width, zone):
    """First instant of a bucket, counted from the origin."""
    if number == 0:
        return zero
    local = zero.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    return instant(shifted(local, width, number), zone)


def plain_edges(window, grid):
    """Bounds within the window, walked to from the origin one by one, and those of the window."""
    zero = grid.origin or window.start
    step = 1 if window.start >= zero else -1
    inner = set()
    for number in count(0 if step == 1 else 1, 1):
        at = bound(step * number, zero, grid.width, grid.zone)
        if window.start < at < window.end:
            inner.add(at)
        if (at >= window.end) if step == 1 else (at <= window.start):
            break
    if window.start < zero < window.end:
        inner |= {zero} | set(plain_edges(Window(zero, window.end), grid)[:-1])
    return [window.start, *sorted(inner), window.end]


# --- properties -----------------------------------------------------------------------------


def asked(database, window, grid):
    with database.reading() as conn:
        return conn.execute(BUCKETS, window_parameters(window, grid, None)).all()


def new_york(start, days, width, origin=None):
    first = datetime.fromisoformat(start)
    return Window(first, first + days * DAY), Grid(width, origin, "America/New_York")


@examples(120, thorough=300)
@given(question=grids())
# begun in either of the two hours that clocks show twice, and where they skip one
@example(question=new_york("2024-11-03T05:30:00+00:00", 3, Calendar(days=1)))
@example(question=new_york("2024-11-03T06:30:00+00:00", 3, Calendar(days=1)))
@example(question=new_york("2024-03-09T07:30:00+00:00", 3, Calendar(days=1)))
@example(question=new_york("2024-01-31T05:00:00+00:00", 150, Calendar(months=1)))
def test_buckets_are_those_of_the_calendar(database, question):
    window, grid = question
    rows = asked(database, window, grid)

    edges = plain_edges(window, grid)
    assert [tuple(row) for row in rows] == [
        (place, *pair) for place, pair in enumerate(pairwise(edges), start=1)
    ]
    assert abs(len(rows) - grid.buckets(window)) <= 2


@pytest.mark.parametrize("year", [1, 1677, 1900, 2400, 9998])
@pytest.mark.parametrize(
    ("width", "expected"), [(Calendar(months=1), 12), (Calendar(days=1), (365, 366))]
)
def test_a_year_is_whole_however_far_from_its_origin(database, year, width, expected):
    """Months are counted, not guessed by an average length that drifts away."""
    window = Window(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    origin = datetime(2000, 1, 1, tzinfo=UTC)

    rows = asked(database, window, Grid(width, origin, "UTC"))

    assert len(rows) in (expected if isinstance(expected, tuple) else (expected,))
    assert rows[0].bucket_start == window.start
    assert rows[-1].bucket_end == window.end
    assert all(row.bucket_end == after.bucket_start for row, after in pairwise(rows))


def test_the_day_that_apia_skipped_has_no_bucket(database):
    window = Window(datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2011, 12, 31, 10, tzinfo=UTC))

    rows = asked(database, window, Grid(Calendar(days=1), None, "Pacific/Apia"))

    assert [row.bucket_end - row.bucket_start for row in rows] == [DAY, DAY]
    ends = [row.bucket_end.astimezone(ZoneInfo("Pacific/Apia")) for row in rows]
    assert [(end.day, end.hour) for end in ends] == [(31, 0), (1, 0)]


@pytest.mark.parametrize(("month", "hours"), [(4, 24.5), (10, 23.5)])
def test_a_day_of_lord_howe_is_half_an_hour_longer_or_shorter(database, month, hours):
    zone = ZoneInfo("Australia/Lord_Howe")
    first = datetime(2024, month, 7 if month == 4 else 6, tzinfo=zone).astimezone(UTC)

    day, *_ = asked(
        database, Window(first, first + 3 * DAY), Grid(Calendar(days=1), None, zone.key)
    )

    assert day.bucket_end - day.bucket_start == timedelta(hours=hours)


def test_months_from_the_31st_end_with_the_month_and_come_back(database):
    window = Window(datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))

    rows = asked(database, window, Grid(Calendar(months=1), None, "UTC"))

    assert [(row.bucket_start.month, row.bucket_start.day) for row in rows] == [
        (1, 31), (2, 29), (3, 31), (4, 30), (5, 31)
    ]  # fmt: skip


@examples(8, thorough=15)
@given(data=st.data())
def test_each_bucket_counts_the_rows_between_its_bounds(database, workspace, data):
    window, grid = data.draw(grids())
    edges = plain_edges(window, grid)
    drawn = st.tuples(st.sampled_from(edges), st.sampled_from([-1, 0, 1, 10**9, 10**11]))
    moved = [at + n * MICROSECOND for at, n in data.draw(st.lists(drawn, min_size=1, max_size=20))]
    times = [START, *(time for time in moved if time < datetime.now(UTC))]
    case = Case(
        Question(window, None),
        tuple(
            Request((Answer("v1", time, "yes", told_in=0),), ((0, "yes"),), id=f"r{n}")
            for n, time in enumerate(times)
        ),
        (False,) * ROUNDS,
    )
    name = new_name()
    tell(database, workspace.id, name, case)

    with database.reading() as conn:
        question = Asked(workspace.id, Scope(name), window, grid)
        buckets = classification(conn, database.registry, question).buckets

    found = [bucket.n for bucket in buckets]
    assert found == [sum(a <= time < b for time in times) for a, b in pairwise(edges)]
