"""Holes in tables: what a row lacks is not made up, in any library."""

import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import Unloggable, Verdict

from tests.api.given import count_rows, stored_outputs
from tests.client.stored import arrivals, request_ids, truths

MOMENT = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
WHOLE = {
    "model": "pets",
    "request_id": "a",
    "time": MOMENT,
    "label": "cat",
    "confidence": 0.5,
    "latency_seconds": 0.25,
    "error": False,
    "batch_index": 1,
    "namespace": "n",
    "pipeline": "p",
    "deployment": "d",
    "version": "v",
    "deployment_type": "t",
    "server_version": "s",
}
REQUIRED = sorted(set(WHOLE) - {"confidence", "latency_seconds", "label"})


def columns(**holes):
    """Two rows, the second with holes."""
    return {name: [value, holes.get(name, value)] for name, value in WHOLE.items()}


def arrow(**holes):
    return pa.table(columns(**holes), schema=pa.table(columns()).schema)


LIBRARIES = {
    "pandas": lambda **holes: pd.DataFrame(columns(**holes)),
    "nullable types of pandas": lambda **holes: pd.DataFrame(columns(**holes)).convert_dtypes(),
    "pandas on Arrow": lambda **holes: arrow(**holes).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda **holes: pl.DataFrame(columns(**holes)),
    "arrow": arrow,
    "mappings": lambda **holes: [WHOLE, WHOLE | holes],
}


@pytest.mark.parametrize("column", REQUIRED)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_hole_is_refused_with_its_row(truthline, database, workspace, library, column):
    table = LIBRARIES[library](**{column: None})

    with pytest.raises(Unloggable, match=f"row 1: {column} is missing"):
        truthline.send_predictions(table)
    assert count_rows(database, workspace.id)["prediction"] == 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_row_need_not_have(truthline, database, workspace, library):
    table = LIBRARIES[library](confidence=None, latency_seconds=None)

    assert truthline.send_predictions(table).accepted == 1  # both are the same request
    table = LIBRARIES[library](confidence=None, latency_seconds=None, request_id="b")
    assert truthline.send_predictions(table) == Verdict(accepted=1, duplicates=1)
    confidences = [row[2] for row in stored_outputs(database, workspace.id)]
    assert sorted(confidences, key=str) == [0.5, None]


NOT_A_TIME = {"NaT": pd.NaT, "numpy's": np.datetime64("NaT"), "NA": pd.NA, "NaN": math.nan}


@pytest.mark.parametrize("hole", NOT_A_TIME)
@pytest.mark.parametrize("column", ["time", "requestId"])
def test_whatever_stands_for_nothing(truthline, hole, column):
    frame = pd.DataFrame({"label": ["cat", "cat"], column: ["x", NOT_A_TIME[hole]]}, dtype=object)
    frame.loc[0, column] = MOMENT if column == "time" else "x"

    for table in (frame, frame.to_dict("records")):
        with pytest.raises(Unloggable, match=f"row 1: {column} is missing"):
            truthline.send_predictions(table, model="pets")


NUMBERS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "mappings": lambda table: pd.DataFrame(table).to_dict("records"),
}


@pytest.mark.parametrize("library", NUMBERS)
@pytest.mark.parametrize("column", ["value", "label"])
def test_not_a_number_is_a_hole_in_every_library(truthline, database, workspace, library, column):
    table = NUMBERS[library]({"request_id": ["a", "b", "c"], column: [1.0, 2.0, math.nan]})

    for send in (truthline.send_predictions, truthline.send_feedback):
        with pytest.raises(Unloggable, match=f"row 2: {column} is missing"):
            send(table, model="m")
    with_unknown = NUMBERS[library]({"label": ["cat", "dog"], "confidence": [0.5, math.nan]})
    assert truthline.send_predictions(with_unknown, model="pets").accepted == 2
    stored = [row[:3] for row in stored_outputs(database, workspace.id)]
    assert sorted(stored) == [("cat", None, 0.5), ("dog", None, None)]


