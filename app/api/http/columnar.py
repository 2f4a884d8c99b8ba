"""Tables of any length as Arrow and Parquet, written block by block. Needs pyarrow.

Of an Arrow stream and of a Parquet file the end says that it is complete: neither is written unless
all blocks were.
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa
from pyarrow import parquet

from app.api.http.columns import Blocks, Layout, Type

# Enough for small files and quick scans; what they become is in memory at once.
ROW_GROUP_ROWS = 100_000
DETECTIONS = pa.list_(pa.struct([("label", pa.string()), ("confidence", pa.float64())]))
TYPES: Mapping[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.TIME: pa.timestamp("us", "UTC"),
    Type.NUMBER: pa.float64(),
    Type.INTEGER: pa.int64(),
    Type.FLAG: pa.bool_(),
    Type.DETECTIONS: DETECTIONS,
}


class Written:
    """A file that keeps what was written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def take(self) -> bytes:
        """Remove and return what was written."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def write_arrow(layout: Layout, blocks: Blocks, about: Mapping[str, str]) -> Iterator[bytes]:
    """An Arrow IPC stream; `about` is in the metadata of its schema."""
    return stream_of(_schema(layout, about), _batches(layout, blocks))


def write_parquet(layout: Layout, blocks: Blocks, about: Mapping[str, str]) -> Iterator[bytes]:
    """A Parquet file; `about` is in the metadata of its schema."""
    return file_of(_schema(layout, about), _batches(layout, blocks))


def stream_of(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Record batches as an Arrow IPC stream."""
    sink = Written()
    writer = pa.ipc.new_stream(sink, schema)
    yield sink.take()
    for batch in batches:
        writer.write_batch(batch.cast(schema))
        yield sink.take()
    writer.close()
    yield sink.take()


def file_of(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Record batches as a Parquet file, in row groups of ROW_GROUP_ROWS or a block more."""
    sink = Written()
    writer = parquet.ParquetWriter(sink, schema, compression="zstd")
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch.cast(schema))
        if sum(one.num_rows for one in held) >= ROW_GROUP_ROWS:
            writer.write_table(pa.Table.from_batches(held), row_group_size=2 * ROW_GROUP_ROWS)
            held.clear()
            yield sink.take()
    if held:
        writer.write_table(pa.Table.from_batches(held))
    writer.close()
    yield sink.take()


def _schema(layout: Layout, about: Mapping[str, str]) -> pa.Schema:
    types = [TYPES[column.type] for column in layout.columns] + [pa.string()] * len(layout.tags)
    return pa.schema(list(zip(layout.names, types, strict=True)), metadata=dict(about))


def _batches(layout: Layout, blocks: Blocks) -> Iterator[pa.RecordBatch]:
    schema = _schema(layout, {})
    for block in blocks:
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(block.with_tags(layout), schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
