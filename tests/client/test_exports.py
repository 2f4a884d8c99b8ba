"""Exports by the client: into files and tables, complete or not at all."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest
from flask import Response
from pyarrow import parquet
from truthline import Client, NotFound, Unreachable, Verdict

from app.api.native import export
from tests.client.conftest import SOON

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
ROWS = [
    {"request_id": f"r{n}", "label": "ab"[n % 2], "confidence": n / 8, "tag_country": "FR"}
    | {"time": MOMENT + timedelta(minutes=n)}
    for n in range(8)
]


@pytest.fixture
def stored(truthline):
    truthline.send_predictions(ROWS, model="pets")
    truthline.send_feedback([{"request_id": f"r{n}", "label": "a"} for n in range(4)], model="pets")


def test_tables(truthline, stored):
    everything = truthline.export_predictions("pets")
    frame = everything.to_pandas()

    assert frame["requestId"].tolist() == [f"r{n}" for n in range(8)]
    assert frame["time"].tolist() == [pd.Timestamp(row["time"]) for row in ROWS]
    assert frame["tag_country"].tolist() == ["FR"] * 8
    assert pa.Table.from_batches(everything.batches()).equals(everything.to_arrow())
    outcomes = truthline.export_outcomes("pets", wrong=True).to_arrow()
    assert outcomes.column("requestId").to_pylist() == ["r1", "r3"]
    later = truthline.export_predictions(
        start=MOMENT + timedelta(minutes=6), tags={"country": "FR"}
    )
    assert later.to_arrow().num_rows == 2


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.arrow"])
def test_files(truthline, stored, tmp_path, name):
    path = truthline.export_predictions("pets").save(tmp_path / name)

    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.stat().st_mode & 0o777 == 0o644
    if name == "a.parquet":
        assert parquet.read_table(path).num_rows == 8
    elif name != "a.arrow":
        assert len(path.read_text().splitlines()) == 8 + (name == "a.csv")


def test_a_suffix_that_says_nothing(truthline, tmp_path):
    with pytest.raises(ValueError, match="name a format"):
        truthline.export_predictions().save(tmp_path / "a.txt")


def test_what_is_loadable_is_sent_again_as_it_is(truthline, stored):
    again = truthline.export_predictions("pets", loadable=True).to_arrow()
    truths = truthline.export_outcomes("pets", loadable=True).to_pandas()

    loaded = again.select([name for name in again.schema.names if name != "value"])
    assert truthline.send_predictions(loaded) == Verdict(duplicates=8)
    assert truthline.send_feedback(truths.drop(columns="value")) == Verdict(duplicates=4)


def test_what_breaks_off_leaves_no_file(truthline, stored, tmp_path, monkeypatch):
    def breaking(*_, **__):
        def parts():
            yield b"{}\n" * 100_000
            raise BrokenPipeError

        return Response(parts())

    (tmp_path / "a.jsonl").write_text("before")
    monkeypatch.setattr(export, "_exported", breaking)
    for use in ("save", "batches", "to_arrow"):
        exported = truthline.export_predictions("pets")
        with pytest.raises(Unreachable, match="broke off"):
            exported.save(tmp_path / "a.jsonl") if use == "save" else list(getattr(exported, use)())
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["before"]


def test_refusals_are_raised_before_any_row(truthline, url):
    with pytest.raises(NotFound, match="no predictions"):
        truthline.export_predictions("unknown").to_arrow()
    with Client("http://127.0.0.1:1", "tl_any", backoff=SOON) as away, pytest.raises(Unreachable):
        away.export_outcomes().to_pandas()
