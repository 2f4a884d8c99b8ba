"""Instants and Go durations, against independent calculations."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.api.http.parameters import parse_go_duration, parse_instant

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "\u03bcs": 10**3, "ms": 10**6}
NANOSECONDS |= {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

DIGITS = st.text("0123456789", min_size=1, max_size=6)
NUMBERS = st.one_of(
    DIGITS,
    st.builds("{}.{}".format, DIGITS, DIGITS),
    DIGITS.map("{}.".format),
    DIGITS.map(".{}".format),
)
PARTS = st.lists(st.tuples(NUMBERS, st.sampled_from(sorted(NANOSECONDS))), min_size=1, max_size=4)


@given(PARTS, st.sampled_from(["", "+"]))
def test_a_duration_is_the_sum_of_its_parts(parts, sign):
    text = sign + "".join(number + unit for number, unit in parts)
    nanoseconds = sum(Decimal(number) * NANOSECONDS[unit] for number, unit in parts)

    if nanoseconds % 1000:
        with pytest.raises(ValueError, match="must be a whole number of microseconds"):
            parse_go_duration(text)
    else:
        assert parse_go_duration(text) == timedelta(microseconds=int(nanoseconds / 1000))


@given(st.timedeltas(timedelta(0), timedelta(days=100_000)))
def test_a_duration_written_by_go_reads_back(duration):
    minutes, rest = divmod(duration, timedelta(minutes=1))
    written = f"{minutes // 60}h{minutes % 60}m{rest / timedelta(seconds=1):.6f}s"  # as String()

    assert parse_go_duration(written) == duration


@given(st.text("0123456789.smhnuµd+- ", max_size=8))
def test_a_text_of_another_form_is_no_duration(text):
    assume(not re.fullmatch(r"\+?((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+", text))

    with pytest.raises(ValueError, match="must"):
        parse_go_duration(text)


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=OFFSETS)


@given(TIMES, st.sampled_from("Tt "))
def test_an_instant_reads_back(time, separator):
    text = time.isoformat(timespec="microseconds").replace("T", separator)

    assert parse_instant(text) == time
    assert parse_instant(text).tzinfo is UTC


@given(TIMES)
def test_an_instant_survives_a_plus_that_became_a_space(time):
    assert parse_instant(time.isoformat().replace("+", " ")) == time


@given(TIMES.map(lambda time: time.replace(microsecond=0)), st.text("0123456789", min_size=1))
def test_an_instant_is_cut_to_the_microsecond(time, digits):
    assume(len(digits) <= 18)
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat() + f".{digits}Z"

    exact = Fraction(int(digits), 10 ** len(digits)) * 10**6
    delay = (parse_instant(text) - time) / timedelta(microseconds=1)
    assert delay == exact // 1


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-25T11:51:22",
        "2025-02-25T11:51:22 ",
        "2025-02-25T11:51:22Z ",
        "2025-02-25T11:51:22Z\n",
        "2025-02-25T11:51:22.1234567890123456789Z",
        "2025-02-25T11:51:22+24:00",
        "2025-02-25T11:51:22+1:00",
        "\u0662\u0660\u0662\u0665-02-25T11:51:22Z",
    ],
)
def test_a_text_of_another_form_is_no_instant(text):
    with pytest.raises(ValueError, match="must be RFC 3339 with an offset"):
        parse_instant(text)
