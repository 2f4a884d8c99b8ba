"""Answers with buckets as Arrow and Parquet: the numbers of their JSON, for every route."""

import io
import json
from datetime import datetime

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from app.api.http.columns import ARROW, PARQUET
from tests.api.given import MODEL, given_pairs
from tests.api.test_every_route import NATIVE_DAY, QUESTIONS, given_something

WITH_BUCKETS = [
    f"/api/v1/metrics/{name}"
    for name in (
        *("classification", "regression", "scores", "corrected-accuracy", "label-delay"),
        *("steps", "drift"),
    )
]
HOURLY = MODEL | NATIVE_DAY | {"interval": "1h"}


def table(client, path, query, media_type=ARROW):
    answer = client.get(path, query_string=query, headers={"Accept": media_type})
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == media_type
    assert "Accept" in answer.headers["Vary"]
    if media_type == ARROW:
        return pa.ipc.open_stream(answer.data).read_all()
    return parquet.read_table(io.BytesIO(answer.data))


def flat(bucket, above=""):
    """A bucket as a row, said once more."""
    row = {}
    for name, value in bucket.items():
        if isinstance(value, dict):
            row |= flat(value, f"{above}{name}.")
        else:
            row[above + name] = value
    return row


def plain(row):
    """Moments as JSON has them; columns of objects that are null."""
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def same_rows(found, buckets):
    for row, bucket in zip(map(plain, found.to_pylist()), map(flat, buckets), strict=True):
        assert {name: row[name] for name in bucket if name in row} == {
            name: value for name, value in bucket.items() if name in row
        }
        missing = bucket.keys() - row.keys()
        assert all(bucket[name] is None for name in missing)  # an object that is null
        assert all(row[name] is None for name in row.keys() - bucket.keys())


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("path", WITH_BUCKETS)
def test_buckets_are_rows(client, path, media_type):
    given_something(client)
    query = QUESTIONS[path] | ({} if path.endswith("steps") else {"interval": "6h"})
    as_json = client.get(path, query_string=query).json

    found = table(client, path, query, media_type)
    assert found.num_rows == len(as_json["buckets"]) > 0
    same_rows(found, as_json["buckets"])
    assert pa.types.is_timestamp(found.schema.field("startTime").type)
    rest = json.loads(found.schema.metadata[b"truthline"])
    assert rest.keys() == as_json.keys() - {"buckets"}


def test_what_is_nested(client):
    given_pairs(client, [("a", "a"), ("a", "b"), ("b", "b")])
    query = HOURLY | {"interval": "12h", "confidence": "0.9"}
    found = table(client, WITH_BUCKETS[0], query)
    buckets = client.get(WITH_BUCKETS[0], query_string=query).json["buckets"]

    same_rows(found, buckets)
    names = found.schema.names
    assert {"accuracy", "intervals.accuracy.low", "intervals.accuracy.high"} <= set(names)
    assert found.column("confusionMatrix").to_pylist() == [b["confusionMatrix"] for b in buckets]
    of_classes = pl.from_arrow(found)["classes"].explode().struct.unnest()
    assert of_classes["label"].drop_nulls().to_list() == ["a", "b"]
    assert found.to_pandas()["accuracy"].dropna().tolist() == [2 / 3]


def test_parts_are_rows_too(client):
    given = {"FR": [("a", "a")] * 3, "DE": [("a", "b")] * 2, "US": [("b", "b")]}
    for country, pairs in given.items():
        given_pairs(client, pairs, part={"tags": {"country": country}, "version": country})
    query = HOURLY | {"interval": "12h", "groupBy": "country", "groupLimit": "1"}
    answer = client.get(WITH_BUCKETS[0], query_string=query).json

    rows = table(client, WITH_BUCKETS[0], query).to_pylist()
    n = {}
    for row in rows:
        key = (row["part"], row["group"])
        n[key] = n.get(key, 0) + row["n"]
    assert n == {("whole", None): 6, ("group", "FR"): 3, ("remainder", None): 3}
    assert answer["remainder"]["n"] == 3


def test_who_asks_for_anything_gets_json(client):
    given_pairs(client, [("a", "a")])
    either = f"application/json, {ARROW};q=0.5"
    for accept in (None, "*/*", "application/json", either, "text/html"):
        headers = {} if accept is None else {"Accept": accept}
        answer = client.get(WITH_BUCKETS[0], query_string=HOURLY, headers=headers)
        assert answer.mimetype == "application/json", accept
    refused = client.get(WITH_BUCKETS[0], query_string={}, headers={"Accept": ARROW})
    assert refused.mimetype == "application/problem+json"


def test_the_reference_lists_them(client):
    paths = client.get("/openapi.json").json["paths"]
    tables = {
        path
        for path, item in paths.items()
        if ARROW in item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    }
    assert tables == {*WITH_BUCKETS, "/api/v1/export/predictions", "/api/v1/export/outcomes"}
