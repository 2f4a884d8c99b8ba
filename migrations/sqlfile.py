"""Run the SQL files of this repository."""

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

SQL = Path(__file__).resolve().parent.parent / "sql"


def execute(connection: Connection, path: Path) -> None:
    """Execute every statement of a file inside the current transaction.

    `no_parameters` sends the text untouched. Without it a `%` fails, and `format('%s', x)`
    quietly yields '$1'.
    """
    sql = path.read_text(encoding="utf-8")
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def run(name: str) -> None:
    """Execute `sql/versions/<name>` as part of a migration."""
    execute(op.get_bind(), SQL / "versions" / name)


def run_on_timescaledb(name: str) -> None:
    """Execute `sql/versions/<name>` where the extension is installed, of either licence."""
    installed = op.get_bind().exec_driver_sql(
        "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    )
    if installed.first():
        run(name)


def drop_views() -> None:
    """Drop functions and views, as part of a migration that drops a column which they read.

    The next upgrade creates them again.
    """
    execute(op.get_bind(), SQL / "drop_views.sql")


def drop_levels() -> None:
    """Drop all levels, as part of a migration that changes what they count.

    The upgrade builds them again from the raw rows that are there; if retention has dropped some,
    the migration fails. In a database that is being migrated from nothing there are no levels yet.
    """
    machinery = "SELECT to_regprocedure('truthline_data.drop_levels()')"
    if op.get_bind().exec_driver_sql(machinery).scalar() is not None:
        op.get_bind().exec_driver_sql("CALL truthline_data.drop_levels()")
