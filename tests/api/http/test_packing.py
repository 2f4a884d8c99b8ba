"""Which responses are packed, and that they say the same."""

import gzip

import brotli
import pytest
from backports import zstd

from tests.api.given import MODEL, given_pairs, predict, prediction, verdict

UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstd.decompress}
DAY = {"startTime": "2025-02-25T00:00:00Z", "endTime": "2025-02-26T00:00:00Z"}
METRICS = MODEL | DAY | {"interval": "1h"}
CLASSIFICATION = "/api/v1/metrics/classification"


def asked(client, path=CLASSIFICATION, query=METRICS, encoding="identity", **how):
    headers = {"Accept-Encoding": encoding} | how.pop("headers", {})
    return client.get(path, query_string=query, headers=headers, buffered=True, **how)


@pytest.fixture
def stored(client):
    """What makes an answer long enough."""
    given_pairs(client, [("a", "a"), ("a", "b")])


@pytest.mark.parametrize("encoding", UNPACK)
def test_a_packed_answer_says_the_same(client, stored, encoding):
    now = METRICS | {"asOf": asked(client).json["freshness"]["asOf"]}
    plain, packed = asked(client, query=now), asked(client, query=now, encoding=encoding)

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == encoding
    assert len(packed.data) == packed.content_length < len(plain.data) / 4
    assert UNPACK[encoding](packed.data) == plain.data
    assert packed.mimetype == plain.mimetype
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate", "gzip"),  # requests and httpx
        ("gzip, deflate, br, zstd", "zstd"),  # browsers
        ("br;q=1.0, gzip;q=0.5", "br"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("gzip;q=0, *;q=0", None),
        ("identity", None),
        ("compress", None),
    ],
)
def test_the_client_chooses(client, stored, accepted, chosen):
    assert asked(client, encoding=accepted).headers.get("Content-Encoding") == chosen


@pytest.mark.parametrize("encoding", UNPACK)
def test_exports_are_packed_as_they_are_written(client, encoding):
    rows = [prediction(requestId=f"r{n}", label="a") for n in range(2_000)]
    verdict(predict(client, *rows))
    path = "/api/v1/export/predictions"
    plain, packed = asked(client, path, MODEL), asked(client, path, MODEL, encoding)

    assert packed.headers["Content-Encoding"] == encoding
    assert packed.content_length is None
    unpacked = UNPACK[encoding](packed.data)
    assert unpacked == plain.data
    assert len(packed.data) < len(plain.data) / 4
    parquet = asked(client, path, MODEL | {"format": "parquet"}, encoding)
    assert "Content-Encoding" not in parquet.headers  # its columns are packed


def test_short_answers_are_not_packed(client):
    assert "Content-Encoding" not in asked(client, "/livez", {}, "gzip").headers


def test_nothing_is_packed_next_to_a_secret(app, client, workspace, stored):
    """Neither tokens, nor what another site can ask for with a session."""
    long = {"refresh_token": workspace.admin_key, "padding": "x" * 5000}
    token = client.post("/api/v1/auth/refresh", json=long, headers={"Accept-Encoding": "gzip"})
    assert token.status_code == 200
    assert "Content-Encoding" not in token.headers

    client.set_cookie("truthline", "a session")
    assert "Content-Encoding" not in asked(client, encoding="gzip").headers


def test_files_keep_their_etag(client):
    first = asked(client, "/docs/assets/swagger-ui.css", {}, "gzip")
    again = asked(
        client,
        "/docs/assets/swagger-ui.css",
        {},
        "gzip",
        headers={"If-None-Match": first.headers["ETag"]},
    )

    assert "Content-Encoding" not in first.headers
    assert again.status_code == 304
