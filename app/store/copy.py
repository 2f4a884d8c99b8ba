"""Bulk writes by binary COPY, the fastest way in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection


def copy_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to a table inside the connection's transaction.

    `columns` gives each column's PostgreSQL type: binary COPY converts nothing, so the types
    have to be those of the table. Values stand in the order of `columns`.
    """
    names = ", ".join(columns)
    cursor = conn.connection.driver_connection.cursor()  # type: ignore[union-attr] # psycopg is there
    with cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def stage_rows(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> None:
    """Put rows into a temporary table that empties itself when the transaction ends.

    Sets of rows then meet the stored ones in SQL: one statement, however many rows.
    """
    definition = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    conn.exec_driver_sql("SET LOCAL client_min_messages = warning")
    conn.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({definition}) ON COMMIT DELETE ROWS"
    )
    copy_rows(conn, table, columns, rows)
