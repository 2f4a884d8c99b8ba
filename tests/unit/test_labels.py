"""Labels that are numbers: equal numbers are one label, different ones are two."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.fields import label_text

NUMBERS = (
    st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(-1e150, 1e150)
    | st.sampled_from([2.0**53, 2**53 + 1, -0.0, 5e-324, 1e22, 10**22])
)


@given(NUMBERS, NUMBERS)
def test_numbers_are_one_label_exactly_if_they_are_equal(one, other):
    assert (label_text(one) == label_text(other)) == (one == other)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_label_in_every_type(number):
    assert {label_text(number), label_text(float(number))} == {str(number)}


@given(st.floats(-1e150, 1e150))
def test_a_label_is_a_decimal_that_reads_back(number):
    text = label_text(number)

    assert float(text) == number
    assert not number.is_integer() or Fraction(Decimal(text)) == Fraction(number)


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        (True, "1"),
        (False, "0"),
        (-0.0, "0"),
        (1e3, "1000"),
        (1e22, "10000000000000000000000"),
        (2.5, "2.5"),
        ("1", "1"),
        ("true", "true"),
        ("1.0", "1.0"),
        ("x" * 200, "x" * 200),
        (10**199, "1" + "0" * 199),
    ],
)
def test_a_label_is_stored_as(label, stored):
    assert label_text(label) == stored


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "must not be empty"),
        ("x" * 201, "at most 200"),
        (10**200, "at most 200"),
        (-(10**199), "at most 200"),
        pytest.param(10**5000, "at most 200", id="5,001 digits"),
        (1e300, "at most 200"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ([1], "a text or a number"),
        (None, "a text or a number"),
    ],
)
def test_what_is_no_label_is_refused(label, reason):
    with pytest.raises(ValueError, match=reason):
        label_text(label)
