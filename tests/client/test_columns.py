"""Tables that are sent by column: what is stored, counted and refused is what rows would be."""

from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from truthline import Client, InvalidRows, Unloggable, Verdict, sender
from truthline.columns import rows_in

from app.api.native import ingest
from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from tests.client.conftest import SOON
from tests.ingest.bulk.told import stored

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
NUMBER = 40
RANDOM = Random(5)
TIMES = [MOMENT + timedelta(seconds=n, microseconds=n) for n in range(NUMBER)]
IDS = [f"r{n}" for n in range(NUMBER)]
LABELS = [RANDOM.choice("abc") for _ in IDS]
FRACTIONS = [None if n % 5 == 0 else n / 64 for n in range(NUMBER)]
PLAIN = {"request_id": IDS, "time": TIMES, "label": LABELS, "confidence": FRACTIONS}
BY_COLUMN = {
    "arrow": pa.table(PLAIN),
    "pandas": pd.DataFrame(PLAIN),
    "polars": pl.DataFrame(PLAIN),
    "nanoseconds": pa.table(
        PLAIN
        | {"time": pa.array([2**60 + 999 * n for n in range(NUMBER)], pa.timestamp("ns", "+02:00"))}
    ),
    "whole numbers": pa.table(
        {"requestId": range(NUMBER), "label": pa.array([n % 3 for n in range(NUMBER)], pa.uint8())}
    ),
    "categories": pd.DataFrame(PLAIN | {"label": pd.Categorical(LABELS), "version": [7] * NUMBER}),
    "values": pd.DataFrame(
        {
            "request_id": IDS,
            "value": np.float32([n / 3 for n in range(NUMBER)]),
            "batch_index": range(NUMBER),
        }
    ),
    "rounded": pa.table(PLAIN | {"confidence": [1.000005, -1e-6, *FRACTIONS[2:]]}),
    "tags": pa.table(
        PLAIN | {"tag_country": [None, "FR", "DE", "FR"] * 10, "tag_plan": ["pro"] * NUMBER}
    ),
    "failures": pa.table(
        PLAIN
        | {"error": [n % 7 == 0 for n in range(NUMBER)], "latency_seconds": pa.array(range(NUMBER))}
    ),
    "several batches": pa.concat_tables([pa.table(PLAIN).slice(0, 7), pa.table(PLAIN).slice(7)]),
}
BY_ROW = {
    "an index with a name": pd.DataFrame(PLAIN).set_index("request_id"),
    "booleans": pa.table(PLAIN | {"label": [n % 2 == 0 for n in range(NUMBER)]}),
    "fractions as labels": pa.table(PLAIN | {"label": [n / 2 for n in range(NUMBER)]}),
    "times as texts": pa.table(PLAIN | {"time": [time.isoformat() for time in TIMES]}),
    "scores": pa.table({"scores": [{"a": 0.25, "b": 0.75}] * NUMBER, "request_id": IDS}),
    "mappings": pa.table(PLAIN).to_pylist(),
}
INVALID = {
    "confidence": PLAIN | {"confidence": [0.5] * 30 + [2.0, -1.0] + [None] * 8},
    "empty names": PLAIN | {"request_id": ["", *IDS[1:]]},
    "long names": PLAIN | {"label": [*LABELS[1:], "x" * 300]},
    "empty tags": PLAIN | {"tag_country": ["", *LABELS[1:]]},
    "both outputs": PLAIN | {"value": [1.0] * NUMBER},
    "a null": PLAIN | {"label": [*LABELS[1:], None]},
    "no number": PLAIN | {"confidence": [float("nan"), float("inf")] * 20},
    "an unknown column": PLAIN | {"colour": IDS},
    "no zone": PLAIN | {"time": [time.replace(tzinfo=None) for time in TIMES]},
    "before 1970": PLAIN | {"time": pa.array([-1] * NUMBER, pa.timestamp("us", "UTC"))},
    "the future": PLAIN | {"time": [*TIMES[1:], datetime(2100, 1, 1, tzinfo=UTC)]},
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Tables of a few rows, in several batches, by column."""
    monkeypatch.setattr(sender, "_WORTH_COLUMNS", 1)
    monkeypatch.setattr(sender, "BATCH_ROWS", 16)


@pytest.fixture
def other(url, database, workspace):
    """A client of another workspace, and its id."""
    with database.writing() as conn:
        id_ = find_or_create_workspace(conn, f"{workspace.name}-other")
        key = create_key(conn, id_, Role.ADMIN)
    with Client(url, key, backoff=SOON) as client:
        yield client, id_


@pytest.fixture
def seen(monkeypatch):
    """The types of bodies that were received."""
    types = []
    original = ingest._form
    monkeypatch.setattr(ingest, "_form", lambda: types.append(original()) or types[-1])
    return types


def by_row(monkeypatch, client, *args, **same):
    with monkeypatch.context() as patch:
        patch.setattr(sender, "_WORTH_COLUMNS", 10**9)
        return client.send_predictions(*args, **same)


@pytest.mark.parametrize("name", [*BY_COLUMN, *BY_ROW])
def test_the_same_is_stored(truthline, other, database, workspace, monkeypatch, seen, name):
    client, id_ = other
    table = BY_COLUMN[name] if name in BY_COLUMN else BY_ROW[name]
    same = {"model": "m", "deployment": 3}
    if "time" not in columns_of(table):
        same["time"] = MOMENT

    mine = truthline.send_predictions(table, **same)
    assert {kind for kind, _ in seen} == {
        "application/vnd.apache.arrow.stream" if name in BY_COLUMN else "application/x-ndjson"
    }
    theirs = by_row(monkeypatch, client, table, **same)
    assert mine == theirs == Verdict(accepted=NUMBER)
    assert stored(database, workspace.id) == stored(database, id_)
    assert truthline.send_predictions(table, **same) == Verdict(duplicates=NUMBER)


def columns_of(table):
    if isinstance(table, list):
        return table[0]
    return table.schema.names if isinstance(table, pa.Table) else table.columns


@pytest.mark.parametrize("name", INVALID)
def test_the_same_is_refused(truthline, other, database, workspace, monkeypatch, name):
    client, id_ = other
    errors = []
    for send in (truthline.send_predictions, lambda *a, **k: by_row(monkeypatch, client, *a, **k)):
        with pytest.raises((InvalidRows, Unloggable)) as caught:
            send(pa.table(INVALID[name]), model="m")
        errors.append(caught.value)

    assert str(errors[0]) == str(errors[1])
    assert type(errors[0]) is type(errors[1])
    assert getattr(errors[0], "problems", None) == getattr(errors[1], "problems", None)
    assert getattr(errors[0], "stored", None) == getattr(errors[1], "stored", None)
    assert stored(database, workspace.id)["predictions"] == stored(database, id_)["predictions"]


def test_truths_too(truthline, database, workspace, seen):
    truthline.send_predictions(pa.table(PLAIN), model="m")
    truths = pd.DataFrame({"request_id": [*IDS, "later"], "label": [*LABELS, "a"]})

    assert truthline.send_feedback(truths, model="m") == Verdict(accepted=41, pending=1)
    assert {kind for kind, _ in seen} == {"application/vnd.apache.arrow.stream"}
    assert len(stored(database, workspace.id)["outcomes"]) == NUMBER


def test_a_server_without_pyarrow_gets_rows(truthline, database, workspace, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "app.api.native.bulk", None)

    assert truthline.send_predictions(pa.table(PLAIN), model="m") == Verdict(accepted=NUMBER)


def test_small_tables_need_no_pyarrow():
    assert rows_in([{"label": "a"}]) == 0
    assert rows_in(pd.DataFrame({"a": [1, 2]})) == 2
