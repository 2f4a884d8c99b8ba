"""Whole tables: of every library, in batches, with errors that name the row."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import Client, InvalidRows, Unauthenticated, Unloggable, Verdict

from app.factory import create_app
from tests.api.given import count_rows, stored_outputs
from tests.api.live import serving
from tests.client.conftest import SOON
from tests.client.networks import Fate, Unreliable
from tests.client.stored import request_ids, truths

MOMENT = datetime(2026, 3, 1, 10, 30, 0, 250_000, tzinfo=UTC)
COLUMNS = {
    "request_id": ["a", "b", "c"],
    "time": [MOMENT, MOMENT, MOMENT],
    "label": ["cat", "dog", "cat"],
    "confidence": [0.5, 0.25, None],
}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
TABLES = {
    "pandas": pd.DataFrame(COLUMNS),
    "polars": pl.DataFrame(COLUMNS),
    "arrow": pa.table(COLUMNS),
    "arrow batch": pa.record_batch(COLUMNS),
    "mappings": ROWS,
    "a generator": None,
}


@pytest.mark.parametrize("library", TABLES)
def test_tables_of_every_library(truthline, database, workspace, library):
    table = (row for row in ROWS) if TABLES[library] is None else TABLES[library]
    verdict = truthline.send_predictions(table, model="pets")

    assert verdict == Verdict(accepted=3)
    assert request_ids(database, workspace) == ["a", "b", "c"]
    assert sorted(row[:3] for row in stored_outputs(database, workspace.id) if row[2]) == [
        ("cat", None, 0.5),
        ("dog", None, 0.25),
    ]
    (bucket,) = truthline.models(start=MOMENT, end="2026-03-01T10:30:00.250001Z").models
    assert (bucket.first_seen, bucket.inferences) == (MOMENT, 3)


def test_truths_and_columns_as_the_api_names_them(truthline, database, workspace):
    truthline.send_predictions(ROWS, model="pets")
    told = pd.DataFrame({"requestId": ["a", "b", "z"], "label": pd.Categorical(["cat"] * 3)})

    assert truthline.send_feedback(told, model="pets") == Verdict(accepted=3, pending=1)
    assert truths(database, workspace) == {"a": "cat", "b": "cat"}


def test_a_table_sent_again_changes_nothing(truthline):
    truthline.send_predictions(ROWS, model="pets")

    assert truthline.send_predictions(ROWS, model="pets") == Verdict(duplicates=3)


def test_a_lost_answer_is_retried(url, workspace, database):
    network = Unreliable([Fate.ANSWER_LOST, Fate.BUSY])
    with Client(url, workspace.admin_key, transport=network, backoff=SOON) as client:
        verdict = client.send_predictions([{"model": "pets", "label": "cat"}] * 10)

    assert verdict == Verdict(duplicates=10)
    assert count_rows(database, workspace.id)["prediction"] == 10


def test_what_is_wrong_is_named_by_its_place_in_the_table(truthline, database, workspace):
    rows = [{"label": "cat", "confidence": 0.5} for _ in range(25_000)]
    rows[12_345] = {"label": "cat", "confidence": 5}
    rows[12_346] = {"value": 5.0, "label": "cat"}

    with pytest.raises(InvalidRows) as caught:
        truthline.send_predictions(rows, model="pets")

    error = caught.value
    assert [(p.index, p.field) for p in error.problems] == [(12_345, "confidence"), (12_346, "")]
    assert (error.stored, error.status, error.kind) == (10_000, 422, "InvalidRows")
    assert "row 12345: confidence must be at most 1" in str(error)
    assert count_rows(database, workspace.id)["prediction"] == 10_000


def test_batches_shrink_to_what_the_server_takes(small, workspace, database):
    rows = [{"label": "cat", "request_id": str(number)} for number in range(23)]

    assert small.send_predictions(rows, model="pets") == Verdict(accepted=23)
    assert len(request_ids(database, workspace)) == 23
    with pytest.raises(InvalidRows) as caught:
        small.send_predictions([*rows, {"label": "cat", "confidence": 5}], model="pets")
    assert caught.value.problems[0].index == 23
    for row in rows:
        small.log_prediction("dogs", **row)
    assert small.flush(30)
    assert small.stats().predictions.sent == 23


@pytest.fixture
def small(shared_settings, database, workspace):
    """A client of a server that takes five rows at once."""
    with (
        serving(create_app(replace(shared_settings, max_batch_rows=5), database)) as url,
        Client(url, workspace.admin_key, backoff=SOON) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"labl": "cat"}, "row 1: no column is named 'labl'; the columns are model, "),
        ({"value": float("inf")}, "row 1: value: a finite number is expected, not inf"),
        ({"time": datetime(2026, 3, 1)}, "row 1: .* no offset"),
    ],
)
def test_what_has_no_form_is_not_sent(truthline, row, said):
    with pytest.raises(Unloggable, match=said):
        truthline.send_predictions([{"label": "cat"}, row], model="pets")


@pytest.mark.parametrize("table", ["rows", {"label": ["cat"]}, 3])
def test_what_is_no_table(truthline, table):
    with pytest.raises(TypeError, match="is not a table"):
        truthline.send_predictions(table, model="pets")


def test_refusals_are_raised(url):
    with Client(url, "tl_wrong") as client, pytest.raises(Unauthenticated) as caught:
        client.send_predictions(ROWS, model="pets")

    assert caught.value.status == 401
    assert caught.value.request_id
