"""Bulk writes by binary COPY, the fastest way in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from app.store.database import driver


def copy_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to a table inside the connection's transaction.

    `columns` gives each column's PostgreSQL type: binary COPY converts nothing, so the types
    have to be those of the table. Values stand in the order of `columns`.
    """
    names = ", ".join(columns)
    with (
        driver(conn).cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


# From here to the end of the transaction, staged rows find stored ones through an index, row by
# row. Left alone, the planner would read the stored table whole: it knows nothing of the staged
# rows, and of the table only what it was when last analysed. (The message silenced is that the
# temporary table exists.)
_LOOK_UP_BY_KEY = """
    SET LOCAL client_min_messages = warning;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    SET LOCAL enable_material = off;
    SET LOCAL jit = off;  -- before PostgreSQL 18 "off" is a huge cost, which would be compiled for
"""


def look_up_by_key(conn: Connection) -> None:
    """Let sets of keys find stored rows through an index, to the end of the transaction."""
    conn.exec_driver_sql(_LOOK_UP_BY_KEY)


def stage_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Put rows into a temporary table that empties itself when the transaction ends.

    Sets of rows then meet the stored ones in SQL: one statement, however many rows.
    """
    definition = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    conn.exec_driver_sql(
        f"{_LOOK_UP_BY_KEY}"
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({definition}) ON COMMIT DELETE ROWS"
    )
    copy_rows(conn, table, columns, rows)
