"""Scores in little memory: a mapping like the one that was sent."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.inferences import Prediction, check, outputs_of, slim
from app.ingest.scores import Scores, layout

fractions = st.floats(0, 1)
sent = st.dictionaries(st.text(min_size=1), fractions, min_size=1)


@given(scores=sent)
def test_it_is_the_mapping_that_was_sent(scores):
    kept = Scores(scores)

    assert dict(kept) == scores
    assert list(kept) == list(scores)
    with pytest.raises(KeyError):
        kept["".join(scores) + "?"]


@given(scores=sent)
def test_the_top_is_the_first_of_the_largest(scores):
    label = max(scores, key=scores.__getitem__)

    assert Scores(scores).top == (label, scores[label])


def test_what_rounding_took_outside_is_brought_back():
    assert dict(Scores({"a": 1.000005, "b": -0.000005})) == {"a": 1.0, "b": 0.0}


def test_rows_share_the_names_of_their_classes():
    first, second = (Scores({"a": 0.1, "b": number}) for number in (0.2, 0.3))

    assert first.labels is second.labels


def test_the_places_of_classes_order_the_scores():
    numbers = Scores({"c": 0.5, "a": 0.25}).numbers
    assert list(layout([4, 1])(numbers)) == [0.25, None, None, 0.5]
    assert list(layout([2, 1])(numbers)) == [0.25, 0.5]
    assert list(layout([1])(numbers[:1])) == [0.5]


def test_a_slim_row_says_the_same():
    row = Prediction(model="m", scores={"a": 0.25, "b": 0.5})

    assert outputs_of(slim(row)) == outputs_of(row)
    assert check(0, slim(row)) is None


def test_a_slim_row_is_small():
    scores = {f"class {n}": 1 / (n + 2) for n in range(100)}
    kept = slim(Prediction(model="m", scores=scores)).scores

    numbers = sum(map(sys.getsizeof, scores.values()))
    assert sys.getsizeof(kept) + sys.getsizeof(kept.numbers) < (sys.getsizeof(scores) + numbers) / 5
