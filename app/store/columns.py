"""Binary COPY of whole columns: numpy encodes all rows of a column at once.

A row of binary COPY is the number of its fields, and each field its length, or -1 for a null, and
its bytes in network order. psycopg writes them value by value; here a thousand rows take as long as
ten.
Needs numpy, so only modules that need it too may import this one.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.store.database import driver

ROWS_AT_ONCE = 8192  # about a megabyte: encoded in the processor's cache, sent while the next is
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
# PostgreSQL counts from 2000.
_EPOCH_MICROSECONDS = 946_684_800_000_000
_FLOAT8_OID = 701

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Values of one width: a row of bytes each. `valid` is None if no value is null."""

    content: Bytes
    valid: Flags | None = None

    def part(self, start: int, stop: int) -> "Fixed":
        """The rows from `start` up to `stop`."""
        valid = None if self.valid is None else self.valid[start:stop]
        return Fixed(self.content[start:stop], valid)

    def take(self, order: Integers) -> "Fixed":
        """These rows, in this order."""
        return Fixed(self.content[order], None if self.valid is None else self.valid[order])

    def lengths(self) -> Integers:
        """Bytes of each value; -1 for a null."""
        lengths = np.full(len(self.content), self.content.shape[1])
        return lengths if self.valid is None else np.where(self.valid, lengths, -1)

    def rows(self, width: int) -> Bytes:
        """All values, of which each has this width."""
        return self.content[:, :width]

    def scatter(self, out: Bytes, at: Integers) -> None:
        """Write each value that is not null at its place."""
        keep = slice(None) if self.valid is None else self.valid
        columns = np.arange(self.content.shape[1])
        out[at[keep, None] + columns] = self.content[keep]


@dataclass(frozen=True, slots=True)
class Varying:
    """Values of any width: value n is `content[offsets[n]:offsets[n + 1]]`. Nulls are empty."""

    content: Bytes
    offsets: Integers
    valid: Flags | None = None

    def part(self, start: int, stop: int) -> "Varying":
        """The rows from `start` up to `stop`."""
        valid = None if self.valid is None else self.valid[start:stop]
        return Varying(self.content, self.offsets[start : stop + 1], valid)

    def take(self, order: Integers) -> "Varying":
        """These rows, in this order."""
        widths = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(widths)])
        shift = np.repeat(self.offsets[:-1][order] - offsets[:-1], widths)
        valid = None if self.valid is None else self.valid[order]
        return Varying(self.content[shift + np.arange(offsets[-1])], offsets, valid)

    def lengths(self) -> Integers:
        """Bytes of each value; -1 for a null."""
        lengths = np.diff(self.offsets)
        return lengths if self.valid is None else np.where(self.valid, lengths, -1)

    def rows(self, width: int) -> Bytes:
        """All values, of which each has this width."""
        return self.content[self.offsets[0] : self.offsets[-1]].reshape(-1, width)

    def scatter(self, out: Bytes, at: Integers) -> None:
        """Write each value that is not null at its place."""
        first, last = self.offsets[0], self.offsets[-1]
        shift = np.repeat(at - self.offsets[:-1], np.diff(self.offsets))
        out[shift + np.arange(first, last)] = self.content[first:last]


Column = Fixed | Varying


def copy_columns(conn: Connection, table: str, columns: Mapping[str, Column]) -> None:
    """Append rows to a table in the transaction of the connection.

    All columns have the same number of rows, and the type of the table's column of their name.
    """
    names = ", ".join(columns)
    with (
        driver(conn).cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        for piece in encoded(list(columns.values())):
            copy.write(piece)


def encoded(columns: list[Column]) -> Iterator[bytes | memoryview]:
    """The bytes that binary COPY expects."""
    yield _SIGNATURE
    number = len(columns[0].lengths())
    for start in range(0, number, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, number)
        yield _rows([column.part(start, stop) for column in columns]).data
    yield _END


def _rows(columns: list[Column]) -> Bytes:
    lengths = [column.lengths() for column in columns]
    widths = [int(of_column[0]) for of_column in lengths]
    if all((of_column == width).all() for of_column, width in zip(lengths, widths, strict=True)):
        return _equal_rows(columns, widths, len(lengths[0]))
    return _unequal_rows(columns, lengths)


def _equal_rows(columns: list[Column], widths: list[int], number: int) -> Bytes:
    """Rows in which all values of a column have the same width, or all are null."""
    size = 2 + sum(4 + max(0, width) for width in widths)
    out = np.empty((number, size), np.uint8)
    out[:, :2] = _bytes_of(len(columns), ">i2")
    at = 2
    for column, width in zip(columns, widths, strict=True):
        out[:, at : at + 4] = _bytes_of(width, ">i4")
        at += 4
        if width > 0:
            out[:, at : at + width] = column.rows(width)
            at += width
    return out.reshape(-1)


def _unequal_rows(columns: list[Column], lengths: list[Integers]) -> Bytes:
    sizes = np.stack([4 + np.maximum(of_column, 0) for of_column in lengths])
    ends = np.cumsum(2 + sizes.sum(axis=0))
    at = ends - sizes.sum(axis=0)
    out = np.empty(int(ends[-1]), np.uint8)
    out[at[:, None] + np.arange(-2, 0)] = _bytes_of(len(columns), ">i2")
    for column, of_column, size in zip(columns, lengths, sizes, strict=True):
        out[at[:, None] + np.arange(4)] = _matrix(of_column.astype(">i4"))
        column.scatter(out, at + 4)
        at = at + size
    return out


def _bytes_of(number: int, type_: str) -> Bytes:
    return np.frombuffer(np.array(number, type_).tobytes(), np.uint8)


def _matrix(values: NDArray[Any]) -> Bytes:
    width = values.dtype.itemsize * (values.size // max(1, len(values)))
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), width)


