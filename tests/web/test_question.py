"""A page's query: read from its URL, and written to it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, InvalidWindow
from app.query.window import average_length
from app.web.question import (
    AUTOMATIC_BUCKETS,
    INTERVALS,
    RANGES,
    Question,
    common,
    iso_utc,
    members_of,
    query_string,
)
from app.web.session import local_path
from app.web.shell import CUSTOM, changed, state

NOW = datetime(2026, 3, 29, 0, 58, 12, 345, tzinfo=UTC)  # two minutes before clocks go forward
MONTH = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-04-01T00:00:00Z"}


def read(members, now=NOW):
    return Question.read(query_string(members), now)


@given(
    st.sampled_from(sorted(RANGES)),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_a_range_ends_soon_after_now_on_a_whole_minute(name, now):
    window = read({"range": name}, now).window
    length, _ = RANGES[name]

    assert window.length == length
    assert now <= window.end < now + timedelta(minutes=5)
    assert window.end.second == window.end.microsecond == 0


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)))
def test_an_automatic_interval_is_the_narrowest_that_a_chart_can_carry(length):
    members = {"startTime": iso_utc(NOW), "endTime": iso_utc(NOW + length)}
    question = read(members)

    assert question.grid.buckets(question.window) <= AUTOMATIC_BUCKETS + 1
    narrower = list(INTERVALS)[: list(INTERVALS).index(question.interval)]
    for name in narrower:
        assert length / average_length(INTERVALS[name]) > AUTOMATIC_BUCKETS


def test_a_time_without_an_offset_is_by_the_clock_of_the_zone():
    window = {"startTime": "2026-03-29T01:30:00", "endTime": "2026-03-29T03:30:00"}
    question = read({**window, "timeZone": "Europe/Paris"})

    # 01:30 is an hour ahead of UTC, 03:30 two: clocks went forward between
    assert question.window.length == timedelta(hours=1)
    assert question.local(question.window.end).isoformat() == "2026-03-29T03:30:00+02:00"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"range": "2d"}, "the range must be one of"),
        ({"timeZone": "Mars"}, "must be one like Europe/Paris"),
        ({"timeZone": "localtime"}, "must be one like Europe/Paris"),
        ({"startTime": "2026-03-01T00:00:00Z"}, "needs both its start and its end"),
        ({"startTime": "yesterday", "endTime": "today"}, "startTime must be a time"),
        ({"startTime": "0001-01-01T00:00:00+14:00", "endTime": "x"}, "startTime must be a time"),
        ({"asOf": "soon"}, "asOf must be a time"),
        ({"bucket": "first"}, "bucket must be a time"),
        ({"interval": "7s"}, "the interval must be one of"),
        ({"interval": "1s", "range": "1y"}, "an answer may have"),
        ({"startTime": MONTH["endTime"], "endTime": MONTH["startTime"]}, "must be after its start"),
    ],
)
def test_an_invalid_question_is_reported(members, said):
    with pytest.raises((InvalidInput, InvalidWindow), match=said):
        read(members)


def test_a_view_is_read_as_it_was_written():
    members = MONTH | {"timeZone": "Asia/Kathmandu", "model": "a/b c&d", "asOf": iso_utc(NOW)}
    question = read(members)

    assert members_of(query_string(members)) == members
    assert question.model.name == "a/b c&d"
    assert question.as_of == NOW


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        ("range", "7d", {"range": "7d", "timeZone": "Asia/Tokyo"}),
        ("range", CUSTOM, MONTH | {"timeZone": "Asia/Tokyo"}),
        ("start", "2026-03-02 09:00:00", {**MONTH, "startTime": "2026-03-02T00:00:00Z"}),
        ("interval", "1h", MONTH | {"interval": "1h"}),
        ("interval", "auto", MONTH),
        ("zone", "Europe/Paris", MONTH | {"timeZone": "Europe/Paris"}),
        ("as-of", "2026-03-02 09:00:00", MONTH | {"asOf": "2026-03-02T00:00:00Z"}),
        ("as-of", None, MONTH),
        ("refresh", "1m", MONTH | {"refresh": "1m"}),
        ("refresh", "off", MONTH),
    ],
)
def test_a_control_changes_its_member_and_leaves_the_others(control, value, expected):
    question = read(MONTH | {"timeZone": "Asia/Tokyo", "bucket": MONTH["startTime"]})
    members = members_of(query_string(changed(question, control, value)))

    assert members == {"timeZone": "Asia/Tokyo"} | expected


def test_controls_show_the_clock_of_the_zone():
    question = read(MONTH | {"timeZone": "Asia/Tokyo", "asOf": "2026-03-02T00:00:00Z"})

    assert state(question) == [
        CUSTOM, "2026-03-01 09:00:00", "2026-04-01 09:00:00", "auto", "Asia/Tokyo",
        "2026-03-02 09:00:00", "off",
    ]  # fmt: skip


def test_the_window_is_taken_along_and_the_model_is_not():
    members = {**MONTH, "timeZone": "Asia/Tokyo", "model": "m", "bucket": "b", "version": "v"}

    assert common(members) == MONTH | {"timeZone": "Asia/Tokyo"}


@pytest.mark.parametrize("target", ["/", "/model?model=x", "/status#levels"])
def test_paths_of_ours_are_followed(target):
    assert local_path(target) == target
