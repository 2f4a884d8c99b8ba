"""The database a benchmark runs on: a new one on the given server, or on an embedded one."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, make_url

from app.config import Settings
from app.embedded.server import Cluster, running
from app.store.database import Database
from app.store.edition import server_info
from app.store.migration import upgrade
from bench.report import note_facts, note_versions
from tests.servers import EDITIONS, binaries, edition


@contextmanager
def fresh_database() -> Iterator[Database]:
    """A migrated database that is dropped afterwards.

    TRUTHLINE_DATABASE_URL names a server to make it on; without, one of the edition is started that
    TRUTHLINE_TEST_EDITION names. BENCH_TEMPLATE names a database there that has been migrated.
    """
    with _server() as server:
        name = f"bench_{uuid.uuid4().hex[:12]}"
        url = make_url(server).set(database=name).render_as_string(hide_password=False)
        template = os.environ.get("BENCH_TEMPLATE")
        _execute(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        upgrade(url)
        _describe(url)
        database = Database.from_settings(Settings(database_url=url, statement_timeout_ms=0))
        try:
            yield database
        finally:
            database.dispose()
            _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def another_database(database: Database) -> Iterator[URL]:
    """URL of an empty database on the same server, dropped afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    server = database.engine.url.render_as_string(hide_password=False)
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _server() -> Iterator[str]:
    given = os.environ.get("TRUTHLINE_DATABASE_URL")
    if given:
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="truthline-bench-") as directory,
        running(cluster(Path(directory))) as url,
    ):
        yield url


def cluster(directory: Path) -> Cluster:
    """A server of the edition, with the promises that an operator's keeps."""
    return Cluster(directory=directory, binaries=binaries(), settings=EDITIONS[edition()])


def _describe(url: str) -> None:
    """Note what the database is, and what it promises."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as conn:
        server = server_info(conn)
        kept = conn.exec_driver_sql("SELECT current_setting('synchronous_commit')").scalar_one()
    note_versions(PostgreSQL=server.postgres)
    if server.timescaledb:
        note_versions(TimescaleDB=server.timescaledb)
    note_facts(synchronous_commit=str(kept))


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.exec_driver_sql(statement)
