"""Numbers as they are formatted for people."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.query.inferences import Compared
from app.query.measure import Better, Unit
from app.web.tables import sparkline
from app.web.units import delta, format_number
from tests.doubles import LARGEST, LEAST, nasty


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (None, Unit.COUNT, "–"),
        (float("nan"), Unit.OWN, "–"),
        (0, Unit.COUNT, "0"),
        (9_999, Unit.COUNT, "9,999"),
        (10_000, Unit.COUNT, "10.0k"),
        (1_234_567, Unit.COUNT, "1.23M"),
        (20_000_000_000, Unit.COUNT, "20.0G"),
        (0.9123, Unit.SHARE, "91.2 %"),
        (0.0, Unit.SHARE, "0.0 %"),
        (0.00012, Unit.SHARE, "0.012 %"),
        (1.0, Unit.SHARE, "100.0 %"),
        (0.0213, Unit.SECONDS, "21.3 ms"),
        (2.5, Unit.SECONDS, "2.50 s"),
        (0.7, Unit.MILLISECONDS, "0.700 ms"),
        (-4.81, Unit.OWN, "−4.81"),
        (55.64, Unit.OWN, "55.6"),
        (0.00003, Unit.OWN, "3e−05"),
        (1234567.0, Unit.OWN, "1.23e+06"),
        (0.9999, Unit.SECONDS, "1,000 ms"),
        (1e100, Unit.SECONDS, "1e+100 s"),
        (LARGEST, Unit.SECONDS, "1.8e+308 s"),
        (LEAST, Unit.SECONDS, "0.000 ms"),
        (1e250, Unit.SHARE, "1e+250×"),
    ],
)
def test_a_number_is_formatted_in_its_unit(number, unit, expected):
    assert format_number(number, unit) == expected


@given(st.floats(1e-3, 1e11))
def test_three_digits_are_right(number):
    words = format_number(number, Unit.COUNT if number >= 10_000 else Unit.OWN)
    size = {"k": 1e3, "M": 1e6, "G": 1e9}.get(words[-1], 1)
    read = float(re.sub(r"[kMG,]", "", words)) * size

    assert read == pytest.approx(number, rel=0.006, abs=0.0005)


@pytest.mark.parametrize(
    ("now", "before", "unit", "good", "text", "tone"),
    [
        (0.9, 0.95, Unit.SHARE, Better.UP, "−5.0 pt", "worse"),
        (0.01, 0.02, Unit.SHARE, Better.DOWN, "−1.0 pt", "better"),
        (150, 100, Unit.COUNT, Better.NEITHER, "+50.0 %", "same"),
        (1200, 100, Unit.COUNT, Better.NEITHER, "12×", "same"),
        (2.0, 1.0, Unit.SECONDS, Better.DOWN, "+100.0 %", "worse"),
        (100, 100, Unit.COUNT, Better.UP, "±0", "same"),
    ],
)
def test_a_difference_has_a_sign_and_shows_whether_it_is_good(now, before, unit, good, text, tone):
    found = delta(Compared(now, before), unit, good)

    assert (found.text, found.tone) == (text, tone)
    assert "in the preceding period" in found.in_words
    assert found.in_words.startswith(f"{tone}: ") == (tone != "same")


@pytest.mark.parametrize(("now", "before"), [(None, 1), (1, None), (5, 0)])
def test_without_a_number_to_differ_from_there_is_no_difference(now, before):
    assert delta(Compared(now, before), Unit.COUNT, Better.UP) is None


@given(nasty(), st.sampled_from(Unit))
def test_any_double_is_formatted(number, unit):
    assert not re.search("inf|nan", format_number(number, unit))


@given(nasty(), nasty(), st.sampled_from(Unit))
@example(LARGEST, -LARGEST, Unit.OWN)
@example(LARGEST, -LARGEST, Unit.SHARE)
@example(1.0, LEAST, Unit.SECONDS)
def test_any_two_doubles_have_a_difference_or_none(now, before, unit):
    found = delta(Compared(now, before), unit, Better.UP)
    assert found is None or not re.search("inf|nan", found.text)


@given(st.lists(st.one_of(st.none(), nasty()), min_size=1, max_size=5), st.booleans())
@example([-LARGEST, LARGEST], False)
@example([1e9, 1e9], False)
@example([LEAST, 2 * LEAST], False)
def test_any_doubles_have_a_line(values, from_zero):
    line = str(sparkline(values, "x", from_zero=from_zero))
    assert not re.search("inf|nan", line)


def test_a_line_breaks_where_nothing_is_known():
    assert str(sparkline([1, 2, None, 3], "x")).count("M") == 2
    assert "–" in sparkline([None, None], "x")


def test_what_it_is_called_is_escaped():
    assert "<b>" not in sparkline([1, 2], '"><b>')
