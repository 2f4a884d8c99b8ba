"""Analysts: database roles that see one workspace."""

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from tests.demodata import Demo

Connect = Callable[..., psycopg.Connection]
ANALYST = f"analyst_{os.getpid()}"


@pytest.fixture(scope="session")
def connect(demo: Demo) -> Connect:
    """Connect to the demo's database, as superuser unless a role is named."""
    url = make_url(demo.settings.database_url)
    parts = {"host": url.host, "port": url.port, "dbname": url.database, **url.query}
    parts |= {"user": url.username, "password": url.password}

    def connect(user: str | None = None, **given: str) -> psycopg.Connection:
        named = parts | ({"user": user} if user else {}) | given
        known = {name: str(value) for name, value in named.items() if value}
        return psycopg.connect(make_conninfo("", **known), autocommit=True)

    return connect


@pytest.fixture(scope="session")
def superuser(connect: Connect) -> Iterator[psycopg.Connection]:
    """Whoever runs the server."""
    with connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def make_role(superuser: psycopg.Connection) -> Iterator[Callable[[str], str]]:
    """Make a role that may log in; roles belong to the server and would outlive the database."""
    made: list[str] = []

    def make(name: str) -> str:
        superuser.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
        made.append(name)
        return name

    yield make
    for name in reversed(made):
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            superuser.execute(SQL(statement).format(Identifier(name)))


@pytest.fixture(scope="session")
def analyst_role(make_role: Callable[[str], str], superuser: psycopg.Connection) -> str:
    """A role that was admitted to the workspace `default`."""
    role = make_role(ANALYST)
    superuser.execute("CALL truthline.admit(%s, 'default')", [role])
    return role


@pytest.fixture
def analyst(connect: Connect, analyst_role: str) -> Iterator[psycopg.Connection]:
    """A session of that role."""
    with connect(analyst_role) as connection:
        yield connection