@pytest.mark.parametrize("library", NUMBERS)
def test_a_failed_request_needs_no_answer(truthline, database, workspace, library):
    table = NUMBERS[library](
        {"label": ["cat", None], "confidence": [0.5, None], "error": [False, True]}
    )

    assert truthline.send_predictions(table, model="pets").accepted == 2
    assert sorted(row[0] or "" for row in stored_outputs(database, workspace.id)) == ["", "cat"]


def test_rows_of_several_kinds_of_models(truthline):
    table = pd.DataFrame(
        {"model": ["pets", "prices"], "label": ["cat", None], "value": [None, 1.5]}
    )

    assert truthline.send_predictions(table).accepted == 2
    table.loc[1, "value"] = None
    with pytest.raises(Unloggable, match="row 1: label and value are missing"):
        truthline.send_predictions(table)


def test_text_next_to_the_table_fills_no_hole(truthline):
    table = pd.DataFrame({"label": ["cat", "cat"], "version": ["v1", None]})

    with pytest.raises(Unloggable, match="row 1: version is missing"):
        truthline.send_predictions(table, model="pets", version="v2")
    assert truthline.send_predictions(table[["label"]], model="pets", version=None).accepted == 2


def test_a_mapping_may_go_without(truthline, database, workspace):
    rows = [{"label": "cat", "request_id": "a"}, {"label": "dog"}]

    assert truthline.send_predictions(rows, model="pets").accepted == 2
    assert sorted(id_ or "" for _, id_ in arrivals(database, workspace)) == ["", "a"]


# --- the index --------------------------------------------------------------------------------

ORDERS = pd.DataFrame({"request_id": ["a", "b"], "time": [MOMENT, MOMENT], "label": ["cat", "dog"]})


@pytest.mark.parametrize("levels", ["request_id", ["request_id"], ["request_id", "time"], "time"])
def test_a_named_index_is_a_column(truthline, database, workspace, levels):
    assert truthline.send_predictions(ORDERS.set_index(levels), model="pets").accepted == 2
    assert request_ids(database, workspace) == ["a", "b"]
    only_ids = ORDERS.set_index("request_id")[["label"]]
    assert truthline.send_feedback(only_ids, model="pets") == Verdict(accepted=2)
    assert truths(database, workspace) == {"a": "cat", "b": "dog"}
    during = truthline.models(start=MOMENT, end="2026-03-01T10:31:00Z")
    assert [model.inferences for model in during.models] == [2]


def test_a_hole_in_an_index(truthline):
    table = ORDERS.set_index(["request_id", "time"]).set_index(
        pd.MultiIndex.from_arrays([["a", None], [MOMENT, MOMENT]], names=["request_id", "time"])
    )

    with pytest.raises(Unloggable, match="row 1: request_id is missing"):
        truthline.send_predictions(table, model="pets")


def test_an_index_that_is_a_column_too(truthline, database, workspace):
    table = ORDERS.set_index("request_id", drop=False)

    assert truthline.send_predictions(table, model="pets").accepted == 2
    assert request_ids(database, workspace) == ["a", "b"]
    table.index = pd.Index(["x", "y"], name="request_id")
    with pytest.raises(Unloggable, match="the index and a column are named request_id"):
        truthline.send_predictions(table, model="pets")


def test_an_index_that_is_no_column_of_ours(truthline):
    with pytest.raises(Unloggable, match="row 0: no column is named 'order'"):
        truthline.send_predictions(ORDERS.rename_axis("order"), model="pets")
    # one without a name counts rows
    assert truthline.send_predictions(ORDERS[::-1], model="pets").accepted == 2


# --- one name, two columns --------------------------------------------------------------------

TWINS = {
    "pandas": pd.DataFrame([["cat", "dog"]], columns=["label", "label"]),
    "arrow": pa.table([["cat"], ["dog"]], names=["label", "label"]),
    "both names": [{"label": "cat", "request_id": "a", "requestId": "b"}],
}


@pytest.mark.parametrize("kind", TWINS)
def test_of_two_columns_with_one_name_none_is_lost(truthline, kind):
    with pytest.raises(Unloggable, match="two columns are named"):
        truthline.send_predictions(TWINS[kind], model="pets")
