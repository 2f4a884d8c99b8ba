"""Bodies that claim or unpack to far more than they have: rejected, in little memory."""

import io
import resource
import struct
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from app.errors import InvalidInput, TooLarge
from app.ingest.bulk import formats, messages
from app.ingest.bulk.checked import PREDICTIONS
from app.ingest.bulk.formats import ARROW, NDJSON, PARQUET, read_chunks
from app.ingest.inferences import Prediction
from tests.ingest.bulk.told import arrow, parquet_file

MEBIBYTE = 1024 * 1024
ROOM = 150 * MEBIBYTE  # what reading may need


def read(media_type, body):
    """Read a body completely; returns the number of chunks."""
    chunks = read_chunks(media_type, io.BytesIO(body), Prediction, spool_bytes=64 * MEBIBYTE)
    with little_memory():
        return sum(1 for _ in chunks)


@contextmanager
def little_memory():
    """Fails an allocation beyond ROOM."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Bombs then need not be large."""
    monkeypatch.setattr(messages, "MAX_MESSAGE", 8 * MEBIBYTE)
    monkeypatch.setattr(messages, "MAX_DICTIONARIES", 8 * MEBIBYTE)
    monkeypatch.setattr(formats, "UNPACK_ROOM_BYTES", 64 * MEBIBYTE)


def zeros(size):
    """A column that packs to almost nothing."""
    return pa.table({"model": pa.array([b"\0" * size]).cast(pa.string())})


def test_an_arrow_message_that_unpacks_to_too_much():
    body = arrow(zeros(300 * MEBIBYTE), compression="zstd")
    assert len(body) < MEBIBYTE

    with pytest.raises(TooLarge, match="unpacked too"):
        read(ARROW, body)


def test_an_arrow_message_that_announces_too_much():
    body = arrow(zeros(1000), compression=None)
    lengths = [struct.pack("<q", size) for size in range(1000, 1200, 8) if size > 1000]
    at = next(at for length in lengths if (at := body.find(length, 100)) > 0)
    lying = body[:at] + struct.pack("<q", 2**40) + body[at + 8 :]

    with pytest.raises(TooLarge, match="may have at most"):
        read(ARROW, lying)


def test_arrow_with_more_rows_than_bits():
    batch = pa.table({"model": pa.nulls(1_000_000_000)})

    with pytest.raises(InvalidInput, match="more rows than it has"):
        read(ARROW, arrow(batch))


def test_dictionaries_that_grow_without_end():
    out = io.BytesIO()
    schema = pa.schema({"label": pa.dictionary(pa.int32(), pa.string())})
    with pa.ipc.new_stream(out, schema) as writer:
        for number in range(100):
            values = pa.array([str(number) + "x" * (2 * MEBIBYTE)])
            batch = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), values)
            writer.write_batch(pa.record_batch([batch], schema=schema))

    with pytest.raises(TooLarge, match="dictionaries"):
        read(ARROW, out.getvalue())


def test_a_dictionary_value_that_all_rows_repeat():
    value = "x" * (2 * MEBIBYTE)
    codes = pa.array(np.zeros(10_000, np.int32))
    column = pa.DictionaryArray.from_arrays(codes, [value])
    table = pa.table({"model": column, "request_id": column, "time": column})

    with little_memory():
        [chunk] = read_chunks(ARROW, io.BytesIO(arrow(table)), Prediction, spool_bytes=0)
        _, errors = chunk.checked(PREDICTIONS)
    assert len(errors) == 10_000
    assert errors[0].reason == "must have at most 200 characters"


@pytest.mark.parametrize("cut", [3, 7, 40, 200, -9])
def test_arrow_that_is_cut_off_or_flipped(cut):
    whole = arrow(zeros(1000), compression="lz4")

    with pytest.raises((InvalidInput, TooLarge)):
        read(ARROW, whole[:cut])


def test_any_flipped_bytes_of_arrow_are_an_error_of_ours():
    table = pa.table({"model": ["m"] * 20, "label": ["a", None] * 10, "value": [1.0] * 20})
    whole = bytearray(arrow(table))
    random = np.random.default_rng(7)
    for _ in range(300):
        broken = whole.copy()
        for at in random.integers(0, len(whole), 3):
            broken[at] = random.integers(0, 256)
        with suppress(InvalidInput, TooLarge):
            read(ARROW, bytes(broken))


def test_parquet_whose_page_unpacks_to_too_much():
    body = parquet_file(zeros(200 * MEBIBYTE), compression="zstd", use_dictionary=False)
    assert len(body) < MEBIBYTE

    with pytest.raises((TooLarge, InvalidInput)):
        read(PARQUET, body)


def test_parquet_that_repeats_a_large_value():
    column = pa.array(["x" * MEBIBYTE]).take(pa.array(np.zeros(300, np.int64)))
    body = parquet_file(pa.table({"label": column}), compression="zstd")
    assert len(body) < MEBIBYTE

    with pytest.raises((TooLarge, InvalidInput)):
        read(PARQUET, body)


def test_parquet_of_a_billion_equal_rows():
    out = io.BytesIO()
    piece = pa.table({"model": pa.array(["m"]).take(pa.array(np.zeros(1_000_000, np.int64)))})
    with parquet.ParquetWriter(out, piece.schema, write_statistics=False) as writer:
        for _ in range(10):
            writer.write_table(piece)

    with pytest.raises(InvalidInput, match="far more rows"):
        read(PARQUET, out.getvalue())


def test_parquet_beyond_its_bound():
    with pytest.raises(TooLarge, match="a Parquet body may have at most"):
        read(PARQUET, b"PAR1" * (17 * MEBIBYTE))


def test_any_flipped_bytes_of_parquet_are_an_error_of_ours():
    whole = bytearray(parquet_file(pa.table({"model": ["m"] * 20, "value": [1.0] * 20})))
    random = np.random.default_rng(7)
    for _ in range(4):  # each starts a process
        broken = whole.copy()
        for at in random.integers(4, len(whole), 5):
            broken[at] = random.integers(0, 256)
        with suppress(InvalidInput, TooLarge):
            read(PARQUET, bytes(broken))


def test_a_line_without_end():
    with pytest.raises(TooLarge, match="a line may have"):
        read(NDJSON, b"x" * (20 * MEBIBYTE))
