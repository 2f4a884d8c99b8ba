"""Chunks of a body: lines of JSON, and record batches of any columnar format."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa

from app.errors import RowError, TooLarge
from app.ingest.bulk.checked import Checked, Columns, Kind, Row, checked_singly, examined
from app.ingest.bulk.columns import Integers
from app.ingest.bulk.members import Layout, Members
from app.ingest.fields import read_field
from app.ingest.strict_json import decode, evidently_distinct
from app.ingest.validation_errors import UNREADABLE, rejection_of

# Enough that a transaction's own cost is small; all that a chunk becomes is in memory at once.
CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a columnar format."""

    batch: pa.RecordBatch
    layout: Layout
    index: Integers  # the position of each row in its body
    unreadable: Sequence[RowError] = ()  # rows that are in no batch

    @classmethod
    def at(cls, start: int, batch: pa.RecordBatch, layout: Layout) -> "Batch":
        """A batch whose first row is at this position."""
        return cls(batch, layout, np.arange(start, start + batch.num_rows))

    @property
    def size(self) -> int:
        """The number of rows."""
        rows: int = self.batch.num_rows
        return rows + len(self.unreadable)

    def digest(self) -> bytes:
        """Equal for equal content."""
        digest = hashlib.sha256()
        with pa.ipc.new_stream(_Hashed(digest.update), self.batch.schema) as writer:
            writer.write_batch(self.batch)
        return digest.digest()

    def checked(self, kind: Kind[Row, Columns]) -> Checked[Columns, Row]:
        """The valid rows, and the errors of the others."""
        members = Members(self.batch, self.layout)
        row_at = partial(_row, kind, members)
        if members.column("detections") is not None:
            read = [partial(row_at, place) for place in range(members.number)]
            return checked_singly(kind, self.index.tolist(), read, self.unreadable)
        columns, doubtful = kind.of_batch(members, self.index)
        errors = list(self.unreadable)
        return examined(kind, columns, doubtful, row_at, errors), errors


def _row(kind: Kind[Row, Columns], members: Members, place: int) -> Row:
    return msgspec.convert(members.row(place), kind.row_type, dec_hook=read_field)


class _Hashed:
    """A file to which everything is written, and of which nothing is kept."""

    closed = False

    def __init__(self, update: object) -> None:
        self.write = update

    def flush(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of JSON, one row each."""

    start: int
    lines: list[bytes]

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.lines)

    def digest(self) -> bytes:
        """Equal for equal content."""
        return hashlib.sha256(b"\n".join(self.lines)).digest()

    def checked(self, kind: Kind[Row, Columns]) -> Checked[Columns, Row]:
        """The valid rows, and the errors of the others."""
        rows, index, errors = self._parsed(kind)
        if any(getattr(row, "detections", None) is not None for row in rows):
            read = [partial(rows.__getitem__, place) for place in range(len(rows))]
            return checked_singly(kind, index, read, errors)
        columns, doubtful = kind.of_structs(rows, np.array(index, np.int64))
        return examined(kind, columns, doubtful, rows.__getitem__, errors), errors

    def _parsed(self, kind: Kind[Row, Columns]) -> tuple[list[Row], Sequence[int], list[RowError]]:
        """Rows of the right type, the position of each, and the errors of the others."""
        body = b"\n".join(self.lines)
        try:
            rows = _decoder(kind.row_type).decode_lines(body)
        except UNREADABLE:
            return self._one_by_one(kind)
        flat = body.count(b"{") == len(rows)
        if len(rows) != len(self.lines) or not evidently_distinct(self.lines, body, flat=flat):
            return self._one_by_one(kind)
        return rows, range(self.start, self.start + len(rows)), []

    def _one_by_one(
        self, kind: Kind[Row, Columns]
    ) -> tuple[list[Row], Sequence[int], list[RowError]]:
        rows: list[Row] = []
        places: list[int] = []
        errors: list[RowError] = []
        for index, line in enumerate(self.lines, self.start):
            try:
                rows.append(decode(line, kind.row_type))
                places.append(index)
            except UNREADABLE as error:
                errors.append(RowError(index, *rejection_of(error)))
        return rows, places, errors


def _decoder(row_type: type[Row]) -> msgspec.json.Decoder[Row]:
    return msgspec.json.Decoder(row_type, dec_hook=read_field)


def chunks_of_batches(batches: Iterable[pa.RecordBatch], layout: Layout) -> Iterator[Batch]:
    """Batches of any sizes as chunks whose bounds depend on the content alone."""
    start, waiting = 0, list[pa.RecordBatch]()
    for part in (part for batch in batches for part in parts_of(batch)):
        if waiting and not _fits(waiting, part):
            yield Batch.at(start, _joined(waiting), layout)
            start, waiting = start + sum(b.num_rows for b in waiting), []
        waiting.append(part)
    if waiting:
        yield Batch.at(start, _joined(waiting), layout)


def _fits(waiting: Sequence[pa.RecordBatch], part: pa.RecordBatch) -> bool:
    """Whether one more part fits into the chunk; dictionaries that differ would be copied."""
    rows, size = sum(b.num_rows for b in waiting), sum(b.nbytes for b in waiting)
    return (
        rows + part.num_rows <= CHUNK_ROWS
        and size + part.nbytes <= CHUNK_BYTES
        and all(_same_dictionary(*pair) for pair in zip(waiting[0], part, strict=True))
    )


def _same_dictionary(one: pa.Array, other: pa.Array) -> bool:
    if not pa.types.is_dictionary(one.type):
        return True
    return bool(one.dictionary.equals(other.dictionary))


def parts_of(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts that are no larger than a chunk."""
    number = max(1, -(-batch.num_rows // CHUNK_ROWS), -(-batch.nbytes // CHUNK_BYTES))
    size = max(1, -(-batch.num_rows // number))
    for at in range(0, batch.num_rows, size):
        yield batch.slice(at, size)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def chunks_of_lines(pieces: Iterable[bytes], longest: int) -> Iterator[Lines]:
    """Lines of a body that is read in pieces, as chunks; empty lines are skipped.

    Raises:
        TooLarge: a line has more than `longest` bytes.
    """
    start, size = 0, 0
    waiting: list[bytes] = []
    for line in _lines(pieces, longest):
        waiting.append(line)
        size += len(line)
        if len(waiting) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield Lines(start, waiting)
            start, waiting, size = start + len(waiting), [], 0
    if waiting:
        yield Lines(start, waiting)


def _lines(pieces: Iterable[bytes], longest: int) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
        for line in whole:
            if stripped := line.strip():
                yield stripped
        if len(rest) > longest:
            raise TooLarge(f"a line may have at most {longest} bytes")
    if stripped := rest.strip():
        yield stripped
