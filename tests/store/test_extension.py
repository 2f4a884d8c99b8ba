"""TimescaleDB on a server that has loaded it: created by the owner, or missed and pointed out."""

import os

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url

from app.cli import main
from app.phrases import EXTENSION_MISSING
from app.store.edition import server_info
from app.store.migration import upgrade
from tests.servers import edition

pytestmark = pytest.mark.skipif(edition() == "postgres", reason="its server has no TimescaleDB")
FORBID = """
    CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'not allowed' USING ERRCODE = 'insufficient_privilege'; END $$;
    CREATE EVENT TRIGGER forbid ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION forbid()
"""


@pytest.fixture
def url(empty_database_url):
    return make_url(empty_database_url())


@pytest.fixture
def conn(url):
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        yield conn
    engine.dispose()


def test_the_owner_of_a_database_gets_it(url, conn):
    role = f"owner_of_extension_{os.getpid()}"
    conn.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
    conn.exec_driver_sql(f"ALTER DATABASE {url.database} OWNER TO {role}")
    try:
        upgrade(url.set(username=role).render_as_string(hide_password=False))
        info = server_info(conn)
    finally:
        conn.exec_driver_sql(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
        conn.exec_driver_sql(f"DROP OWNED BY {role}")
        conn.exec_driver_sql(f"DROP ROLE {role}")

    assert (info.edition, info.extension_missing) == (edition(), False)


def test_who_may_not_create_it_is_told(url, conn, monkeypatch):
    conn.exec_driver_sql(FORBID)
    shown = url.render_as_string(hide_password=False)
    monkeypatch.setenv("TRUTHLINE_DATABASE_URL", shown)
    upgraded = CliRunner().invoke(main, ["db", "upgrade"])
    asked = CliRunner().invoke(main, ["status"])

    assert EXTENSION_MISSING in upgraded.output, upgraded.output
    assert "the server has TimescaleDB" in asked.output
