"""Files of rows in any columnar format, by the name's ending, in parts of a chunk's size."""

import gzip
import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import json, parquet

from app.errors import InvalidInput, RowError
from app.ingest.bulk.chunks import CHUNK_ROWS, parts_of
from app.ingest.bulk.columns import Integers
from app.ingest.bulk.csv_rows import csv_rows
from app.ingest.bulk.formats import reason_of

JSON_BLOCK_BYTES = 8 * 1024 * 1024
_SAMPLE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilePart:
    """Some rows of a file, each with its position; `done` is the share of the file that is read."""

    batch: pa.RecordBatch
    index: Integers
    unreadable: Sequence[RowError]
    done: float
    texts: bool = False  # whether every value is a text

    @property
    def end(self) -> int:
        """The position after the last row."""
        ends = [int(self.index[-1])] if len(self.index) else []
        return max([*ends, *(error.index for error in self.unreadable)], default=-1) + 1

    def since(self, row: int) -> "FilePart | None":
        """The rows from this position on; None if there are none."""
        if self.end <= row:
            return None
        kept = int(np.searchsorted(self.index, row))
        unreadable = [error for error in self.unreadable if error.index >= row]
        rest = (self.batch.slice(kept), self.index[kept:], unreadable)
        return FilePart(*rest, self.done, self.texts)


def read_file(path: Path) -> Generator[FilePart]:
    """The rows of a file: Parquet, CSV, NDJSON or Arrow, the last three also compressed with gzip.

    Raises:
        InvalidInput: its name has another ending, or it isn't what its name says.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = suffixes[-1] if suffixes else ""
    if packed := ending == ".gz":
        ending = suffixes[-2] if len(suffixes) > 1 else ""
    if ending not in _READERS:
        known = ", ".join(_READERS)
        raise InvalidInput(f"{path}: the name must end in one of {known}")
    try:
        with _opened(path, packed=packed) as (file, done):
            yield from _READERS[ending](file, done)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InvalidInput(f"{path} can't be read: {reason_of(error)}") from None


Done = Callable[[], float]


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[tuple[IO[bytes], Done]]:
    size = max(1, path.stat().st_size)
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        yield file, lambda: raw.tell() / size  # type: ignore[misc] # both are binary files


def fingerprint(path: Path) -> str:
    """Tells files of equal names apart, by their size and ends."""
    with path.open("rb") as file:
        digest = hashlib.sha256(str(size := path.stat().st_size).encode())
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]


def _of_csv(file: IO[bytes], done: Done) -> Iterator[FilePart]:
    for rows in csv_rows(file.read):
        yield FilePart(rows.batch, rows.index, rows.unreadable, done(), texts=True)


def _of_json(file: IO[bytes], done: Done) -> Iterator[FilePart]:
    options = json.ReadOptions(use_threads=False, block_size=JSON_BLOCK_BYTES)
    return _numbered(json.open_json(file, read_options=options), lambda _rows: done())


def _of_arrow_stream(file: IO[bytes], done: Done) -> Iterator[FilePart]:
    return _numbered(pa.ipc.open_stream(file), lambda _rows: done())


def _of_arrow(file: IO[bytes], done: Done) -> Iterator[FilePart]:
    """Arrow's file format, or a stream under its name."""
    start = file.read(6)
    file.seek(0)
    if start != b"ARROW1":
        return _of_arrow_stream(file, done)
    reader = pa.ipc.open_file(file)
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    return _numbered(batches, lambda _rows: done())


def _of_parquet(file: IO[bytes], _done: Done) -> Iterator[FilePart]:
    source = parquet.ParquetFile(file, pre_buffer=False)
    number = max(1, source.metadata.num_rows)
    batches = source.iter_batches(batch_size=CHUNK_ROWS, use_threads=False)
    return _numbered(batches, lambda rows: rows / number)


def _numbered(
    batches: Iterator[pa.RecordBatch], done: Callable[[int], float]
) -> Iterator[FilePart]:
    start = 0
    for part in (part for batch in batches for part in parts_of(batch)):
        index = np.arange(start, start + part.num_rows)
        start += part.num_rows
        yield FilePart(part, index, (), done(start))


_READERS: dict[str, Callable[[IO[bytes], Done], Iterator[FilePart]]] = {
    ".parquet": _of_parquet,
    ".pq": _of_parquet,
    ".csv": _of_csv,
    ".ndjson": _of_json,
    ".jsonl": _of_json,
    ".arrow": _of_arrow,
    ".arrows": _of_arrow_stream,
    ".feather": _of_arrow,
}
