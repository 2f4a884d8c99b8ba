"""Run the SQL files of this repository."""

import hashlib
from functools import cache
from pathlib import Path

from alembic import op
from sqlalchemy import Connection

MARK = "Truthline: public functions and views, version "
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


@cache
def views_digest(edition: str) -> str:
    """What tells one version of the public functions and views from another."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in _views(edition))).hexdigest()


def refresh_views(connection: Connection) -> None:
    """Bring the public functions and views up to date: every file of `sql/views/`, in order.

    PostgreSQL can't change what a function returns, so where anything changed they are dropped
    and made anew, all in the caller's transaction. Grants on them go with them: repeat yours.
    The schema's comment says which version is there.
    """
    edition = views_edition(connection)
    if views_in_place(connection) == views_digest(edition):
        return
    execute(connection, SQL / "drop_views.sql")
    for path in _views(edition):
        execute(connection, path)
    connection.exec_driver_sql(f"COMMENT ON SCHEMA truthline IS '{MARK}{views_digest(edition)}'")


def views_in_place(connection: Connection) -> str | None:
    """The digest of the public functions and views that the database has."""
    comment: str | None = connection.exec_driver_sql(
        "SELECT obj_description(to_regnamespace('truthline')::oid, 'pg_namespace')"
    ).scalar()
    return comment.removeprefix(MARK) if comment else None


def views_edition(connection: Connection) -> str:
    """`community` where TimescaleDB keeps the levels, otherwise empty."""
    if not connection.exec_driver_sql("SELECT to_regclass('truthline_data.level')").scalar():
        return ""
    kept = connection.exec_driver_sql(
        "SELECT FROM truthline_data.level WHERE kept_by = 'timescaledb' LIMIT 1"
    )
    return "community" if kept.first() is not None else ""


def _views(edition: str) -> list[Path]:
    """The files of an edition: `name.community.sql` stands for `name.sql` there."""
    every = sorted((SQL / "views").glob("*.sql"))
    own = {path.name.split(".")[0]: path for path in every if path.name.endswith(f".{edition}.sql")}
    common = [path for path in every if path.name.count(".") == 1]
    return [own.get(path.stem, path) for path in common]
