"""Sparklines of the first page: as many points as fit, none of them clipped."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.inferences import Compared
from app.query.overview import ModelOverview
from app.query.window import Window, average_length
from app.store.registry import ModelName
from app.web.overview import sparkline_grid, unclipped
from app.web.question import DAY, HOUR, MINUTE, RANGES, Question

NOW = datetime(2026, 3, 4, 10, 41, 7, tzinfo=UTC)
NOTHING = Compared(None, None)


def model(starts, volumes):
    headlines = [None] * len(volumes)
    known = (ModelName("", "", "m"), None, *[NOTHING] * 5, None, None)
    return ModelOverview(*known, starts, volumes, headlines)


@pytest.mark.parametrize("name", RANGES)
def test_every_range_has_a_line(name):
    question = Question.read(f"?range={name}", NOW)
    assert 4 <= sparkline_grid(question).buckets(question.window) <= 32


@given(st.timedeltas(timedelta(seconds=1), 3_000 * DAY), st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_no_window_has_more_points_than_fit_or_parts_of_a_long_day(length, zone):
    window = Window(NOW - length, NOW)
    search = f"?startTime={window.start.isoformat()}&endTime={NOW.isoformat()}&timeZone={zone}"
    question = Question.read(search.replace("+00:00", "Z"), NOW)
    grid = sparkline_grid(question)
    if length < 31 * 31 * DAY:
        assert grid.buckets(window) <= 33
    assert length < 4 * DAY or average_length(grid.width) >= DAY


@pytest.mark.parametrize(
    ("starts", "end", "kept"),
    [
        ([0, 30, 90, 150], 210, slice(1, None)),
        ([0, 60, 120, 180], 210, slice(None, -1)),
        ([0, 10, 70, 130], 150, slice(1, -1)),
        ([0, 60, 120], 180, slice(None)),
        ([0, 40], 60, slice(None)),
        ([0], 60, slice(None)),
    ],
)
def test_a_bucket_that_the_window_clips_is_no_dip(starts, end, kept):
    volumes = list(range(len(starts)))
    one = model([NOW + n * MINUTE for n in starts], volumes)
    assert unclipped(one, NOW + end * MINUTE) == volumes[kept]


def test_a_day_that_lost_an_hour_is_not_clipped():
    starts = [NOW, NOW + 24 * HOUR, NOW + 47 * HOUR]
    assert unclipped(model(starts, [1, 2, 3]), NOW + 71 * HOUR) == [1, 2, 3]
