"""A database as the compose file makes it: its SQL files and commands, run one by one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url

from app.embedded.server import embedded_binaries
from tests.deploy.compose import ROOT, services

TRUTHLINE = Path(sys.executable).with_name("truthline")
PSQL = embedded_binaries() / "psql"
ROLES = ROOT / "deploy/postgres/roles.sql"
ROLES_GONE = """
    REASSIGN OWNED BY truthline_owner TO CURRENT_USER;
    DROP OWNED BY truthline_owner, grafana_reader, truthline_reader;
    DROP ROLE truthline_owner, grafana_reader, truthline_reader;
"""


@dataclass(frozen=True)
class Deployed:
    """A database that stands in for the one of service `db`."""

    url: URL

    def conninfo(self, **given: str) -> str:
        """How libpq reaches it, as superuser unless a user is given."""
        return make_conninfo(**self._parts() | given)

    def environment(self, service: str) -> dict[str, str]:
        """The service's environment, with this database instead of `db`."""
        owned = self.url.set(drivername="postgresql", username="truthline_owner", password=None)
        parts = self._parts()
        here = {
            "TRUTHLINE_DATABASE_URL": owned.render_as_string(),
            "PGHOST": parts["host"],
            "PGDATABASE": parts["dbname"],
        }
        given: dict[str, str] = services()[service]["environment"]
        basis = {"PATH": os.environ["PATH"], "PGPORT": parts.get("port", "5432")}
        return basis | given | {name: here[name] for name in here.keys() & given.keys()}

    def roles(self) -> subprocess.CompletedProcess[str]:
        """Run roles.sql as the image does at the first start."""
        options = ["--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={ROLES}"]
        return _run([PSQL, *options, f"--dbname={self.conninfo()}"], self.environment("db"))

    def migrate(self) -> subprocess.CompletedProcess[str]:
        """Run service `migrate`."""
        return _run([TRUTHLINE, *services()["migrate"]["command"]], self.environment("migrate"))

    def grants(self) -> subprocess.CompletedProcess[str]:
        """Run service `grants`, its file from where it is mounted from."""
        service = services()["grants"]
        source, target, _ = service["volumes"][0].split(":")
        assert service["entrypoint"][0] == PSQL.name
        file = [argument.replace(target, str(ROOT / source)) for argument in service["command"]]
        return _run([PSQL, *service["entrypoint"][1:], *file], self.environment("grants"))

    def _parts(self) -> dict[str, str]:
        parts = {
            "host": self.url.host,
            "port": self.url.port,
            "user": self.url.username,
            "password": self.url.password,
            "dbname": self.url.database,
            **self.url.query,
        }
        return {name: str(value) for name, value in parts.items() if value}


def _run(
    command: Sequence[str | Path], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="session")
def deployed(empty_database_url: Callable[..., str]) -> Iterator[Deployed]:
    """Roles made, migrated and opened to Grafana, in the order of the compose file."""
    database = Deployed(make_url(empty_database_url()))
    with _roles_removed(database):
        for step in (database.roles, database.migrate, database.grants):
            done = step()
            assert done.returncode == 0, done.stderr
        yield database


@contextmanager
def _roles_removed(database: Deployed) -> Iterator[None]:
    """Roles belong to the server, not to the database, so they would outlive it."""
    try:
        yield
    finally:
        with psycopg.connect(database.conninfo()) as connection:
            connection.execute(ROLES_GONE)
