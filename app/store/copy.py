"""Bulk inserts by binary COPY, the fastest way."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection

from app.store.database import driver

# The type of a column whose values are made by `packed`.
PACKED = "double precision[]"
_FLOAT8_OID = 701


def copy_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to a table in the transaction of the connection.

    `columns` gives the PostgreSQL type of each column: binary COPY converts nothing, so the types
    must be those of the table. Values are in the order of `columns`; those of type PACKED are
    bytes.
    """
    names = ", ".join(columns)
    with (
        driver(conn).cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["bytea" if type_ == PACKED else type_ for type_ in columns.values()])
        for row in rows:
            copy.write_row(row)


def packed(numbers: Sequence[float | None]) -> bytes:
    """An array of doubles as binary COPY sends it: psycopg takes twice as long to write a list."""
    if None in numbers:
        return _packed_with_nulls(numbers)
    elements: list[Any] = [8] * (2 * len(numbers))
    elements[1::2] = numbers
    return _array_of(len(numbers)).pack(1, 0, _FLOAT8_OID, len(numbers), 1, *elements)


@cache
def _array_of(length: int) -> struct.Struct:
    """Number of dimensions, whether there are nulls, type, length, first subscript; elements."""
    return struct.Struct(">iiIii" + "id" * length)


def _packed_with_nulls(numbers: Sequence[float | None]) -> bytes:
    header = struct.pack(">iiIii", 1, 1, _FLOAT8_OID, len(numbers), 1)
    return header + b"".join(
        struct.pack(">i", -1) if number is None else struct.pack(">id", 8, number)
        for number in numbers
    )


# Until the end of the transaction, staged rows are joined with stored ones through an index, row by
# row. By default, the optimizer would scan the stored table: it has no statistics of the staged
# rows, and outdated ones of the table. (The silenced message says that the temporary table exists.)
_LOOK_UP_BY_KEY = """
    SET LOCAL client_min_messages = warning;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    SET LOCAL enable_material = off;
    SET LOCAL jit = off;  -- before PostgreSQL 18 "off" adds a high cost, which would trigger JIT
"""


def look_up_by_key(conn: Connection) -> None:
    """Make joins of keys with stored rows use an index, until the end of the transaction."""
    conn.exec_driver_sql(_LOOK_UP_BY_KEY)


def stage_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Copy rows into a temporary table: see `create_staging`."""
    create_staging(conn, table, columns)
    copy_rows(conn, table, columns, rows)


def create_staging(conn: Connection, table: str, columns: Mapping[str, str]) -> None:
    """Create a temporary table, if it isn't there; it is emptied at the end of the transaction.

    One SQL statement can then join any number of rows with stored ones. Behind a pooler the table
    is dropped instead: its session belongs to others afterwards.
    """
    end = "DROP" if driver(conn).pooled else "DELETE ROWS"
    definition = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    conn.exec_driver_sql(
        f"{_LOOK_UP_BY_KEY}"
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({definition}) ON COMMIT {end}"
    )
