"""Labels of many types: equal numbers are one label, in predictions, truths and tables."""

import math
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from truthline import Counts, Unloggable
from truthline.rows import as_label

from tests.api.given import stored_outputs
from tests.client.stored import truths
from tests.client.test_documents import PAGE
from tests.client.test_logging import DURING, HOUR, warnings_of

WRITTEN = [
    ("cat", "cat"),
    ("1.0", "1.0"),
    ("true", "true"),
    (np.str_("cat"), "cat"),
    (True, "1"),
    (np.True_, "1"),
    (1.0, "1"),
    (np.int64(1), "1"),
    (np.uint8(1), "1"),
    (np.float32(1), "1"),
    (np.longdouble(1), "1"),
    (Decimal("1.00"), "1"),
    (False, "0"),
    (-0.0, "0"),
    (np.float16(-0.0), "0"),
    (1e3, "1000"),
    (2.0**63, "9223372036854775808"),
    (-3, "-3"),
    (0.1, "0.1"),
    (1e-7, "1e-07"),
    (np.float64(0.1), "0.1"),
    (np.float32(0.5), "0.5"),
    (np.float32(0.1), "0.10000000149011612"),
    (Decimal("0.10"), "0.1"),
]


@pytest.mark.parametrize(("label", "stored"), WRITTEN, ids=repr)
def test_labels_as_models_have_them(truthline, database, workspace, label, stored):
    truthline.log_prediction("digits", label=label, request_id="r")
    truthline.log_feedback("digits", "r", label=label)
    truthline.log_prediction("seen", detections=[(label, 0.5), {"label": label}])
    truthline.log_prediction("scored", scores={label: 0.75, "other": 0.25})
    assert truthline.flush(10)

    assert {row[0] for row in stored_outputs(database, workspace.id)} == {stored}
    assert truths(database, workspace) == {"r": stored}


numbers = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(np.float32),
    st.integers(-128, 127).map(np.int8),
    st.booleans().map(np.bool_),
)
near = st.integers(-3, 3).flatmap(
    lambda n: st.sampled_from([n, float(n), np.float32(n), np.int64(n), n + 0.5, bool(n)])
)


def exactly(number):
    return Fraction(number.item() if isinstance(number, np.generic) else number)


@given(one=numbers | near, other=numbers | near)
def test_labels_are_the_same_if_and_only_if_the_numbers_are(one, other):
    assert (as_label(one) == as_label(other)) == (exactly(one) == exactly(other))
    assert Fraction(float(as_label(one))) == Fraction(float(exactly(one)))


@pytest.mark.parametrize(
    ("predicted", "actual"), [(True, 1), (np.bool_(0), 0.0), (np.float32(2), 2), (3, "3")]
)
def test_a_prediction_and_its_truth_meet_whatever_their_types(truthline, predicted, actual):
    id_ = truthline.log_prediction("digits", label=predicted, time=DURING)
    truthline.log_feedback("digits", id_, label=actual)
    assert truthline.flush(10)

    (bucket,) = truthline.classification_metrics("digits", **HOUR).buckets
    assert (bucket.n, bucket.accuracy, len(bucket.categories)) == (1, 1.0, 1)


TABLES = {
    "ints": pd.DataFrame({"label": [0, 1]}),
    "floats": pd.DataFrame({"label": [0.0, 1.0]}),
    "booleans": pd.DataFrame({"label": [False, True]}),
    "nullable ints": pd.DataFrame({"label": pd.array([0, 1], "Int8")}),
    "nullable booleans": pd.DataFrame({"label": pd.array([False, True], "boolean")}),
    "nullable floats": pd.DataFrame({"label": pd.array([0, 1], "Float32")}),
    "ints of Arrow": pd.DataFrame({"label": pd.array([0, 1], "int64[pyarrow]")}),
    "categories": pd.DataFrame({"label": pd.Categorical([0.0, 1.0])}),
    "categories of text": pd.DataFrame({"label": pd.Categorical(["0", "1"])}),
    "mixed": pd.DataFrame({"label": [0.0, True]}, dtype=object),
    "polars": pl.DataFrame({"label": [False, True]}),
    "floats of polars": pl.DataFrame({"label": [0.0, 1.0]}, schema={"label": pl.Float32}),
    "categories of polars": pl.DataFrame({"label": ["0", "1"]}, schema={"label": pl.Categorical}),
    "arrow": pa.table({"label": pa.array([0, 1], pa.float32())}),
    "dictionary": pa.table({"label": pa.array([0, 1], pa.int64()).dictionary_encode()}),
    "decimals": pa.table({"label": pa.array([Decimal(0), Decimal(1)], pa.decimal128(5, 2))}),
    "mappings": [{"label": np.bool_(0)}, {"label": np.int8(1)}],
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_have_the_same_labels(truthline, database, workspace, kind):
    truthline.send_predictions(TABLES[kind], model="digits")

    stored = sorted(row[0] for row in stored_outputs(database, workspace.id))
    assert stored == ["0", "1"]


@pytest.mark.parametrize("label", [math.nan, math.inf, np.float32("nan"), Decimal("NaN")], ids=repr)
@pytest.mark.parametrize("as_", ["label", "score", "detection", "truth"])
def test_what_is_no_number_is_no_label(truthline, caplog, label, as_):
    if as_ == "truth":
        truthline.log_feedback("digits", "r", label=label)
    else:
        answers = {
            "label": {"label": label},
            "score": {"scores": {label: 1.0}},
            "detection": {"detections": [(label, 0.5)]},
        }
        truthline.log_prediction("digits", **answers[as_])

    assert truthline.stats().total == Counts(logged=1, refused=1)
    assert "is not a label" in warnings_of(caplog)[0]


@pytest.mark.parametrize("label", [pd.NA, b"cat", ("cat",), 1j, pd.NaT], ids=repr)
def test_what_is_neither_text_nor_number_is_no_label(label):
    with pytest.raises(Unloggable, match="is not a label"):
        as_label(label)


def test_scores_that_name_a_label_twice_are_refused(truthline):
    rows = [{"scores": {1: 0.4, "1": 0.6}}]

    with pytest.raises(Unloggable, match="row 0: scores name a label twice: 1, '1'"):
        truthline.send_predictions(rows, model="digits")


NAMES = {"numpy": np, "Decimal": Decimal}


def test_the_page_says_which_labels_are_the_same():
    rows = re.findall(r'^\| (.*) \| `"(.*)"` \|$', PAGE, re.MULTILINE)

    assert len(rows) == 7
    for labels, stored in rows:
        for label in re.findall(r"`(.*?)`", labels):
            assert as_label(eval(label, NAMES)) == stored  # noqa: S307 - the page's own
