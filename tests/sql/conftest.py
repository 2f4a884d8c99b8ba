"""Analysts, database roles that see one workspace, and the role of dashboards."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from app.factory import create_app
from tests.api.given import keyed_client
from tests.demodata import Demo
from tests.sql.boards import BOARDS, CHOSEN
from tests.sql.macros import Range

Connect = Callable[..., psycopg.Connection]
GRANTS = (Path(__file__).parents[2] / "deploy/postgres/grants.sql").read_text()
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
    """The role that runs the server."""
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


# --- dashboards ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def reader(
    make_role: Callable[[str], str],
    superuser: psycopg.Connection,
    connect: Connect,
    analyst_role: str,
) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A session with the rights that Grafana's role has."""
    role = make_role(f"{analyst_role}_grafana")
    superuser.execute(GRANTS.replace("truthline_reader", role))
    superuser.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    with connect(role) as connection:
        named = cast("psycopg.Connection[dict[str, Any]]", connection)
        named.row_factory = dict_row
        yield named


@pytest.fixture(scope="session")
def period(demo: Demo) -> Range:
    """A day with the demo's hours; the day before it has rows too."""
    end = demo.end + timedelta(minutes=7)
    return Range(end - timedelta(days=1), end, "30m")


@pytest.fixture(scope="session")
def api(demo: Demo) -> FlaskClient:
    """A client of the service over the same database."""
    return keyed_client(create_app(demo.settings, demo.database), demo.key)


@pytest.fixture
def ask(
    reader: psycopg.Connection[dict[str, Any]], period: Range
) -> Callable[..., list[dict[str, Any]]]:
    """The rows of a panel, by its dashboard and title."""

    def ask(name: str, title: str, **variables: str | None) -> list[dict[str, Any]]:
        (panel,) = [one for one in BOARDS[name]["panels"] if one["title"] == title]
        (target,) = panel["targets"]
        asked = period.expand(target["rawSql"], CHOSEN[name] | variables)
        return reader.execute(asked).fetchall()

    return ask


@pytest.fixture
def answer(api: FlaskClient, period: Range) -> Callable[..., Any]:
    """What the API answers about the same range."""

    def answer(path: str, **parameters: Any) -> Any:
        named = {"startTime": period.start.isoformat(), "endTime": period.end.isoformat()}
        found = api.get(f"/api/v1/{path}", query_string=named | parameters)
        assert found.status_code == 200, found.text
        return found.get_json()

    return answer
