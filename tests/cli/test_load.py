"""`truthline load`: files become predictions and truths."""

import gzip
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from app.config import Settings
from app.store.database import Database
from tests.ingest.bulk.told import ndjson, stored

TIMES = [datetime(2026, 3, 1, 10, minute, tzinfo=UTC) for minute in range(4)]
TABLE = pa.table(
    {
        "request": [1, 2, 3, 4],
        "ts": pa.array(TIMES, pa.timestamp("us", "UTC")),
        "prediction": ["yes", "no", "yes", "no"],
        "p": [0.9, 0.8, 0.7, 0.6],
        "actual": ["yes", "yes", None, "no"],
        "income": [1.0, 2.0, 3.0, 4.0],
    }
)
MAPPED = ["--map", "request=request_id", "--map", "ts=time"]
MAPPED += ["--map", "prediction=label", "--map", "p=confidence"]
WRITERS = {
    "f.parquet": parquet.write_table,
    "f.csv": csv.write_csv,
    "f.feather": feather.write_feather,
}


@pytest.fixture
def loaded(command, fresh_database_url):
    """Run the command on a database, and return what it printed."""

    def run(*arguments, code=0):
        done = command("load", *arguments, TRUTHLINE_DATABASE_URL=fresh_database_url)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def rows(fresh_database_url):
    """What is stored there, in the default workspace."""
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield lambda kind="outcomes": stored(database, 1)[kind]
    database.dispose()


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_with_truths_beside_predictions(tmp_path, loaded, rows, name):
    table = TABLE
    if name == "f.csv":
        times = [f"{time:%Y-%m-%d %H:%M:%S}" for time in TIMES]
        table = TABLE.set_column(1, "ts", pa.array(times))
    WRITERS[name](table, str(tmp_path / name))

    done = loaded(tmp_path / name, "--model", "m", "--version", "v1", "--utc", *MAPPED)

    assert f"{name}: predictions: 4 stored" in done.stdout
    assert f"{name}: truths: 3 stored" in done.stdout
    assert "levels:" in done.stdout
    assert "ignored columns: income" in done.stderr
    pairs = [(row[8], row[9], *row[:4]) for row in rows()]
    assert sorted(pairs) == [
        ("1", TIMES[0], "m", "v1", "yes", "yes"),
        ("2", TIMES[1], "m", "v1", "no", "yes"),
        ("4", TIMES[3], "m", "v1", "no", "no"),
    ]


def test_a_repeated_load_stores_nothing_even_without_ids(tmp_path, loaded, rows):
    file = tmp_path / "rows.parquet"
    parquet.write_table(TABLE.drop_columns(["request"]), file)
    arguments = [file, "--model", "m", "--no-refresh", *MAPPED[2:]]
    loaded(*arguments)

    again = loaded(*arguments)
    rest = loaded(*arguments, "--from-row", 3)

    assert "0 stored, 4 duplicates" in again.stdout
    assert "0 stored, 1 duplicates" in rest.stdout
    assert len(rows()) == 3


def test_bad_rows_are_refused_and_named(tmp_path, loaded, rows):
    file = tmp_path / "rows.csv"
    file.write_text("request_id,label,time\nr1,a,2026-03-01T10:00:00\nr2,a,\nr3\n")

    done = loaded(file, "--model", "m", code=1)

    assert "predictions: 1 stored, 2 refused" in done.stdout
    assert "row 0: time must be RFC 3339 with an offset" in done.stderr
    assert "--utc reads such times as UTC" in done.stderr
    assert "row 2: has 1 columns, and the head 3" in done.stderr
    assert len(rows("predictions")) == 1


def test_truths_alone_and_packed_lines(tmp_path, loaded, rows):
    predictions, truths = tmp_path / "p.ndjson.gz", tmp_path / "t.jsonl"
    lines = ndjson([{"model": "m", "requestId": f"r{n}", "value": n / 2} for n in range(3)])
    predictions.write_bytes(gzip.compress(lines))
    truths.write_bytes(ndjson([{"id": f"r{n}", "y": n + 0.5} for n in range(3)]))
    loaded(predictions)

    done = loaded(truths, "--model", "m", "--map", "id=request_id", "--map", "y=truth")

    assert "truths: 3 stored" in done.stdout
    assert [row[5] for row in rows()] == [0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "reason"),
    [
        ("f.txt", b"x", [], "the name must end in one of"),
        ("f.parquet", b"x" * 20, [], "can't be read"),
        ("f.csv", b"a,label\n1,x\n", ["--map", "b=time"], "there is no column 'b'"),
        ("f.csv", b"a,label\n1,x\n", ["--map", "a=speed"], "there is no such member"),
        ("f.csv", b"a,label\n1,x\n", ["--map", "a=label"], "two columns are label"),
        ("f.csv", b"a,label\n1,x\n", ["--map", "a"], "is not COLUMN=MEMBER"),
    ],
)
def test_what_can_not_be_loaded(
    tmp_path, command, shared_settings, name, content, arguments, reason
):
    (tmp_path / name).write_bytes(content)

    url = shared_settings.database_url
    done = command("load", tmp_path / name, *arguments, TRUTHLINE_DATABASE_URL=url)

    assert done.returncode in (1, 2)
    assert reason in done.stderr
