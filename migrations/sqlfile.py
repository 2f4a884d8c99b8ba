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


def refresh_views(connection: Connection) -> None:
    """Bring the public functions and views up to date: every file of `sql/views/`, in order."""
    for path in sorted((SQL / "views").glob("*.sql")):
        execute(connection, path)
