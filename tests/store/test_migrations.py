"""Migrations run up, down and up again; each upgrade brings the rest up to date."""

import os
import subprocess
import sys

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from app.config import Settings
from app.store.database import Database
from app.store.migration import MIGRATIONS, downgrade, schema_version, upgrade
from app.store.tables import metadata
from migrations.sqlfile import drop_levels
from tests.catalog import snapshot
from tests.servers import edition

ALL_FUNCTIONS = text("""
    SELECT nspname || '.' || proname, pg_get_function_identity_arguments(p.oid),
           obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname IN ('truthline', 'truthline_internal') ORDER BY 1, 2
""")


@pytest.fixture
def query(own):
    """Run a statement on this test's own database."""

    def run(statement):
        with own.connect() as conn:
            return conn.execute(statement).all()

    return run


@pytest.fixture
def own(fresh_database_url):
    """This test's own database."""
    engine = create_engine(fresh_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def catalog(own):
    """What its schemas hold."""

    def look():
        with own.connect() as conn:
            return snapshot(conn)

    return look


REVISIONS = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: revision.revision)
def test_each_step_down_can_go_up_again(fresh_database_url, catalog, revision):
    before = catalog()

    downgrade(fresh_database_url, revision.down_revision or "base")
    upgrade(fresh_database_url)

    assert catalog() == before


def test_the_whole_way_down_leaves_nothing(fresh_database_url, query):
    downgrade(fresh_database_url, "base")

    assert query(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'truthline%'")) == []


def test_the_newest_schema_has_all_kinds_of_things(catalog):
    """Or the tests that compare two schemas would compare nothing."""
    found = catalog()
    empty = {kind for kind, definitions in found.items() if not definitions}

    assert empty == ({"aggregates"} if edition() == "apache" else set())


def test_an_upgrade_builds_the_levels_that_a_migration_dropped(fresh_database_url, own, catalog):
    before = catalog()
    with own.begin() as conn, Operations.context(MigrationContext.configure(conn)):
        drop_levels()
    assert catalog() != before

    upgrade(fresh_database_url)

    assert catalog() == before


def test_a_migration_may_drop_levels_where_there_are_none_yet(empty_database_url):
    engine = create_engine(empty_database_url())
    with engine.begin() as conn, Operations.context(MigrationContext.configure(conn)):
        drop_levels()
    engine.dispose()


def test_an_upgrade_replaces_older_machinery(fresh_database_url, own, catalog):
    before = catalog()
    with own.begin() as conn:
        conn.exec_driver_sql("""
            CREATE OR REPLACE PROCEDURE truthline_data.drop_levels() LANGUAGE sql AS 'SELECT 1';
            COMMENT ON SCHEMA truthline IS 'an older version';
        """)
    assert catalog() != before

    upgrade(fresh_database_url)

    assert catalog() == before


NEWER = {
    "revision": "UPDATE public.alembic_version SET version_num = '9999'",
    "functions": """DO $$ BEGIN
        EXECUTE format('COMMENT ON SCHEMA truthline IS %L',
                       obj_description('truthline'::regnamespace, 'pg_namespace') || ' newer');
    END $$""",
}


@pytest.mark.parametrize("statement", NEWER.values(), ids=NEWER)
def test_a_program_serves_what_a_newer_one_has_migrated(own, statement):
    """Or every older replica would stop being ready as soon as the next release has migrated."""
    with own.begin() as conn:
        conn.execution_options(no_parameters=True).exec_driver_sql(statement)
        version = schema_version(conn)

    assert (version.at_head, version.ahead, version.usable) == (False, True, True)


def test_going_back_to_an_older_program_forgets_the_newer_one(fresh_database_url, own):
    with own.begin() as conn:
        conn.execution_options(no_parameters=True).exec_driver_sql(NEWER["functions"])

    upgrade(fresh_database_url)

    with own.connect() as conn:
        version = schema_version(conn)
        comment = conn.exec_driver_sql("SELECT obj_description('truthline'::regnamespace)").scalar()
    assert (version.at_head, version.ahead) == (True, False)
    assert "newer" not in comment


def test_an_upgrade_waits_for_no_writer(fresh_database_url, own):
    """Everything that runs again does so while rows are written: no lock shuts writers out."""
    with own.begin() as conn:
        conn.exec_driver_sql("COMMENT ON SCHEMA truthline IS 'an older version'")
    with own.connect() as writer, writer.begin():
        writer.exec_driver_sql("""
            LOCK TABLE truthline_data.prediction, truthline_data.outcome IN ROW EXCLUSIVE MODE
        """)
        upgrade(fresh_database_url)
    with own.connect() as conn:
        assert schema_version(conn).at_head


def test_concurrent_upgrades_wait_for_each_other(empty_database_url):
    url = empty_database_url()
    command = [sys.executable, "-m", "app.cli", "db", "upgrade"]
    environment = os.environ | {"TRUTHLINE_DATABASE_URL": url}

    migrators = [subprocess.Popen(command, env=environment) for _ in range(4)]

    assert [migrator.wait(60) for migrator in migrators] == [0, 0, 0, 0]
    engine = create_engine(url)
    with engine.connect() as conn:
        assert schema_version(conn).at_head
    engine.dispose()


def test_an_empty_database_is_not_at_head(empty_database_url):
    engine = create_engine(empty_database_url())
    with engine.connect() as conn:
        version = schema_version(conn)
    engine.dispose()

    assert (version.current, version.at_head) == (None, False)


def test_raw_tables_are_hypertables_where_timescaledb_is(fresh_database_url, query):
    if edition() == "postgres":
        assert query(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) == []
        return
    dimensions = query(  # without those that TimescaleDB keeps levels in
        text("""
            SELECT hypertable_name, column_name FROM timescaledb_information.dimensions
            WHERE hypertable_schema = 'truthline_data'
        """)
    )

    hypertables = ("outcome", "prediction", "step_batch")
    assert sorted(dimensions) == [(name, "received_at") for name in hypertables]


def test_the_mirror_of_the_tables_is_true(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    dialect = database.engine.dialect
    for table in metadata.sorted_tables:
        columns = inspect(database.engine).get_columns(table.name, schema=table.schema)
        assert {column["name"]: column["type"].compile(dialect) for column in columns} == {
            column.name: column.type.compile(dialect) for column in table.columns
        }
    database.dispose()


def test_a_function_that_returns_something_else_is_replaced(fresh_database_url, query):
    older = text("""
        DROP FUNCTION truthline_internal.regression_metrics(integer[], timestamptz[], timestamptz);
        CREATE FUNCTION truthline_internal.regression_metrics(
            series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
        ) RETURNS TABLE (n bigint) LANGUAGE sql AS 'SELECT 1::bigint';
        COMMENT ON SCHEMA truthline IS 'an older version';
    """)
    before = query(ALL_FUNCTIONS)
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        conn.execute(older)
        assert not schema_version(conn).usable
    engine.dispose()

    upgrade(fresh_database_url)

    assert query(ALL_FUNCTIONS) == before


def test_every_public_view_and_column_is_documented(query):
    silent = text("""
        SELECT c.relname, a.attname FROM pg_class AS c
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'truthline'::regnamespace AND c.relkind = 'v'
          AND num_nulls(obj_description(c.oid, 'pg_class'), col_description(c.oid, a.attnum)) > 0
    """)
    assert query(silent) == []


def test_every_public_function_is_documented(query):
    functions = query(ALL_FUNCTIONS)

    assert len(functions) >= 5
    assert [name for name, _, comment in functions if not comment] == []
