"""Fixtures: one server for the whole session, a migrated database, a workspace per test.

TRUTHLINE_TEST_EDITION says which edition: `postgres` (the default) starts the embedded server on
a throw-away directory, `community` and `apache` a PostgreSQL with TimescaleDB that this machine
has; for those, TRUTHLINE_TEST_DATABASE_URL may name a running server instead, on which
databases are made. With TRUTHLINE_TEST_POOLER=30 the databases of most tests are reached through
PgBouncer in transaction mode, which has so many server connections to each.
"""

import gc
import itertools
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import URL, NullPool, create_engine, make_url

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from app.store.migration import upgrade
from tests.demodata import Demo, fill
from tests.effort import THOROUGH
from tests.poolers import pooling
from tests.recorder import QueryRecorder
from tests.servers import server_url

# Each process of each edition reads these modules: compiled once, they take half as long, also
# where the environment forbids writing, as in container images.
sys.dont_write_bytecode = False
# What modules consist of stays; to look through it for garbage takes a fifth of the collection.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage from here on, in what tests make."""
    gc.freeze()
    gc.enable()


for profile in ("quick", THOROUGH):  # they differ in tests/effort.py
    hypothesis_settings.register_profile(
        profile,
        deadline=None,  # a database answers when it answers
        derandomize="CI" in os.environ,  # random examples must not fail an unrelated change
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
hypothesis_settings.load_profile("quick")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a PostgreSQL server on which databases can be created."""
    with server_url() as url:
        yield url


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def pooled_server(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """URL of a pooler in transaction mode in front of that server."""
    size = int(os.environ.get("TRUTHLINE_TEST_POOLER", "30"))
    with pooling(server, tmp_path_factory.mktemp("pooler"), size=size) as url:
        yield url


@pytest.fixture(scope="session")
def empty_database_url(
    server: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], str]]:
    """Make a database, empty or a copy of `template`; they are dropped at the end."""
    base = make_url(server)
    if os.environ.get("TRUTHLINE_TEST_POOLER"):
        base = request.getfixturevalue("pooled_server")
    made: list[str] = []
    numbers = itertools.count()

    def make(template: str = "template0") -> str:
        name = f"truthline_test_{os.getpid()}_{next(numbers)}"
        # through the log, block by block, it would take three times as long
        _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        made.append(name)
        return base.set(database=name).render_as_string(hide_password=False)

    yield make
    for name in reversed(made):
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def as_template(server: str) -> Callable[[str], str]:
    """Close a database, because it can't be copied while a session is connected; returns its name.

    TimescaleDB's scheduler would connect to it at any moment, so it is closed to all.
    """

    def close(url: str) -> str:
        name = str(make_url(url).database)
        _execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        _execute(server, _DISCONNECT.format(name=name))
        return name

    return close


@pytest.fixture(scope="session")
def template(empty_database_url: Callable[..., str], as_template: Callable[[str], str]) -> str:
    """Name of a migrated database, to be copied."""
    url = empty_database_url()
    upgrade(url)
    _execute(url, _PAUSE_POLICIES)
    return as_template(url)


# Tests refresh when they want to; the policies of fifty databases would only slow them down.
_PAUSE_POLICIES = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
            PERFORM public.alter_job(job_id, scheduled => false)
            FROM timescaledb_information.jobs WHERE job_id >= 1000;
        END IF;
    END $$
"""
# Waits, up to five seconds, for each of the others to be gone.
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
)


@pytest.fixture
def fresh_database_url(empty_database_url: Callable[..., str], template: str) -> str:
    """A migrated database of this test's own."""
    return empty_database_url(template)


@pytest.fixture(scope="session")
def shared_settings(empty_database_url: Callable[..., str], template: str) -> Settings:
    """Settings of the database that tests share; each has a workspace of its own in it."""
    return Settings(database_url=empty_database_url(template))


@pytest.fixture(scope="session")
def database(shared_settings: Settings) -> Iterator[Database]:
    """The database that tests share."""
    database = Database.from_settings(shared_settings)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def app(shared_settings: Settings, database: Database) -> Flask:
    """The service over that database, asking for keys."""
    return create_app(shared_settings, database)


@dataclass(frozen=True)
class Workspace:
    """A workspace that no other test sees, and its keys."""

    id: int
    name: str
    ingest_key: str
    read_key: str
    admin_key: str


@pytest.fixture
def workspace(database: Database) -> Workspace:
    """A workspace of this test's own."""
    name = f"test-{secrets.token_hex(6)}"
    with database.writing() as conn:
        id_ = find_or_create_workspace(conn, name)
        keys = [create_key(conn, id_, role) for role in (Role.INGEST, Role.READ, Role.ADMIN)]
    return Workspace(id_, name, *keys)


@pytest.fixture
def client(app: Flask, workspace: Workspace) -> FlaskClient:
    """A client with the admin key of this test's workspace."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {workspace.admin_key}"
    return client


@pytest.fixture(scope="session")
def demo(empty_database_url: Callable[..., str], template: str) -> Iterator[Demo]:
    """A database in use, to be read only."""
    demo = fill(empty_database_url(template))
    yield demo
    demo.database.dispose()


@pytest.fixture
def query_recorder(database: Database) -> Iterator[QueryRecorder]:
    """Records the statements that the shared database is sent."""
    recorder = QueryRecorder()
    with recorder.watching(database.engine):
        yield recorder
