"""Sparklines of the first page: as many points as fit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.window import Window, average_length
from app.web.overview import sparkline_grid
from app.web.question import DAY, RANGES, Question

NOW = datetime(2026, 3, 4, 10, 41, 7, tzinfo=UTC)


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