# --- columns of PostgreSQL's types --------------------------------------------------------


def integers(values: NDArray[Any], valid: Flags | None = None) -> Fixed:
    """A column of type integer."""
    return Fixed(_matrix(values.astype(">i4")), valid)


def doubles(values: NDArray[Any], valid: Flags | None = None) -> Fixed:
    """A column of type double precision."""
    return Fixed(_matrix(values.astype(">f8")), valid)


def booleans(values: Flags) -> Fixed:
    """A column of type boolean."""
    return Fixed(_matrix(values.astype(np.uint8)))


def instants(microseconds: Integers) -> Fixed:
    """A column of type timestamptz, given in microseconds since 1970."""
    return Fixed(_matrix((microseconds - _EPOCH_MICROSECONDS).astype(">i8")))


def uuids(digests: Bytes) -> Fixed:
    """A column of type uuid, given as rows of 16 bytes."""
    return Fixed(digests)


def nulls(number: int) -> Fixed:
    """A column in which all values are null, of any type."""
    return Fixed(np.empty((number, 0), np.uint8), np.zeros(number, bool))


def constant(value: Fixed, number: int) -> Fixed:
    """A column that repeats the only value of a different one."""
    return Fixed(np.broadcast_to(value.content, (number, value.content.shape[1])))


def packed_scores(groups: Iterable[tuple[Integers, Floats, Sequence[int]]], number: int) -> Varying:
    """A column of type double precision[], given by groups of rows.

    A group is its rows, a matrix of their scores, and the place of each of its columns in the
    arrays, from 1: between them arrays have nulls. Rows of no group are null.
    """
    widths = np.zeros(number, np.int64)
    arrays = [(rows, _arrays(numbers, places)) for rows, numbers, places in groups]
    for rows, packed in arrays:
        widths[rows] = packed.shape[1]
    offsets = np.concatenate([[0], np.cumsum(widths)])
    content = np.empty(int(offsets[-1]), np.uint8)
    for rows, packed in arrays:
        content[offsets[rows][:, None] + np.arange(packed.shape[1])] = packed
    return Varying(content, offsets, widths > 0)


def _arrays(numbers: Floats, places: Sequence[int]) -> Bytes:
    """A row of bytes for each array: its head, and each element with its length."""
    size, has_nulls = max(places), len(places) < max(places)
    head = struct.pack(">iiIii", 1, int(has_nulls), _FLOAT8_OID, size, 1)
    widths = np.full(size, 4)
    widths[np.array(places) - 1] = 12
    ends = len(head) + np.cumsum(widths)
    out = np.empty((len(numbers), int(ends[-1])), np.uint8)
    out[:, : len(head)] = np.frombuffer(head, np.uint8)
    out[:, (ends - widths)[:, None] + np.arange(4)] = _bytes_of(-1, ">i4")
    values = _matrix(numbers.astype(">f8")).reshape(len(numbers), len(places), 8)
    at = (ends - widths)[np.array(places) - 1]
    out[:, at[:, None] + np.arange(4)] = _bytes_of(8, ">i4")
    out[:, at[:, None] + np.arange(4, 12)] = values
    return out


def copy_out(conn: Connection, statement: str, row: np.dtype[Any]) -> NDArray[Any]:
    """Rows that a statement returns, of which none has a null, as `row` describes their bytes."""
    with (
        driver(conn).cursor() as cursor,
        cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)") as copy,
    ):
        content = b"".join(copy)
    return np.frombuffer(content[len(_SIGNATURE) : -len(_END)], row)
