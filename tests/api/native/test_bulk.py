"""Bulk bodies over HTTP: CSV, Arrow, Parquet, and NDJSON that asks for it."""

import gzip
import io
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from backports import zstd

from app.ingest.bulk import chunks
from app.ingest.bulk.formats import ARROW, CSV, NDJSON, PARQUET
from tests.ingest.bulk.told import arrow, ndjson, parquet_file, stored

PREDICTIONS, TRUTHS = "/api/v1/predictions", "/api/v1/feedback"
TIME = datetime(2026, 3, 1, 10, tzinfo=UTC)
TABLE = pa.table(
    {
        "model": ["m", "m", "m"],
        "request_id": ["r1", "r2", "r3"],
        "time": pa.array([TIME] * 3, pa.timestamp("us", "UTC")),
        "label": ["a", "b", "a"],
        "confidence": [0.5, 0.25, 1.0],
        "tag_country": ["FR", None, "DE"],
    }
)
ROWS = [
    {"model": "m", "requestId": "r1", "time": "2026-03-01T10:00:00Z", "label": "a"}
    | {"confidence": 0.5, "tags": {"country": "FR"}},
    {"model": "m", "requestId": "r2", "time": "2026-03-01T10:00:00Z", "label": "b"}
    | {"confidence": 0.25},
    {"model": "m", "requestId": "r3", "time": "2026-03-01T10:00:00Z", "label": "a"}
    | {"confidence": 1.0, "tags": {"country": "DE"}},
]
CSV_BODY = b"""model,request_id,time,label,confidence,tag_country
m,r1,2026-03-01T10:00:00Z,a,0.5,FR
m,r2,2026-03-01T10:00:00Z,b,0.25,
"m",r3,2026-03-01T10:00:00Z,a,1,DE
"""
BODIES = {
    CSV: CSV_BODY,
    ARROW: arrow(TABLE),
    PARQUET: parquet_file(TABLE),
    NDJSON: ndjson(ROWS),
}
STORED = {"accepted": 3, "duplicates": 0, "pending": 0, "refused": 0, "errors": []}


def post(client, body, media_type, path=PREDICTIONS, **headers):
    return client.post(
        f"{path}?bulk=true", data=body, headers={"Content-Type": media_type} | headers
    )


def detail(answer):
    return answer.json["detail"]


@pytest.mark.parametrize("media_type", BODIES)
def test_all_formats_store_the_same(database, client, workspace, media_type):
    assert client.post(PREDICTIONS, json={"predictions": ROWS}).status_code == 200
    expected = stored(database, workspace.id)
    again = post(client, BODIES[media_type], media_type)

    assert again.json == STORED | {"accepted": 0, "duplicates": 3}
    assert stored(database, workspace.id) == expected


@pytest.mark.parametrize("media_type", BODIES)
def test_rows_are_stored_in_any_format(database, client, workspace, media_type):
    answer = post(client, BODIES[media_type], media_type)

    assert answer.json == STORED, answer.text
    [first, *_] = stored(database, workspace.id)["predictions"]
    assert first == (
        *("", "", "m", "", "", "", "", '{"country": "DE"}', "a", None, 1.0, None),
        *(True, True, False, "r3", 0, TIME),
    )


def test_a_bad_row_costs_no_good_one(client):
    body = CSV_BODY.replace(b"b,0.25", b"b,2").replace(b'"m",r3', b'"m",') + b"m,r4\n"

    answer = post(client, body, CSV)

    assert answer.json == {
        "accepted": 2,
        "duplicates": 0,
        "pending": 0,
        "refused": 2,
        "errors": [
            {"index": 1, "field": "confidence", "reason": "must be at most 1.0"},
            {"index": 3, "field": "", "reason": "has 2 columns, and the head 6"},
        ],
    }


def test_truths_are_joined(database, client, workspace):
    post(client, BODIES[ARROW], ARROW)
    truths = pa.table({"model": ["m"] * 3, "request_id": ["r1", "r2", "later"], "label": ["a"] * 3})

    answer = post(client, parquet_file(truths), PARQUET, TRUTHS)

    assert answer.json == STORED | {"pending": 1}
    pairs = [(row[8], row[2], row[3]) for row in stored(database, workspace.id)["outcomes"]]
    assert sorted(pairs) == [("r1", "a", "a"), ("r2", "b", "a")]
    later = ndjson([ROWS[0] | {"requestId": "later"}])
    assert post(client, later, NDJSON).json["accepted"] == 1
    assert len(stored(database, workspace.id)["outcomes"]) == 3


