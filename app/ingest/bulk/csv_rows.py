"""CSV with a head: every value is a text, and an empty one is none."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from app.errors import RowError
from app.ingest.bulk.chunks import parts_of
from app.ingest.bulk.columns import Flags, Integers

BLOCK_BYTES = 8 * 1024 * 1024  # a row has to fit into one


@dataclass(frozen=True, slots=True)
class CsvRows:
    """Some rows, each with its position in the body, and the errors of those that can't be read."""

    batch: pa.RecordBatch
    index: Integers
    unreadable: Sequence[RowError]


def csv_rows(read: Callable[[int], bytes]) -> Iterator[CsvRows]:
    """The rows of CSV; the first part has the columns even if there are none.

    Raises:
        ArrowInvalid: it is no CSV, or a row is too long.
    """
    odd: dict[int, RowError] = {}

    def skip(row: csv.InvalidRow) -> str:
        index = row.number - 2  # counted from 1, and the head is the first
        reason = f"has {row.actual_columns} columns, and the head {row.expected_columns}"
        odd[index] = RowError(index, "", reason)
        return "skip"

    source = _Readable(read)
    reader = csv.open_csv(
        pa.PythonFile(source, "r"),
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=csv.ConvertOptions(
            default_column_type=pa.binary(), null_values=[""], strings_can_be_null=True
        ),
    )
    try:
        start = 0
        for part in (part for batch in reader for part in parts_of(batch)):
            index = _positions(start, part.num_rows, odd)
            start = int(index[-1]) + 1
            skipped = [odd.pop(at) for at in sorted(odd) if at < start]
            readable, texts, bad = _decoded(part, index)
            yield CsvRows(texts, index[readable], [*skipped, *bad])
        nothing = _as_texts(pa.RecordBatch.from_pylist([], reader.schema))
        yield CsvRows(nothing, np.empty(0, np.int64), list(odd.values()))
    finally:  # a thread of pyarrow reads ahead: at the end of the process it would abort it
        source.end()
        with suppress(Exception):  # has been raised already
            deque(reader, maxlen=0)


class _Readable:
    """A body as a file that pyarrow reads."""

    closed = False

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read

    def end(self) -> None:
        """Nothing more is read."""
        self.read = lambda _size: b""


def _positions(start: int, number: int, skipped: Mapping[int, RowError]) -> Integers:
    """The positions of rows, between those that were skipped."""
    end = start + number + sum(1 for at in skipped if at >= start)
    candidates = np.arange(start, end)
    positions: Integers = candidates[~np.isin(candidates, list(skipped))][:number]
    return positions


def _decoded(
    batch: pa.RecordBatch, index: Integers
) -> tuple[Flags, pa.RecordBatch, list[RowError]]:
    """Which rows are UTF-8, those as texts, and the errors of the others."""
    try:
        return np.ones(batch.num_rows, bool), _as_texts(batch), []
    except pa.ArrowInvalid:
        bad = {
            at: name
            for name, column in zip(batch.schema.names, batch, strict=True)
            for at, value in enumerate(column.to_pylist())
            if value is not None and not _is_utf8(value)
        }
    readable = np.ones(batch.num_rows, bool)
    readable[list(bad)] = False
    errors = [RowError(int(index[at]), bad[at], "is not UTF-8") for at in sorted(bad)]
    return readable, _as_texts(batch.filter(pa.array(readable))), errors


def _as_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [column.cast(pa.string()) for column in batch]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
