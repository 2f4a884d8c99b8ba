"""Probabilities that rounding carried out of [0, 1] are stored as 0 or 1, others are rejected."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import Counts, InvalidRows

from tests.api.given import stored_outputs
from tests.client.test_logging import DURING, HOUR, warnings_of

ROUNDED = [
    (1.00000536, 1.0),
    (np.float32(1.00001), 1.0),  # the commonest one of fastText's: 1.0000100136
    (1 + 1e-5, 1.0),
    (math.nextafter(1, 2), 1.0),
    (np.float64(1 + 2**-52), 1.0),
    (-1e-17, 0.0),
    (-1e-5, 0.0),
    (-5e-324, 0.0),
    (np.float32(-1e-5), 0.0),
]
KEPT = [0, 1, 0.0, 1.0, 0.5, 5e-324, 1 - 2**-53, np.float32(0.25)]


def answers(value):
    """A probability wherever one can be."""
    return {
        "label": {"label": "a", "confidence": value},
        "scores": {"scores": {"a": value}},
        "detection": {"detections": [("a", value)]},
        "a mapping": {"detections": [{"label": "a", "confidence": value}]},
    }


def confidences(database, workspace):
    return [row[2] for row in stored_outputs(database, workspace.id)]


@pytest.mark.parametrize(("value", "stored"), [*ROUNDED, *((v, float(v)) for v in KEPT)], ids=repr)
def test_rounding_costs_no_row(truthline, database, workspace, caplog, value, stored):
    for model, answer in answers(value).items():
        truthline.log_prediction(model, **answer)
        truthline.send_predictions([answer], model=model)
    assert truthline.flush(10)

    assert truthline.stats().predictions == Counts(logged=4, sent=4)
    assert confidences(database, workspace) == [stored] * 8
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_nor_in_a_table(truthline, database, workspace, library):
    table = library({"label": ["a"] * 3, "confidence": np.array([1.00001, -1e-6, 0.5], "float32")})

    truthline.send_predictions(table, model="pets")
    assert sorted(confidences(database, workspace)) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("value", [1.0001, 1.00002, -1e-4, -2e-5, 2])
def test_what_is_further_out_is_refused(truthline, value):
    for model, answer in answers(value).items():
        truthline.log_prediction(model, **answer)
        with pytest.raises(InvalidRows):
            truthline.send_predictions([answer], model=model)
    assert truthline.flush(10)

    assert truthline.stats().predictions == Counts(logged=4, refused=4)


@pytest.mark.parametrize(
    ("scores", "surest"),
    [
        ({"a": 1.000001, "b": 1.000009}, "b"),
        ({"a": 1.0, "b": 1.000001, "c": 0.5}, "b"),
        ({"a": -1e-6, "b": -1e-9}, "b"),
        ({"a": 1.000001, "b": 1.000001}, "a"),
        ({"a": -1e-9, "b": 0.5, "c": 0.5}, "b"),
    ],
)
def test_the_surest_class_stays_the_surest(truthline, database, workspace, scores, surest):
    truthline.log_prediction("pets", scores=scores)
    assert truthline.flush(10)

    assert [row[0] for row in stored_outputs(database, workspace.id)] == [surest]


def test_the_surest_answers_count(truthline):
    for confidence, truth in [(1.00000536, "cat"), (0.6, "dog")]:
        id_ = truthline.log_prediction("pets", label="cat", confidence=confidence, time=DURING)
        truthline.log_feedback("pets", id_, label=truth)
    assert truthline.flush(10)

    (bucket,) = truthline.classification_metrics("pets", **HOUR).buckets
    assert (bucket.n, bucket.accuracy) == (2, 0.5)
