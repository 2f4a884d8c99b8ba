"""Bring the SQL that each upgrade runs again up to date: machinery, levels, functions and views.

`sql/versions/` runs once, and is frozen once released. What is here is written for the newest
tables and replaced as a whole, so it has no history: `sql/machinery/` is what writes the tables and
builds the levels, `sql/views/` what analysts, Grafana and the API read.
"""

import hashlib
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from migrations.sqlfile import SQL, execute

# The comment on schema `truthline`: this, and the digests that the database was brought up to, the
# newest last.
MARK = "Truthline: functions and views, versions "
REMEMBERED = 20
DROPPED = "dropped"  # as sql/drop_views.sql has it: since then there are none


def refresh(connection: Connection) -> None:
    """Bring machinery, levels and views up to date, all in the caller's transaction.

    The tables must be the newest. Levels that are missing are built by the newest machinery; which
    views are right depends on who keeps the levels, so these come last.
    """
    if not is_up_to_date(connection):
        for path in _machinery():
            execute(connection, path)
    connection.exec_driver_sql("CALL truthline_data.build_levels()")
    if not is_up_to_date(connection):
        _replace_views(connection)


def _replace_views(connection: Connection) -> None:
    """Drop the public functions and views and create them again: every file, in order.

    PostgreSQL can't change what a function returns. Grants on functions and views are lost with
    them: repeat yours.
    """
    own, older = digest(edition(connection)), _versions(connection)
    if own in older:  # back to a release that was there before: what came after it is forgotten
        older = older[: older.index(own)]
    versions = " ".join([*(v for v in older if v != DROPPED), own][-REMEMBERED:])
    execute(connection, SQL / "drop_views.sql")
    for path in _views(edition(connection)):
        execute(connection, path)
    connection.exec_driver_sql(f"COMMENT ON SCHEMA truthline IS '{MARK}{versions}'")


def is_up_to_date(connection: Connection) -> bool:
    """Whether the database has this program's machinery, functions and views."""
    return _versions(connection)[-1:] == [digest(edition(connection))]


def is_ahead(connection: Connection) -> bool:
    """Whether it had them, and a newer program has replaced them since."""
    return digest(edition(connection)) in _versions(connection)[:-1]


@cache
def digest(edition: str) -> str:
    """What tells one version of machinery, functions and views from another."""
    files = [*_machinery(), *_views(edition)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _versions(connection: Connection) -> list[str]:
    comment: str | None = connection.exec_driver_sql(
        "SELECT obj_description(to_regnamespace('truthline')::oid, 'pg_namespace')"
    ).scalar()
    return comment.removeprefix(MARK).split() if comment and comment.startswith(MARK) else []


def edition(connection: Connection) -> str:
    """`community` where TimescaleDB keeps the levels, otherwise empty."""
    if not connection.exec_driver_sql("SELECT to_regclass('truthline_data.level')").scalar():
        return ""
    kept = connection.exec_driver_sql(
        "SELECT FROM truthline_data.level WHERE kept_by = 'timescaledb' LIMIT 1"
    )
    return "community" if kept.first() is not None else ""


def _machinery() -> list[Path]:
    return sorted((SQL / "machinery").glob("*.sql"))


def _views(edition: str) -> list[Path]:
    """The files of an edition: `name.community.sql` stands for `name.sql` there."""
    every = sorted((SQL / "views").glob("*.sql"))
    own = {path.name.split(".")[0]: path for path in every if path.name.endswith(f".{edition}.sql")}
    common = [path for path in every if path.name.count(".") == 1]
    return [own.get(path.stem, path) for path in common]