def test_ndjson_is_a_batch_unless_it_asks(client):
    body = ndjson([ROWS[0], ROWS[1] | {"confidence": 2}])

    whole = client.post(PREDICTIONS, data=body, headers={"Content-Type": NDJSON})
    bulk = post(client, body, NDJSON)

    assert whole.status_code == 422
    assert (bulk.json["accepted"], bulk.json["refused"]) == (1, 1)
    assert bulk.json["errors"] == whole.json["errors"]


def test_a_body_is_stored_in_chunks_with_one_index(database, client, workspace, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    rows = [ROWS[0] | {"requestId": f"r{n}"} for n in range(5)]
    rows[4] = rows[4] | {"label": ""}

    answer = post(client, ndjson(rows), NDJSON)

    assert answer.json == STORED | {
        "accepted": 4,
        "refused": 1,
        "errors": [{"index": 4, "field": "label", "reason": "must not be empty"}],
    }
    table = pa.concat_tables([TABLE, TABLE])
    assert post(client, arrow(table), ARROW).json["duplicates"] == 6


def test_a_key_makes_a_repeated_body_change_nothing(client, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    body = arrow(TABLE.drop_columns("request_id"))
    key = {"Idempotency-Key": "k"}

    first = post(client, body, ARROW, **key)
    again = post(client, body, ARROW, **key)
    other = post(client, BODIES[ARROW], ARROW, **key)

    assert first.json == STORED
    assert again.json == STORED | {"accepted": 0, "duplicates": 3}
    assert other.status_code == 422
    assert "used for a different" in detail(other)


def test_a_broken_end_keeps_what_was_stored(client, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    body = arrow(TABLE, compression=None)

    answer = post(client, body[: len(body) // 2], ARROW)
    batches = io.BytesIO()
    with pa.ipc.new_stream(batches, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    broken = post(client, batches.getvalue()[:-600], ARROW)

    assert (answer.status_code, detail(answer)) == (400, "the Arrow stream is incomplete")
    assert broken.status_code == 400


@pytest.mark.parametrize(
    ("media_type", "body", "reason"),
    [
        (CSV, b"", "the body is not CSV that can be read: Empty CSV file"),
        (CSV, b"model,label\n", "the body has no rows"),
        (CSV, b"model,speed\nm,1\n", "the column 'speed' is not a known one"),
        (CSV, b"model,requestId,request_id\nm,1,1\n", "the column 'request_id' is given twice"),
        (ARROW, b"", "the body is not an Arrow stream that can be read"),
        (ARROW, b"x" * 100, "metadata of a message may have at most"),
        (PARQUET, b"PAR1" * 10, "the body is not Parquet that can be read"),
        (NDJSON, b"\n\n", "the body has no rows"),
    ],
)
def test_what_is_no_such_body(client, media_type, body, reason):
    answer = post(client, body, media_type)

    assert answer.status_code in (400, 413), answer.text
    assert reason in detail(answer)


def test_texts_that_are_not_utf8(client):
    body = CSV_BODY.replace(b"m,r2", b"\xff,r2")

    assert post(client, body, CSV).json["errors"] == [
        {"index": 1, "field": "model", "reason": "is not UTF-8"}
    ]
    line = ndjson(ROWS).replace(b'"r2"', b'"\xff"')
    assert post(client, line, NDJSON).json["errors"] == [
        {"index": 1, "field": "", "reason": "is not UTF-8"}
    ]
    latin = pa.array([b"\xff"], pa.binary()).view(pa.string())
    assert post(client, arrow(pa.table({"model": latin})), ARROW).status_code == 400


def test_zstd(client):
    answer = post(client, zstd.compress(CSV_BODY), CSV, **{"Content-Encoding": "zstd"})

    assert answer.json == STORED


def test_gzip(client):
    answer = post(client, gzip.compress(CSV_BODY), CSV, **{"Content-Encoding": "gzip"})

    assert answer.json == STORED


def test_without_pyarrow_the_answer_names_the_extra(client, monkeypatch):
    for name in [
        n for n in sys.modules if n.startswith(("app.ingest.bulk", "app.api.native.bulk"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.compute", None)

    answer = post(client, BODIES[ARROW], ARROW)

    assert answer.status_code == 415
    assert "truthline-server[bulk]" in detail(answer)
